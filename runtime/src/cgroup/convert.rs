//! Values of config.json, which speaks cgroup v1, in the language of cgroup v2. Pure.

use crate::error::{Error, Result};

/// `cpu.shares` (2 to 262144, default 1024) as `cpu.weight` (1 to 10000, default 100). 0 is unset in both.
///
/// The curve that runtimes agree on: the exponent of ten is quadratic in log2 of the shares and goes through both ends
/// and the default. Schedulers look at the exact value.
pub(super) fn cpu_weight(shares: u64) -> u32 {
    let shares = match u32::try_from(shares) {
        Ok(0) => return 0,
        Ok(shares) if shares <= 2 => return 1,
        Ok(shares) if shares < 262_144 => shares,
        _ => return 10_000,
    };
    let log = f64::from(shares).log2();
    let exact = 10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0);
    // The smallest weight that is not below the exact one, found without casting a float.
    let (mut low, mut high) = (1_u32, 10_000_u32);
    while low < high {
        let middle = low.midpoint(high);
        if f64::from(middle) < exact {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// `blkio.weight` (10 to 1000) as `io.weight` (1 to 10000), linear. 0 is unset in both.
pub(super) fn io_weight(weight: u16) -> u64 {
    match u64::from(weight) {
        0 => 0,
        weight => 1 + weight.saturating_sub(10) * 9999 / 990,
    }
}

/// `memory.swap.max` for a limit of memory and swap together, as config.json has it. -1 is unlimited, 0 unset.
///
/// # Errors
/// The swap alone can't be computed: the memory limit is not known, or larger than both together.
pub(super) fn swap_max(memory_and_swap: i64, memory: i64) -> Result<Option<i64>> {
    match (memory_and_swap, memory) {
        // v1 meant both by unlimited memory.
        (0, -1) => Ok(Some(-1)),
        (0, _) => Ok(None),
        (-1, _) => Ok(Some(-1)),
        (swap, -1) => Ok(Some(swap)),
        (_, 0) => Err(Error::invalid("unable to set swap limit without memory limit")),
        (_, memory) if memory < 0 => Err(Error::invalid(format!("invalid memory value: {memory}"))),
        (both, memory) if both < memory => Err(Error::invalid("memory+swap limit should be >= memory limit")),
        (both, memory) => Ok(Some(both - memory)),
    }
}

/// `pids.max`: below 0 is unlimited; 0 becomes 1, the lowest limit that systemd can say too.
pub(super) fn pids_max(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.max(1).to_string() }
}

/// A v2 limit: -1 is `max`.
pub(super) fn limit(value: i64) -> String {
    if value == -1 { "max".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_to_weight() {
        // Computed with 50 decimal digits from the formula, not by this code.
        for (shares, weight) in [
            (0, 0),
            (1, 1),
            (2, 1),
            (3, 2),
            (4, 2),
            (10, 4),
            (100, 17),
            (200, 29),
            (256, 35),
            (512, 59),
            (1000, 99),
            (1023, 100),
            (1024, 100),
            (1025, 101),
            (2048, 174),
            (4096, 303),
            (8192, 532),
            (100_000, 4340),
            (262_143, 10_000),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
    }

    #[test]
    fn weight_never_falls_as_shares_grow() {
        let mut last = 0;
        for shares in 0..=262_150 {
            let weight = cpu_weight(shares);
            assert!(weight >= last, "{shares}");
            last = weight;
        }
    }

    #[test]
    fn block_weight() {
        for (old, new) in [(0, 0), (10, 1), (100, 910), (500, 4950), (750, 7475), (1000, 10_000), (5, 1)] {
            assert_eq!(io_weight(old), new, "{old}");
        }
    }

    #[test]
    fn swap() {
        for (swap, memory, expected) in [
            (0, 0, Ok(None)),
            (0, 100, Ok(None)),
            (0, -1, Ok(Some(-1))),
            (-1, 0, Ok(Some(-1))),
            (-1, 100, Ok(Some(-1))),
            (-1, -1, Ok(Some(-1))),
            (300, 100, Ok(Some(200))),
            (100, 100, Ok(Some(0))),
            (300, -1, Ok(Some(300))),
            (300, 0, Err("unable to set swap limit without memory limit")),
            (300, -2, Err("invalid memory value: -2")),
            (50, 100, Err("memory+swap limit should be >= memory limit")),
        ] {
            match (swap_max(swap, memory), expected) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{swap} {memory}"),
                (Err(got), Err(want)) => assert_eq!(got.to_string(), want, "{swap} {memory}"),
                (got, want) => panic!("{swap} {memory}: {got:?} instead of {want:?}"),
            }
        }
    }

    #[test]
    fn pids() {
        for (limit, text) in [(-1, "max"), (-7, "max"), (0, "1"), (1, "1"), (20, "20")] {
            assert_eq!(pids_max(limit), text);
        }
    }
}
