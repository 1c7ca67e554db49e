//! `linux` of config.json (runtime-spec, config-linux.md). Only data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::schedule::MemoryPolicy;
use super::{nullable, object, oci, seccomp, unique_map};

/// Everything of config.json that is Linux's own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// User ids inside → outside.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<oci::LinuxIdMapping>,
    /// Group ids inside → outside.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<oci::LinuxIdMapping>,
    /// Kernel parameters.
    #[serde(deserialize_with = "unique_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, String>,
    /// cgroup limits.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the container's cgroup lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroups_path: Option<String>,
    /// Namespaces to make or to join.
    #[serde(deserialize_with = "nullable")]
    pub namespaces: Vec<oci::LinuxNamespace>,
    /// Device nodes beyond the default ones.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<oci::LinuxDevice>,
    /// Host network devices to move in.
    #[serde(deserialize_with = "unique_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub net_devices: BTreeMap<String, oci::LinuxNetDevice>,
    /// System call filter; none for a profile that says nothing.
    #[serde(deserialize_with = "seccomp::profile", skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<oci::LinuxSeccomp>,
    /// Propagation of the root mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs_propagation: Option<String>,
    /// Paths hidden from the container.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub masked_paths: Vec<String>,
    /// Paths made read-only.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub readonly_paths: Vec<String>,
    /// SELinux label of the mounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_label: Option<String>,
    /// Cache and memory bandwidth allocation.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdt>,
    /// Execution domain.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub personality: Option<oci::LinuxPersonality>,
    /// NUMA memory policy.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// Clock offsets of a new time namespace.
    #[serde(deserialize_with = "unique_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub time_offsets: BTreeMap<String, oci::LinuxTimeOffset>,
}

/// cgroup limits; also what `update --resources` reads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Device access rules, in order.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<oci::LinuxDeviceCgroup>,
    /// Memory.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub memory: Option<oci::LinuxMemory>,
    /// CPU time and placement.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub cpu: Option<oci::LinuxCpu>,
    /// Number of tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<Pids>,
    /// Block I/O.
    #[serde(rename = "blockIO", skip_serializing_if = "Option::is_none")]
    pub block_io: Option<oci::LinuxBlockIo>,
    /// Huge pages.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Network class and priorities (cgroup v1).
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub network: Option<oci::LinuxNetwork>,
    /// RDMA.
    #[serde(deserialize_with = "unique_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub rdma: BTreeMap<String, oci::LinuxRdma>,
    /// cgroup v2 files as they are.
    #[serde(deserialize_with = "unique_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub unified: BTreeMap<String, String>,
}

/// Limit of the number of tasks. oci-spec 0.10 reads an absent limit as 0, which is the lowest limit there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Pids {
    /// Below 0: unlimited. Absent: left as it is (runtime-spec 1.3, config-linux.md#pids).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// Limit of huge pages of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugepageLimit {
    /// `64KB`, `2MB`, `1GB`. Go reads field names in any case, so there are bundles that write `pagesize`.
    #[serde(alias = "pagesize")]
    pub page_size: String,
    /// Bytes.
    pub limit: u64,
}

/// Intel Resource Director Technology (kernel Documentation/filesystems/resctrl.rst).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// Class of service.
    #[serde(rename = "closID", skip_serializing_if = "Option::is_none")]
    pub clos_id: Option<String>,
    /// Lines written to `schemata` as they are.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub schemata: Vec<String>,
    /// L3 cache lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_schema: Option<String>,
    /// Memory bandwidth lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_schema: Option<String>,
    /// Make a monitoring group.
    pub enable_monitoring: bool,
}
