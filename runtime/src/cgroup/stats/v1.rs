//! Reads what cgroup v1 counts (Documentation/admin-guide/cgroup-v1). A file that this kernel or this cgroup does not
//! have counts nothing.

use std::collections::BTreeMap;

use super::read::{key_values, lines, list, number, numbers};
use super::{Blkio, BlkioEntry, Cpu, Cpuset, Hugetlb, Memory, MemoryEntry, Pids};
use crate::cgroup::dir::Dir;
use crate::error::Result;

/// Nanoseconds in a tick of cpuacct.stat: USER_HZ is 100 wherever Linux runs.
const TICK: u64 = 10_000_000;

/// `cpuacct`.
pub(super) fn cpuacct(dir: &Dir, cpu: &mut Cpu) -> Result<()> {
    let usage = &mut cpu.usage;
    usage.total = number(dir, "cpuacct.usage")?.unwrap_or(0);
    usage.percpu = numbers(dir, "cpuacct.usage_percpu")?;
    let stat = key_values(dir, "cpuacct.stat")?;
    usage.user = stat.get("user").copied().unwrap_or(0).saturating_mul(TICK);
    usage.kernel = stat.get("system").copied().unwrap_or(0).saturating_mul(TICK);
    // A header, then `cpu user system` for each CPU.
    for line in lines(dir, "cpuacct.usage_all")?.iter().skip(1) {
        let mut fields = line.split(' ').skip(1).map(|f| f.parse().unwrap_or(0));
        if let (Some(user), Some(kernel)) = (fields.next(), fields.next()) {
            usage.percpu_user.push(user);
            usage.percpu_kernel.push(kernel);
        }
    }
    Ok(())
}

/// `cpu`.
pub(super) fn cpu(dir: &Dir, cpu: &mut Cpu) -> Result<()> {
    let stat = key_values(dir, "cpu.stat")?;
    let get = |key| stat.get(key).copied().unwrap_or(0);
    cpu.throttling.periods = get("nr_periods");
    cpu.throttling.throttled_periods = get("nr_throttled");
    cpu.throttling.throttled_time = get("throttled_time");
    Ok(())
}

/// `cpuset`.
pub(super) fn cpuset(dir: &Dir) -> Result<Cpuset> {
    let get = |file| number(dir, file).map(|n| n.unwrap_or(0));
    Ok(Cpuset {
        cpus: list(dir, "cpuset.cpus")?,
        cpu_exclusive: get("cpuset.cpu_exclusive")?,
        mems: list(dir, "cpuset.mems")?,
        mem_hardwall: get("cpuset.mem_hardwall")?,
        mem_exclusive: get("cpuset.mem_exclusive")?,
        memory_migrate: get("cpuset.memory_migrate")?,
        memory_spread_page: get("cpuset.memory_spread_page")?,
        memory_spread_slab: get("cpuset.memory_spread_slab")?,
        memory_pressure: get("cpuset.memory_pressure")?,
        sched_load_balance: get("cpuset.sched_load_balance")?,
        sched_relax_domain_level: lines(dir, "cpuset.sched_relax_domain_level")?
            .first()
            .and_then(|l| l.trim().parse().ok())
            .unwrap_or(0),
    })
}

/// `memory`.
pub(super) fn memory(dir: &Dir) -> Result<Memory> {
    let raw = key_values(dir, "memory.stat")?;
    let usage = memory_entry(dir, "memory")?;
    let swap = memory_entry(dir, "memory.memsw")?;
    Ok(Memory {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage,
        swap,
        kernel: memory_entry(dir, "memory.kmem")?,
        kernel_tcp: memory_entry(dir, "memory.kmem.tcp")?,
        raw,
        psi: None,
        swap_only: MemoryEntry {
            usage: swap.usage.saturating_sub(usage.usage),
            failcnt: swap.failcnt.saturating_sub(usage.failcnt),
            ..MemoryEntry::default()
        },
        events: key_values(dir, "memory.oom_control")?,
    })
}

