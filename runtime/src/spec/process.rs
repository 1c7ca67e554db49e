//! `process` of config.json and of `exec --process`: who runs and as what. Only data.

use serde::{Deserialize, Serialize};

use super::schedule::Scheduler;
use super::{nullable, object, oci};

/// The process to run in a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Give it a pseudo terminal.
    pub terminal: bool,
    /// The terminal's size.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub console_size: Option<oci::Box>,
    /// Ids as seen inside the container.
    pub user: User,
    /// The program and its arguments.
    #[serde(deserialize_with = "nullable")]
    pub args: Vec<String>,
    /// `NAME=value` pairs.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Working directory, absolute.
    pub cwd: String,
    /// The five capability sets.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Resource limits.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub rlimits: Vec<oci::PosixRlimit>,
    /// Set `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// AppArmor profile to change to on exec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor_profile: Option<String>,
    /// Adjusts the kernel's out-of-memory score, -1000 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// SELinux label to run under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selinux_label: Option<String>,
    /// I/O priority.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<oci::LinuxIOPriority>,
    /// CPU scheduler.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    /// CPU affinity of an exec.
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<ExecCpuAffinity>,
}

impl Process {
    /// What a process of an exec leaves out is as `own`, the container's first process, has it. runc's rule: an exec
    /// never has more than the container because somebody forgot a field.
    #[must_use]
    pub fn completed(mut self, own: &Self) -> Self {
        fn or<T: Clone>(field: &mut Option<T>, own: Option<&T>) {
            if field.is_none() {
                *field = own.cloned();
            }
        }
        or(&mut self.capabilities, own.capabilities.as_ref());
        or(&mut self.oom_score_adj, own.oom_score_adj.as_ref());
        or(&mut self.io_priority, own.io_priority.as_ref());
        or(&mut self.scheduler, own.scheduler.as_ref());
        or(&mut self.exec_cpu_affinity, own.exec_cpu_affinity.as_ref());
        or(&mut self.user.umask, own.user.umask.as_ref());
        for (field, own) in [
            (&mut self.apparmor_profile, &own.apparmor_profile),
            (&mut self.selinux_label, &own.selinux_label),
        ] {
            if field.as_ref().is_none_or(String::is_empty) {
                field.clone_from(own);
            }
        }
        if self.rlimits.is_empty() {
            self.rlimits.clone_from(&own.rlimits);
        }
        self
    }
}

/// Ids of the process, inside the container's user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// File mode creation mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Supplementary groups.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
}

/// Capability names as written; which of them exist is decided later, since an unknown one is only a warning
/// (runtime-spec, config.md#linux-process).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Capabilities {
    /// Limits what the process and its children can ever gain.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub bounding: Vec<String>,
    /// What the kernel checks.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub effective: Vec<String>,
    /// Kept over an exec of a file with inheritable file capabilities.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub inheritable: Vec<String>,
    /// What may be made effective.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub permitted: Vec<String>,
    /// Kept over an exec of an ordinary file.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub ambient: Vec<String>,
}

/// CPUs of an exec before and after it moves into the container's cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct ExecCpuAffinity {
    /// CPU list for the runtime's own part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    /// CPU list for the process.
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}
