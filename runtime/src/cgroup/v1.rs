//! config.json's limits as files and values of cgroup v1 (Documentation/admin-guide/cgroup-v1). Pure.

use super::setting::{Group, Setting};
use crate::error::{Error, Result};
use crate::spec::{HugepageLimit, Resources, oci};

/// cpu.shares that the kernel would change without a word (kernel/sched/sched.h, `MIN_SHARES` and `MAX_SHARES`).
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

/// All settings, by controller, in the order in which they are applied. `memory_now` is the memory limit in force,
/// None in a new cgroup.
pub(super) fn settings(r: &Resources, memory_now: Option<u64>) -> Result<Vec<Group>> {
    if !r.unified.is_empty() {
        return Err(Error::invalid("invalid configuration: cannot use unified on cgroup v1"));
    }
    let mut groups = Vec::new();
    if let Some(cpu) = &r.cpu {
        groups.push(Group::new("cpuset", cpuset(cpu)));
    }
    if let Some(memory) = &r.memory {
        groups.push(Group::new("memory", self::memory(memory, memory_now)?));
    }
    if let Some(cpu) = &r.cpu {
        groups.push(Group::new("cpu", self::cpu(cpu)?));
    }
    if let Some(limit) = r.pids.and_then(|p| p.limit) {
        groups.push(Group::new("pids", vec![Setting::new("pids.max", super::convert::pids_max(limit))]));
    }
    if let Some(block) = &r.block_io {
        groups.push(Group::new("blkio", blkio(block)));
    }
    groups.push(Group::new("hugetlb", hugetlb(&r.hugepage_limits, "limit_in_bytes")?));
    if let Some(network) = &r.network {
        let class = network.class_id().filter(|id| *id != 0);
        groups.push(Group::new(
            "net_cls",
            class.map(|id| Setting::new("net_cls.classid", id)).into_iter().collect(),
        ));
        groups.push(Group::new("net_prio", priorities(network)));
    }
    groups.push(Group::new("rdma", rdma(r)));
    groups.retain(|g| !g.settings.is_empty());
    Ok(groups)
}

/// cpus and mems are one language in v1 and v2.
pub(super) fn cpuset(cpu: &oci::LinuxCpu) -> Vec<Setting> {
    let mut list = Vec::new();
    if let Some(cpus) = cpu.cpus().as_deref().filter(|c| !c.is_empty()) {
        list.push(Setting::new("cpuset.cpus", cpus));
    }
    if let Some(mems) = cpu.mems().as_deref().filter(|m| !m.is_empty()) {
        list.push(Setting::new("cpuset.mems", mems));
    }
    list
}

fn memory(memory: &oci::LinuxMemory, now: Option<u64>) -> Result<Vec<Setting>> {
    const LIMIT: &str = "memory.limit_in_bytes";
    const BOTH: &str = "memory.memsw.limit_in_bytes";
    let limit = memory.limit().unwrap_or(0);
    let both = memory.swap().unwrap_or(0);
    let mut list = Vec::new();
    if limit != 0 {
        list.push(Setting::new(LIMIT, limit));
    }
    if both != 0 {
        // At each moment the limit of memory alone must not be above that of both (mm/memcontrol-v1.c): what rises
        // does so from the outer one in.
        let rises = both == -1 || now.is_some_and(|now| u64::try_from(both).is_ok_and(|both| now < both));
        list.insert(if rises { 0 } else { list.len() }, Setting::new(BOTH, both));
    } else if limit == -1 {
        // Unlimited memory has always meant unlimited swap too; a kernel without swap accounting has nothing to lift.
        list.insert(0, Setting::new(BOTH, -1).optional());
    }
    if let Some(reservation) = memory.reservation().filter(|r| *r != 0) {
        list.push(Setting::new("memory.soft_limit_in_bytes", reservation));
    }
    if memory.disable_oom_killer() == Some(true) {
        list.push(Setting::new("memory.oom_control", 1));
    }
    match memory.swappiness() {
        // Go writers of config.json say "unset" as -1.
        None | Some(u64::MAX) => {}
        Some(swappiness @ 0..=100) => list.push(Setting::new("memory.swappiness", swappiness)),
        Some(swappiness) => {
            return Err(Error::invalid(format!(
                "invalid memory swappiness value: {swappiness} (valid range is 0-100)"
            )));
        }
    }
    Ok(list)
}

