//! `process.scheduler` and `linux.memoryPolicy` of config.json. Words stay words here: oci-spec 0.10 lacks two of the
//! runtime-spec's scheduler flags, and an unknown memory policy has an error text that engines know. Only data.

use serde::{Deserialize, Serialize};

use super::nullable;

/// CPU scheduler (runtime-spec, config.md#linux-process; man 2 sched_setattr).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scheduler {
    /// `SCHED_*`.
    pub policy: String,
    /// -20 to 19, of SCHED_OTHER and SCHED_BATCH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// 1 to 99, of SCHED_FIFO and SCHED_RR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// `SCHED_FLAG_*`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Nanoseconds, of SCHED_DEADLINE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<u64>,
    /// Nanoseconds, of SCHED_DEADLINE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// Nanoseconds, of SCHED_DEADLINE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
}

/// NUMA memory policy (runtime-spec, config-linux.md#memory-policy; man 2 set_mempolicy).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryPolicy {
    /// `MPOL_*`.
    pub mode: String,
    /// Nodes in list format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    /// `MPOL_F_*`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}
