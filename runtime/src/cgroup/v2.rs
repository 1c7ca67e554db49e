//! config.json's limits as files and values of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst). Pure.

use super::convert::{cpu_weight, io_weight, limit, pids_max, swap_max};
use super::setting::{Group, Setting};
use super::v1;
use crate::error::{Error, Result};
use crate::spec::{Resources, oci};

/// The kernel's default period of `cpu.max`, µs.
const PERIOD: u64 = 100_000;

/// All settings, by controller, in the order in which they are applied.
pub(super) fn settings(r: &Resources) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    if let Some(limit) = r.pids.and_then(|p| p.limit) {
        groups.push(Group::new("pids", vec![Setting::new("pids.max", pids_max(limit))]));
    }
    if let Some(memory) = &r.memory {
        groups.push(Group::new("memory", self::memory(memory)?));
    }
    if let Some(block) = &r.block_io {
        groups.push(Group::new("io", io(block)));
    }
    if let Some(cpu) = &r.cpu {
        groups.push(Group::new("cpu", self::cpu(cpu)));
        groups.push(Group::new("cpuset", v1::cpuset(cpu)));
    }
    groups.push(Group::new("hugetlb", v1::hugetlb(&r.hugepage_limits, "max")?));
    groups.push(Group::new("rdma", v1::rdma(r)));
    for (file, value) in &r.unified {
        groups.push(unified(file, value)?);
    }
    groups.retain(|g| !g.settings.is_empty());
    Ok(groups)
}

fn memory(memory: &oci::LinuxMemory) -> Result<Vec<Setting>> {
    let max = memory.limit().unwrap_or(0);
    let mut list = Vec::new();
    if let Some(swap) = swap_max(memory.swap().unwrap_or(0), max)? {
        let setting = Setting::new("memory.swap.max", limit(swap));
        // Where the kernel has no swap, "all of it" and "none" are true already.
        list.push(if matches!(swap, -1 | 0) { setting.optional() } else { setting });
    }
    if max != 0 {
        list.push(Setting::new("memory.max", limit(max)));
    }
    if let Some(reservation) = memory.reservation().filter(|r| *r != 0) {
        list.push(Setting::new("memory.low", limit(reservation)));
    }
    Ok(list)
}

fn io(block: &oci::LinuxBlockIo) -> Vec<Setting> {
    let mut list = Vec::new();
    if let Some(weight) = block.weight().filter(|w| *w != 0) {
        list.push(Setting::new("io.bfq.weight", weight).or("io.weight", io_weight(weight)));
    }
    for device in block.weight_device().iter().flatten() {
        if let Some(weight) = device.weight().filter(|w| *w != 0) {
            let name = format!("{}:{}", device.major(), device.minor());
            list.push(
                Setting::new("io.bfq.weight", format!("{name} {weight}"))
                    .or("io.weight", format!("{name} {}", io_weight(weight))),
            );
        }
    }
    for (key, devices) in [
        ("rbps", block.throttle_read_bps_device()),
        ("wbps", block.throttle_write_bps_device()),
        ("riops", block.throttle_read_iops_device()),
        ("wiops", block.throttle_write_iops_device()),
    ] {
        for device in devices.iter().flatten() {
            let line = format!("{}:{} {key}={}", device.major(), device.minor(), device.rate());
            list.push(Setting::new("io.max", line));
        }
    }
    list
}

fn cpu(cpu: &oci::LinuxCpu) -> Vec<Setting> {
    let mut list = Vec::new();
    list.extend(cpu.idle().map(|idle| Setting::new("cpu.idle", idle)));
    if let Some(weight) = cpu.shares().map(cpu_weight).filter(|w| *w != 0) {
        list.push(Setting::new("cpu.weight", weight));
    }
    let quota = cpu.quota().filter(|q| *q != 0);
    let period = cpu.period().filter(|p| *p != 0);
    if let Some(burst) = cpu.burst() {
        // A burst above the old quota is refused (EINVAL) although it fits the new one.
        let setting = Setting::new("cpu.max.burst", burst);
        list.push(if quota.is_some() { setting.again() } else { setting });
    }
    if quota.is_some() || period.is_some() {
        let quota = quota.filter(|q| *q > 0).map_or("max".to_owned(), |q| q.to_string());
        list.push(Setting::new("cpu.max", format!("{quota} {}", period.unwrap_or(PERIOD))));
    }
    list
}

fn unified(file: &str, value: &str) -> Result<Group> {
    if file.contains('/') {
        return Err(Error::invalid(format!("unified resource {file:?} must be a file name (no slashes)")));
    }
    let Some((controller, _)) = file.split_once('.').filter(|(controller, _)| !controller.is_empty()) else {
        let text = format!("unified resource {file:?} must be in the form CONTROLLER.PARAMETER");
        return Err(Error::invalid(text));
    };
    let group = Group::new(controller.to_owned(), vec![Setting::new(file.to_owned(), value)]);
    Ok(Group { unified: true, ..group })
}

/// Whether a limit is asked for that a threaded cgroup can't have (cgroup-v2.rst, threads).
pub(super) fn needs_domain(groups: &[Group]) -> bool {
    groups.iter().any(|g| !matches!(&*g.controller, "pids" | "cpu" | "cpuset" | "perf_event" | "cgroup"))
}