fn cpu(cpu: &oci::LinuxCpu) -> Result<Vec<Setting>> {
    let mut list = Vec::new();
    if let Some(shares) = cpu.shares().filter(|s| *s != 0) {
        if shares < *SHARES.start() {
            return Err(Error::invalid(format!("the minimum allowed cpu-shares is {}", SHARES.start())));
        }
        if shares > *SHARES.end() {
            return Err(Error::invalid(format!("the maximum allowed cpu-shares is {}", SHARES.end())));
        }
        list.push(Setting::new("cpu.shares", shares));
    }
    // A shorter period with the old quota, or a burst above the old quota, may be refused (EINVAL) although the new
    // three fit each other.
    let quota = cpu.quota().filter(|q| *q != 0);
    let first = |setting: Setting| if quota.is_some() { setting.again() } else { setting };
    if let Some(period) = cpu.period().filter(|p| *p != 0) {
        list.push(first(Setting::new("cpu.cfs_period_us", period)));
    }
    if let Some(burst) = cpu.burst() {
        // Kernel 5.14. Without it the container gets its quota and no more.
        list.push(first(Setting::new("cpu.cfs_burst_us", burst).optional()));
    }
    list.extend(quota.map(|quota| Setting::new("cpu.cfs_quota_us", quota)));
    list.extend(cpu.idle().map(|idle| Setting::new("cpu.idle", idle)));
    let runtime = cpu.realtime_runtime().filter(|r| *r != 0);
    if let Some(period) = cpu.realtime_period().filter(|p| *p != 0) {
        let setting = Setting::new("cpu.rt_period_us", period);
        list.push(if runtime.is_some() { setting.again() } else { setting });
    }
    list.extend(runtime.map(|runtime| Setting::new("cpu.rt_runtime_us", runtime)));
    Ok(list)
}

fn blkio(block: &oci::LinuxBlockIo) -> Vec<Setting> {
    let mut list = Vec::new();
    if let Some(weight) = block.weight().filter(|w| *w != 0) {
        list.push(Setting::new("blkio.weight", weight).or("blkio.bfq.weight", weight));
    }
    if let Some(weight) = block.leaf_weight().filter(|w| *w != 0) {
        list.push(Setting::new("blkio.leaf_weight", weight));
    }
    for device in block.weight_device().iter().flatten() {
        let name = format!("{}:{}", device.major(), device.minor());
        if let Some(weight) = device.weight().filter(|w| *w != 0) {
            let value = format!("{name} {weight}");
            list.push(Setting::new("blkio.weight_device", &value).or("blkio.bfq.weight_device", value));
        }
        if let Some(weight) = device.leaf_weight().filter(|w| *w != 0) {
            list.push(Setting::new("blkio.leaf_weight_device", format!("{name} {weight}")));
        }
    }
    for (file, devices) in [
        ("blkio.throttle.read_bps_device", block.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", block.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", block.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", block.throttle_write_iops_device()),
    ] {
        for device in devices.iter().flatten() {
            list.push(Setting::new(file, format!("{}:{} {}", device.major(), device.minor(), device.rate())));
        }
    }
    list
}

/// Each limit is written twice: for pages in use, and for pages reserved (kernel 5.7), without which a limit lets a
/// mapping succeed and kills at the first touch.
pub(super) fn hugetlb(limits: &[HugepageLimit], suffix: &str) -> Result<Vec<Setting>> {
    let mut list = Vec::new();
    for HugepageLimit { page_size, limit } in limits {
        if !page_size.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Error::invalid(format!(
                "huge page size {page_size:?} is not of the form 64KB, 2MB or 1GB"
            )));
        }
        list.push(Setting::new(format!("hugetlb.{page_size}.{suffix}"), limit));
        list.push(Setting::new(format!("hugetlb.{page_size}.rsvd.{suffix}"), limit).optional());
    }
    Ok(list)
}

fn priorities(network: &oci::LinuxNetwork) -> Vec<Setting> {
    let priorities = network.priorities().iter().flatten();
    priorities.map(|p| Setting::new("net_prio.ifpriomap", format!("{} {}", p.name(), p.priority()))).collect()
}

