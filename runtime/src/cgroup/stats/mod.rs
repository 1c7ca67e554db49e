//! What a container uses, with the names that `events --stats` has had since runc's beginnings. Only data;
//! `collect` reads it.

mod collect;
mod read;
mod v1;
mod v2;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::resctrl;

pub(super) use collect::stats;

/// Everything that is counted for a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// CPU time.
    pub cpu: Cpu,
    /// CPUs and memory nodes (v1).
    pub cpuset: Cpuset,
    /// Memory.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block I/O.
    pub blkio: Blkio,
    /// Huge pages, by size.
    pub hugetlb: BTreeMap<String, Hugetlb>,
    /// Always there; empty for a container without a resctrl group.
    pub intel_rdt: resctrl::Stats,
    /// Always there; null as in runc.
    pub network_interfaces: Option<Vec<String>>,
}

/// CPU time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// Time used.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: CpuUsage,
    /// Time not given.
    #[serde(skip_serializing_if = "is_default")]
    pub throttling: Throttling,
    /// Time waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// CPU time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuUsage {
    /// All of it.
    #[serde(skip_serializing_if = "is_default")]
    pub total: u64,
    /// By CPU (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// In the kernel, by CPU (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// In user space, by CPU (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In user space.
    pub user: u64,
}

/// What the quota did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods with a quota.
    #[serde(skip_serializing_if = "is_default")]
    pub periods: u64,
    /// Periods in which it was used up.
    #[serde(skip_serializing_if = "is_default")]
    pub throttled_periods: u64,
    /// Nanoseconds stood still.
    #[serde(skip_serializing_if = "is_default")]
    pub throttled_time: u64,
}

/// Pressure stall information (Documentation/accounting/psi.rst).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Psi {
    /// Some tasks waited.
    #[serde(skip_serializing_if = "is_default")]
    pub some: Pressure,
    /// All tasks waited.
    #[serde(skip_serializing_if = "is_default")]
    pub full: Pressure,
}

/// Shares of time in percent, and a total in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// Over 10 s.
    pub avg10: f64,
    /// Over 60 s.
    pub avg60: f64,
    /// Over 300 s.
    pub avg300: f64,
    /// Since the beginning.
    pub total: u64,
}

/// cpuset v1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cpuset {
    /// CPUs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    /// `cpuset.cpu_exclusive`.
    pub cpu_exclusive: u64,
    /// Memory nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    /// `cpuset.mem_hardwall`.
    pub mem_hardwall: u64,
    /// `cpuset.mem_exclusive`.
    pub mem_exclusive: u64,
    /// `cpuset.memory_migrate`.
    pub memory_migrate: u64,
    /// `cpuset.memory_spread_page`.
    pub memory_spread_page: u64,
    /// `cpuset.memory_spread_slab`.
    pub memory_spread_slab: u64,
    /// `cpuset.memory_pressure`.
    pub memory_pressure: u64,
    /// `cpuset.sched_load_balance`.
    pub sched_load_balance: u64,
    /// `cpuset.sched_relax_domain_level`.
    pub sched_relax_domain_level: i64,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Page cache, bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub cache: u64,
    /// Memory.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: MemoryEntry,
    /// Memory and swap together.
    #[serde(skip_serializing_if = "is_default")]
    pub swap: MemoryEntry,
    /// Kernel memory (v1).
    #[serde(skip_serializing_if = "is_default")]
    pub kernel: MemoryEntry,
    /// TCP buffers (v1).
    #[serde(rename = "kernelTCP", skip_serializing_if = "is_default")]
    pub kernel_tcp: MemoryEntry,
    /// memory.stat as it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// Time waited for memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
    /// Swap alone (v2). Not in the JSON.
    #[serde(skip)]
    pub swap_only: MemoryEntry,
    /// memory.events (v2). Not in the JSON.
    #[serde(skip)]
    pub events: BTreeMap<String, u64>,
}

/// One counter of memory, in bytes; no limit is the largest number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEntry {
    /// The limit.
    pub limit: u64,
    /// In use.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// The most ever in use.
    #[serde(skip_serializing_if = "is_default")]
    pub max: u64,
    /// How often the limit was hit (v1).
    pub failcnt: u64,
}

/// Tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pids {
    /// How many there are.
    #[serde(skip_serializing_if = "is_default")]
    pub current: u64,
    /// How many there may be; 0 is no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

/// Block I/O.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blkio {
    /// Bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    /// Operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    /// Waiting operations.
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlkioEntry>,
    /// Nanoseconds of service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    /// Nanoseconds of waiting.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    /// Merged operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    /// Milliseconds of device time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlkioEntry>,
    /// Sectors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioEntry>,
    /// Time waited for I/O.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// A counter of one device and one kind of operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlkioEntry {
    /// Device number, major part.
    #[serde(skip_serializing_if = "is_default")]
    pub major: u64,
    /// Device number, minor part.
    #[serde(skip_serializing_if = "is_default")]
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// The count.
    #[serde(skip_serializing_if = "is_default")]
    pub value: u64,
}

/// Huge pages of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hugetlb {
    /// Bytes in use.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// The most ever in use (v1).
    #[serde(skip_serializing_if = "is_default")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_that_of_events() {
        // What runc prints of zeros: omitted where its types say so, and never a key more.
        assert_eq!(
            serde_json::to_string(&Stats::default()).unwrap(),
            concat!(
                r#"{"cpu":{},"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"#,
                r#""memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"#,
                r#""sched_relax_domain_level":0},"memory":{},"pids":{},"blkio":{},"hugetlb":{},"intel_rdt":{},"#,
                r#""network_interfaces":null}"#
            )
        );
        let mut stats = Stats::default();
        stats.cpu.usage.total = 5;
        stats.cpu.throttling.throttled_time = 6;
        stats.cpu.psi =
            Some(Psi { some: Pressure { total: 7, ..Pressure::default() }, full: Pressure::default() });
        stats.memory.kernel_tcp.failcnt = 1;
        stats.memory.raw.insert("rss".into(), 0);
        stats.blkio.io_queued_recursive.push(BlkioEntry { major: 8, minor: 0, op: "Read".into(), value: 1 });
        stats.hugetlb.insert("2MB".into(), Hugetlb::default());
        let json = serde_json::to_value(&stats).unwrap();
        assert_eq!(json["cpu"]["usage"], serde_json::json!({"total": 5, "kernel": 0, "user": 0}));
        assert_eq!(json["cpu"]["throttling"], serde_json::json!({"throttledTime": 6}));
        assert_eq!(
            json["cpu"]["psi"],
            serde_json::json!({"some": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 7}})
        );
        assert_eq!(json["memory"]["kernelTCP"], serde_json::json!({"limit": 0, "failcnt": 1}));
        assert_eq!(json["memory"]["raw"], serde_json::json!({"rss": 0}));
        assert_eq!(
            json["blkio"]["ioQueueRecursive"],
            serde_json::json!([{"major": 8, "op": "Read", "value": 1}])
        );
        assert_eq!(json["hugetlb"]["2MB"], serde_json::json!({"failcnt": 0}));
    }
}
