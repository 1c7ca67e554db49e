//! Hands a cgroup over to the user of a container (cgroup v2 only: v1 was not made for it). Changes the owner of what
//! the kernel lists, never of a limit.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstat;
use nix::unistd::{Uid, fchownat};

use super::{Cgroup, Version, freeze};
use crate::error::{OrFail, Result};

/// What the oldest kernels with cgroup v2 hand over, before they listed it themselves (kernel 4.15).
const FILES: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

/// See [`Cgroup::delegate`].
pub(super) fn delegate(cgroup: &Cgroup, uid: u32) -> Result<()> {
    // On a host with v1 hierarchies too nobody expects it.
    let [node] = &cgroup.nodes[..] else { return Ok(()) };
    if node.version != Version::V2 {
        return Ok(());
    }
    let dir = match node.open() {
        Err(errno) if freeze::gone(errno) => return Ok(()),
        result => result.or_fail("openat2", || format!("delegate {}", node.path))?,
    };
    let now = fstat(dir.as_fd()).or_fail("fstat", || format!("delegate {}", node.path))?;
    if now.st_uid == uid {
        return Ok(());
    }
    let list = std::fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap_or_else(|_| FILES.to_owned());
    let uid = Some(Uid::from_raw(uid));
    for file in std::iter::once("").chain(list.lines().filter(|f| !f.contains('/'))) {
        let flags = AtFlags::AT_EMPTY_PATH | AtFlags::AT_SYMLINK_NOFOLLOW;
        match fchownat(dir.as_fd(), file, uid, None, flags) {
            // Files of controllers that are off here.
            Ok(()) | Err(Errno::ENOENT) => {}
            // Who is not root can give nothing to another.
            Err(Errno::EPERM) if cgroup.is_rootless() => {
                log::debug!("the cgroup {} stays the caller's", node.path);
                return Ok(());
            }
            result => result.or_fail("fchownat", || format!("delegate {}/{file}", node.path))?,
        }
    }
    Ok(())
}