/// `memory.checkBeforeUpdate`: refuses a limit at or below what is in use, because the kernel would kill.
pub(super) fn check_usage(r: &Resources, usage: u64) -> Result<()> {
    let Some(memory) = r.memory.as_ref().filter(|m| m.check_before_update() == Some(true)) else {
        return Ok(());
    };
    for (what, limit) in [("memory+swap limit", memory.swap()), ("memory limit", memory.limit())] {
        if let Some(limit) = limit.and_then(|l| u64::try_from(l).ok()).filter(|l| *l > 0 && *l <= usage) {
            return Err(Error::invalid(format!("rejecting {what} {limit} <= usage {usage}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::parse_resources;

    fn shown(json: &str) -> Vec<String> {
        let groups = settings(&parse_resources(json.as_bytes()).unwrap()).unwrap();
        let all = groups.iter().flat_map(|g| g.settings.iter());
        all.map(|s| {
            let or = s.or.as_ref().map(|(file, value)| format!("|{file}={value}")).unwrap_or_default();
            let marks = format!("{}{}", if s.optional { "?" } else { "" }, if s.again { "~" } else { "" });
            format!("{}={}{or}{marks}", s.file, s.value)
        })
        .collect()
    }

    #[test]
    fn every_controller() {
        for (json, expected) in [
            ("{}", vec![]),
            (r#"{"memory":{"limit":0},"pids":{},"cpu":{"shares":0,"quota":0}}"#, vec![]),
            (r#"{"pids":{"limit":0}}"#, vec!["pids.max=1"]),
            (
                r#"{"memory":{"limit":100,"swap":300,"reservation":50,"swappiness":60,"disableOOMKiller":true}}"#,
                vec!["memory.swap.max=200", "memory.max=100", "memory.low=50"],
            ),
            (r#"{"memory":{"limit":100,"swap":100}}"#, vec!["memory.swap.max=0?", "memory.max=100"]),
            (r#"{"memory":{"limit":-1}}"#, vec!["memory.swap.max=max?", "memory.max=max"]),
            (r#"{"memory":{"limit":-1,"swap":0}}"#, vec!["memory.swap.max=max?", "memory.max=max"]),
            (r#"{"memory":{"swap":-1}}"#, vec!["memory.swap.max=max?"]),
            (
                r#"{"cpu":{"shares":1024,"quota":-1,"period":0,"burst":5,"cpus":"1","mems":"0"}}"#,
                vec![
                    "cpu.weight=100",
                    "cpu.max.burst=5~",
                    "cpu.max=max 100000",
                    "cpuset.cpus=1",
                    "cpuset.mems=0",
                ],
            ),
            (r#"{"cpu":{"quota":5000}}"#, vec!["cpu.max=5000 100000"]),
            (r#"{"cpu":{"period":1000}}"#, vec!["cpu.max=max 1000"]),
            (r#"{"cpu":{"idle":1,"burst":7,"realtimePeriod":9}}"#, vec!["cpu.idle=1", "cpu.max.burst=7"]),
            (
                r#"{"blockIO":{"weight":750,"leafWeight":3,"weightDevice":[{"major":8,"minor":0,"weight":100}],
                    "throttleReadBpsDevice":[{"major":8,"minor":1,"rate":1}],
                    "throttleWriteBpsDevice":[{"major":8,"minor":1,"rate":2}],
                    "throttleReadIOPSDevice":[{"major":8,"minor":1,"rate":3}],
                    "throttleWriteIOPSDevice":[{"major":8,"minor":1,"rate":4}]}}"#,
                vec![
                    "io.bfq.weight=750|io.weight=7475",
                    "io.bfq.weight=8:0 100|io.weight=8:0 910",
                    "io.max=8:1 rbps=1",
                    "io.max=8:1 wbps=2",
                    "io.max=8:1 riops=3",
                    "io.max=8:1 wiops=4",
                ],
            ),
            (
                r#"{"hugepageLimits":[{"pageSize":"2MB","limit":9}]}"#,
                vec!["hugetlb.2MB.max=9", "hugetlb.2MB.rsvd.max=9?"],
            ),
            (r#"{"rdma":{"mlx5_1":{"hcaHandles":3}}}"#, vec!["rdma.max=mlx5_1 hca_handle=3"]),
            // `unified` comes last: it overrides.
            (
                r#"{"unified":{"pids.max":"99","io.max":"8:0 riops=1\n8:1 riops=2\n"},"pids":{"limit":1}}"#,
                vec!["pids.max=1", "io.max=8:0 riops=1\n8:1 riops=2\n", "pids.max=99"],
            ),
        ] {
            assert_eq!(shown(json), expected, "{json}");
        }
    }

    #[test]
    fn unified_names() {
        for (file, text) in [
            ("memory/max", "unified resource \"memory/max\" must be a file name (no slashes)"),
            ("../x.y", "unified resource \"../x.y\" must be a file name (no slashes)"),
            ("memory", "unified resource \"memory\" must be in the form CONTROLLER.PARAMETER"),
            ("..", "unified resource \"..\" must be in the form CONTROLLER.PARAMETER"),
        ] {
            assert_eq!(unified(file, "1").unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn check_before_update() {
        for (json, expected) in [
            (
                r#"{"memory":{"limit":100,"checkBeforeUpdate":true}}"#,
                Some("rejecting memory limit 100 <= usage 200"),
            ),
            (
                r#"{"memory":{"limit":300,"swap":200,"checkBeforeUpdate":true}}"#,
                Some("rejecting memory+swap limit 200 <= usage 200"),
            ),
            (r#"{"memory":{"limit":201,"checkBeforeUpdate":true}}"#, None),
            (r#"{"memory":{"limit":-1,"swap":-1,"checkBeforeUpdate":true}}"#, None),
            (r#"{"memory":{"limit":100}}"#, None),
            ("{}", None),
        ] {
            let result = check_usage(&parse_resources(json.as_bytes()).unwrap(), 200);
            assert_eq!(result.err().map(|e| e.to_string()).as_deref(), expected, "{json}");
        }
    }
}