fn memory_entry(dir: &Dir, prefix: &str) -> Result<MemoryEntry> {
    let Some(usage) = number(dir, &format!("{prefix}.usage_in_bytes"))? else {
        return Ok(MemoryEntry::default());
    };
    let get = |file| number(dir, &format!("{prefix}.{file}")).map(|n| n.unwrap_or(0));
    // memory.kmem.limit_in_bytes is gone since kernel 6.1 in some builds; the rest stayed.
    Ok(MemoryEntry {
        limit: get("limit_in_bytes")?,
        usage,
        max: get("max_usage_in_bytes")?,
        failcnt: get("failcnt")?,
    })
}

/// `pids`.
pub(super) fn pids(dir: &Dir) -> Result<Pids> {
    let limit = number(dir, "pids.max")?.filter(|l| *l != u64::MAX).unwrap_or(0);
    Ok(Pids { current: number(dir, "pids.current")?.unwrap_or(0), limit })
}

/// `blkio`: the scheduler's counters where it keeps some, else those of the throttle.
pub(super) fn blkio(dir: &Dir) -> Result<Blkio> {
    let mut blkio = Blkio::default();
    for prefix in ["blkio.bfq.", "blkio."] {
        let get = |file: &str| entries(dir, &format!("{prefix}{file}_recursive"));
        let serviced = get("io_serviced")?;
        if serviced.is_empty() {
            continue;
        }
        blkio.io_serviced_recursive = serviced;
        blkio.io_service_bytes_recursive = get("io_service_bytes")?;
        blkio.sectors_recursive = get("sectors")?;
        blkio.io_service_time_recursive = get("io_service_time")?;
        blkio.io_wait_time_recursive = get("io_wait_time")?;
        blkio.io_merged_recursive = get("io_merged")?;
        blkio.io_queued_recursive = get("io_queued")?;
        blkio.io_time_recursive = get("time")?;
        return Ok(blkio);
    }
    for suffix in ["_recursive", ""] {
        let get = |file: &str| entries(dir, &format!("blkio.throttle.{file}{suffix}"));
        blkio.io_serviced_recursive = get("io_serviced")?;
        blkio.io_service_bytes_recursive = get("io_service_bytes")?;
        if !blkio.io_serviced_recursive.is_empty() {
            break;
        }
    }
    Ok(blkio)
}

fn entries(dir: &Dir, file: &str) -> Result<Vec<BlkioEntry>> {
    Ok(lines(dir, file)?.iter().filter_map(|l| entry(l)).collect())
}

/// `8:0 Read 1282048` or `8:0 6792`; the sum over devices, `Total 3477504`, is not kept.
fn entry(line: &str) -> Option<BlkioEntry> {
    let mut fields = line.split_whitespace();
    let (major, minor) = fields.next()?.split_once(':')?;
    let (first, second) = (fields.next()?, fields.next());
    let (op, value) = second.map_or(("", first), |value| (first, value));
    Some(BlkioEntry {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        op: op.to_owned(),
        value: value.parse().ok()?,
    })
}

/// `hugetlb`: reservations where the kernel counts them.
pub(super) fn hugetlb(dir: &Dir, sizes: &[String]) -> Result<BTreeMap<String, Hugetlb>> {
    let mut all = BTreeMap::new();
    for size in sizes {
        for prefix in [format!("hugetlb.{size}.rsvd"), format!("hugetlb.{size}")] {
            let Some(usage) = number(dir, &format!("{prefix}.usage_in_bytes"))? else { continue };
            let get = |file| number(dir, &format!("{prefix}.{file}")).map(|n| n.unwrap_or(0));
            let one = Hugetlb { usage, max: get("max_usage_in_bytes")?, failcnt: get("failcnt")? };
            all.insert(size.clone(), one);
            break;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lines() {
        let made = |major, minor, op: &str, value| Some(BlkioEntry { major, minor, op: op.into(), value });
        for (line, expected) in [
            ("8:0 Read 1282048", made(8, 0, "Read", 1_282_048)),
            ("8:0 6792", made(8, 0, "", 6792)),
            ("Total 3477504", None),
            ("8:x Read 1", None),
            ("8:0", None),
        ] {
            assert_eq!(entry(line), expected, "{line}");
        }
    }
}
