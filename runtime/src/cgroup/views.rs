//! The container's cgroups as they are to appear inside of it. Mounts nothing itself.

use super::Version;

/// One hierarchy, for a mount of type "cgroup" in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The language of its files.
    pub version: Version,
    /// The name of its directory below /sys/fs/cgroup: `memory`, `cpu,cpuacct`, `systemd`; empty for the unified one.
    pub name: String,
    /// The mount data that makes this hierarchy: `cpu,cpuacct`, `none,name=systemd`; empty for the unified one.
    pub data: String,
    /// Where the host has it mounted.
    pub mount: String,
    /// The container's cgroup on the host: an absolute path below `mount`.
    pub path: String,
    /// Symbolic links to `name` that v1 programs look for: `cpu` and `cpuacct` for `cpu,cpuacct`.
    pub links: Vec<String>,
}