/// rdma.max is one language in v1 and v2.
pub(super) fn rdma(r: &Resources) -> Vec<Setting> {
    let mut list = Vec::new();
    for (device, limits) in &r.rdma {
        let mut line = device.clone();
        for (word, limit) in [("hca_handle", limits.hca_handles()), ("hca_object", limits.hca_objects())] {
            if let Some(limit) = limit {
                line = format!("{line} {word}={limit}");
            }
        }
        list.push(Setting::new("rdma.max", line));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::parse_resources;

    /// `controller file=value…`, with marks: `?` optional, `|` the other file, `~` tried again.
    fn shown(json: &str, now: Option<u64>) -> Vec<String> {
        let groups = settings(&parse_resources(json.as_bytes()).unwrap(), now).unwrap();
        groups.iter().flat_map(|g| g.settings.iter().map(show)).collect()
    }

    fn show(s: &Setting) -> String {
        let or = s.or.as_ref().map(|(file, value)| format!("|{file}={value}")).unwrap_or_default();
        let marks = format!("{}{}", if s.optional { "?" } else { "" }, if s.again { "~" } else { "" });
        format!("{}={}{or}{marks}", s.file, s.value)
    }

    fn refusal(json: &str) -> String {
        settings(&parse_resources(json.as_bytes()).unwrap(), None).unwrap_err().to_string()
    }

    #[test]
    fn memory_and_swap_never_cross() {
        const BOTH: &str = "memory.memsw.limit_in_bytes";
        const LIMIT: &str = "memory.limit_in_bytes";
        for (limit, both, now, expected) in [
            (100, 200, None, [format!("{LIMIT}=100"), format!("{BOTH}=200")]),
            // From 30+50 up to 60+80: both first; from 60+80 down to 30+50: memory first.
            (60, 80, Some(30), [format!("{BOTH}=80"), format!("{LIMIT}=60")]),
            (30, 50, Some(60), [format!("{LIMIT}=30"), format!("{BOTH}=50")]),
            (100, -1, Some(1000), [format!("{BOTH}=-1"), format!("{LIMIT}=100")]),
            (-1, 0, None, [format!("{BOTH}=-1?"), format!("{LIMIT}=-1")]),
        ] {
            let json = format!(r#"{{"memory":{{"limit":{limit},"swap":{both}}}}}"#);
            assert_eq!(shown(&json, now), expected, "{limit} {both} {now:?}");
        }
        assert_eq!(shown(r#"{"memory":{"swap":5}}"#, None), [format!("{BOTH}=5")]);
    }

    #[test]
    fn every_controller() {
        for (json, expected) in [
            ("{}", vec![]),
            (
                r#"{"memory":{"limit":0,"swap":0,"swappiness":18446744073709551615},"pids":{},"cpu":{"shares":0}}"#,
                vec![],
            ),
            (
                r#"{"memory":{"reservation":7,"disableOOMKiller":true,"swappiness":60,"kernel":1}}"#,
                vec!["memory.soft_limit_in_bytes=7", "memory.oom_control=1", "memory.swappiness=60"],
            ),
            (
                r#"{"cpu":{"shares":100,"quota":500,"period":1000,"burst":0,"idle":1,"cpus":"0-1","mems":"0"}}"#,
                vec![
                    "cpuset.cpus=0-1",
                    "cpuset.mems=0",
                    "cpu.shares=100",
                    "cpu.cfs_period_us=1000~",
                    "cpu.cfs_burst_us=0?~",
                    "cpu.cfs_quota_us=500",
                    "cpu.idle=1",
                ],
            ),
            (r#"{"cpu":{"period":1000,"quota":0}}"#, vec!["cpu.cfs_period_us=1000"]),
            (
                r#"{"cpu":{"realtimeRuntime":5,"realtimePeriod":9}}"#,
                vec!["cpu.rt_period_us=9~", "cpu.rt_runtime_us=5"],
            ),
            (r#"{"pids":{"limit":0}}"#, vec!["pids.max=1"]),
            (r#"{"pids":{"limit":-1}}"#, vec!["pids.max=max"]),
            (
                r#"{"blockIO":{"weight":10,"leafWeight":20,"weightDevice":[{"major":8,"minor":0,"weight":30,
                    "leafWeight":40}],"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":1}],
                    "throttleWriteIOPSDevice":[{"major":8,"minor":2,"rate":2}]}}"#,
                vec![
                    "blkio.weight=10|blkio.bfq.weight=10",
                    "blkio.leaf_weight=20",
                    "blkio.weight_device=8:0 30|blkio.bfq.weight_device=8:0 30",
                    "blkio.leaf_weight_device=8:0 40",
                    "blkio.throttle.read_bps_device=8:1 1",
                    "blkio.throttle.write_iops_device=8:2 2",
                ],
            ),
            (
                r#"{"hugepageLimits":[{"pagesize":"2MB","limit":9}]}"#,
                vec!["hugetlb.2MB.limit_in_bytes=9", "hugetlb.2MB.rsvd.limit_in_bytes=9?"],
            ),
            (
                r#"{"network":{"classID":1048577,"priorities":[{"name":"eth0","priority":5}]}}"#,
                vec!["net_cls.classid=1048577", "net_prio.ifpriomap=eth0 5"],
            ),
            (
                r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":1}}}"#,
                vec!["rdma.max=mlx4_0 hca_object=1", "rdma.max=mlx5_1 hca_handle=3 hca_object=10000"],
            ),
        ] {
            assert_eq!(shown(json, None), expected, "{json}");
        }
    }

    #[test]
    fn refused_before_anything_is_written() {
        for (json, text) in [
            (r#"{"unified":{"memory.min":"1"}}"#, "invalid configuration: cannot use unified on cgroup v1"),
            (
                r#"{"memory":{"swappiness":101}}"#,
                "invalid memory swappiness value: 101 (valid range is 0-100)",
            ),
            (r#"{"cpu":{"shares":1}}"#, "the minimum allowed cpu-shares is 2"),
            (r#"{"cpu":{"shares":262145}}"#, "the maximum allowed cpu-shares is 262144"),
            (
                r#"{"hugepageLimits":[{"pageSize":"2MB/../x","limit":9}]}"#,
                "huge page size \"2MB/../x\" is not of the form 64KB, 2MB or 1GB",
            ),
        ] {
            assert_eq!(refusal(json), text);
        }
    }
}
