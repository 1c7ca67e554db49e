//! `update`: new resource limits from flags, a file, or standard input. It never touches what was not mentioned.

use std::io::Read as _;
use std::path::Path;

use super::grammar::Matches;
use super::{Call, size};
use crate::error::{Error, OrFail, Result};
use crate::spec::{self, Pids, Resources, oci};

/// Changes the limits of a container.
pub(crate) fn update(call: &Call) -> Result<u8> {
    let container = call.container()?;
    let resources = match call.matches.path("resources") {
        Some(from) => read(from)?,
        None => from_flags(&call.matches)?,
    };
    let rdt = ["l3-cache-schema", "mem-bw-schema"].map(|flag| call.matches.path(flag));
    if let [cache, bandwidth] = rdt
        && rdt != [None, None]
    {
        container.update_rdt(cache, bandwidth)?;
        if resources == Resources::default() {
            return Ok(0);
        }
    }
    container.update(&resources)?;
    Ok(0)
}

fn read(from: &str) -> Result<Resources> {
    if from != "-" {
        let bytes = std::fs::read(Path::new(from)).or_fail("open", || format!("read {from}"))?;
        return spec::parse_resources(&bytes).map_err(|error| error.within(from));
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).or_fail("read", || "read standard input")?;
    spec::parse_resources(&bytes).map_err(|error| error.within("standard input"))
}

/// What the flags say. An empty value is the same as none.
fn from_flags(matches: &Matches) -> Result<Resources> {
    let mut cpu = oci::LinuxCpu::default();
    cpu.set_period(whole(matches, "cpu-period")?)
        .set_burst(whole(matches, "cpu-burst")?)
        .set_shares(whole(matches, "cpu-share")?)
        .set_realtime_period(whole(matches, "cpu-rt-period")?)
        .set_quota(whole(matches, "cpu-quota")?)
        .set_realtime_runtime(whole(matches, "cpu-rt-runtime")?)
        .set_idle(whole(matches, "cpu-idle")?)
        .set_cpus(matches.path("cpuset-cpus").map(str::to_owned))
        .set_mems(matches.path("cpuset-mems").map(str::to_owned));
    let mut memory = oci::LinuxMemory::default();
    memory
        .set_limit(bytes(matches, "memory")?)
        .set_swap(bytes(matches, "memory-swap")?)
        .set_reservation(bytes(matches, "memory-reservation")?);
    if matches.path("kernel-memory").or(matches.path("kernel-memory-tcp")).is_some() {
        log::warn!("Kernel memory settings are ignored and will be removed");
    }
    let mut block_io = oci::LinuxBlockIo::default();
    block_io.set_weight(whole::<u16>(matches, "blkio-weight")?.filter(|weight| *weight != 0));
    // A part that nobody mentioned is absent, not empty.
    Ok(Resources {
        pids: matches.number("pids-limit").map(|limit| Pids { limit: Some(limit) }),
        cpu: (cpu != oci::LinuxCpu::default()).then_some(cpu),
        memory: (memory != oci::LinuxMemory::default()).then_some(memory),
        block_io: (block_io != oci::LinuxBlockIo::default()).then_some(block_io),
        ..Resources::default()
    })
}

fn whole<T: std::str::FromStr>(matches: &Matches, name: &str) -> Result<Option<T>> {
    let Some(text) = matches.path(name) else { return Ok(None) };
    let invalid =
        |_| Error::invalid(format!("invalid value for {name}: {text:?} is no whole number in range"));
    text.parse().map(Some).map_err(invalid)
}

fn bytes(matches: &Matches, name: &str) -> Result<Option<i64>> {
    match matches.path(name) {
        None => Ok(None),
        Some("-1") => Ok(Some(-1)),
        Some(text) => {
            let invalid = |error| Error::invalid(format!("invalid value for {name}: {error}"));
            size::parse(text).map(Some).map_err(invalid)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands::GRAMMAR;
    use crate::cli::grammar::parse;

    fn flags(line: &str) -> Result<Resources> {
        from_flags(&parse(&GRAMMAR, line.split_whitespace().map(str::to_owned).collect()).0)
    }

    #[test]
    fn only_what_was_mentioned_is_there() {
        assert_eq!(flags("update c").unwrap(), Resources::default());
        assert_eq!(flags("update --memory= --blkio-weight 0 c").unwrap(), Resources::default());
        let resources = flags("update --memory 100M c").unwrap();
        assert_eq!(serde_json::to_string(&resources).unwrap(), r#"{"memory":{"limit":104857600}}"#);
        let resources = flags("update --pids-limit 0 c").unwrap();
        assert_eq!(serde_json::to_string(&resources).unwrap(), r#"{"pids":{"limit":0}}"#);
    }

    #[test]
    fn every_flag_has_its_place() {
        let resources = flags(
            "update --cpu-period 1 --cpu-quota -1 --cpu-burst 3 --cpu-share 4 --cpu-rt-period 5 --cpu-rt-runtime 6 \
             --cpu-idle 1 --cpuset-cpus 0-1 --cpuset-mems 0 --memory -1 --memory-swap -1 --memory-reservation 1.5k \
             --pids-limit -1 --blkio-weight 10 c",
        );
        let expected = serde_json::json!({
            "cpu": {"period": 1, "quota": -1, "burst": 3, "shares": 4, "realtimePeriod": 5, "realtimeRuntime": 6,
                "idle": 1, "cpus": "0-1", "mems": "0"},
            "memory": {"limit": -1, "swap": -1, "reservation": 1536},
            "pids": {"limit": -1},
            "blockIO": {"weight": 10},
        });
        assert_eq!(serde_json::to_value(resources.unwrap()).unwrap(), expected);
    }

    #[test]
    fn bad_values_name_the_flag() {
        for (line, text) in [
            ("update --memory x c", "invalid value for memory: invalid size: 'x'"),
            ("update --memory-swap -2 c", "invalid value for memory-swap: invalid size: '-2'"),
            ("update --cpu-period -1 c", "invalid value for cpu-period: \"-1\" is no whole number in range"),
            ("update --cpu-quota 1k c", "invalid value for cpu-quota: \"1k\" is no whole number in range"),
            (
                "update --blkio-weight 65536 c",
                "invalid value for blkio-weight: \"65536\" is no whole number in range",
            ),
        ] {
            assert_eq!(flags(line).unwrap_err().to_string(), text);
        }
    }
}
