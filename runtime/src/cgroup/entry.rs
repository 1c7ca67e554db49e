//! The doors into a container's cgroups, opened by the parent, walked through by the child. The child's part allocates
//! nothing.

use std::os::fd::OwnedFd;

use super::dir::write_line;

/// Open doors. Both sides have it: the parent passes `into` to clone3, the child calls [`Entry::join`] first of all.
#[derive(Debug, Default)]
pub struct Entry {
    /// For `CLONE_INTO_CGROUP`: the directory in the unified hierarchy, where there is one. A write to cgroup.procs
    /// waits for an RCU grace period, about 10 ms on an idle host; being born there waits for nothing.
    pub into: Option<OwnedFd>,
    /// The `tasks` files of the v1 hierarchies.
    pub tasks: Vec<OwnedFd>,
}

impl Entry {
    /// Moves the calling process, which must have one thread, into the v1 cgroups. `0` names the caller whatever its pid
    /// namespace; of `tasks`, unlike cgroup.procs, the kernel then asks no lock of all other processes.
    pub fn join(&self) -> nix::Result<()> {
        self.tasks.iter().try_for_each(|tasks| write_line(tasks, "0"))
    }
}
