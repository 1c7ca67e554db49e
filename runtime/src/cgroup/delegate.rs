//! Hands a cgroup over to the user of a container (cgroup v2 only: v1 was not made for it). Changes the owner of what
//! the kernel lists, never of a limit.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{Gid, Uid, fchownat};

use super::{Cgroup, Version};
use crate::error::{OrFail, Result};

/// What the oldest kernels with cgroup v2 hand over, before they listed it themselves (kernel 4.15).
const FILES: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

/// See [`Cgroup::delegate`].
pub(super) fn delegate(cgroup: &Cgroup, uid: u32, gid: u32) -> Result<()> {
    let list = std::fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap_or_else(|_| FILES.to_owned());
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    for node in cgroup.nodes.iter().filter(|n| n.version == Version::V2) {
        let dir = node.open().or_fail("openat2", || format!("delegate {}", node.path))?;
        fchownat(dir.as_fd(), "", uid, gid, AtFlags::AT_EMPTY_PATH)
            .or_fail("fchownat", || format!("delegate {}", node.path))?;
        for file in list.lines().filter(|f| !f.contains('/')) {
            match fchownat(dir.as_fd(), file, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW) {
                // Files of controllers that are off here.
                Ok(()) | Err(Errno::ENOENT) => {}
                result => result.or_fail("fchownat", || format!("delegate {}/{file}", node.path))?,
            }
        }
    }
    Ok(())
}
