//! The end of a container's cgroups. Never says that all is well while one is left, and removes nothing that is no
//! cgroup.

use std::time::Duration;

use nix::errno::Errno;

use super::dir::Dir;
use super::freeze::gone;
use super::{Cgroup, kill};
use crate::error::{Error, Result};
use crate::wait;

/// The pauses between attempts while processes are on their way out: 3 s together. A killed process stays in its
/// cgroup until the kernel has taken its memory down.
const PAUSES: [u64; 10] = [1, 2, 4, 8, 16, 64, 128, 256, 1024, 1500];

/// See [`Cgroup::remove`].
pub(super) async fn remove(cgroup: &Cgroup) -> Result<()> {
    let mut left: Vec<(&str, Errno)> = Vec::new();
    for node in cgroup.nodes.iter().filter(|n| n.is_ours()) {
        left.extend(remove_tree(&node.path).err().map(|errno| (node.path.as_str(), errno)));
    }
    // One wait serves all hierarchies.
    for pause in PAUSES {
        if !left.iter().any(|(_, errno)| *errno == Errno::EBUSY) {
            break;
        }
        wait::sleep(Duration::from_millis(pause)).await;
        left =
            left.iter().filter_map(|(path, _)| remove_tree(path).err().map(|errno| (*path, errno))).collect();
    }
    match left.first() {
        None => end_unit(cgroup).await,
        Some((path, errno)) => Err(failure(path, *errno, left.len())),
    }
}

/// With its cgroup gone a scope ends by itself; but only systemd says when its name is free again.
async fn end_unit(cgroup: &Cgroup) -> Result<()> {
    let Some(scope) = &cgroup.scope else { return Ok(()) };
    scope.release();
    scope.stop().await
}

fn failure(path: &str, errno: Errno, count: usize) -> Error {
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    let error = Error::os("rmdir", errno, format!("remove cgroup {path}{more}"));
    match Dir::open(path).and_then(|dir| kill::processes(&dir)) {
        Ok(pids) if !pids.is_empty() => error.hint(format!("processes are still in it: {pids:?}")),
        _ => error,
    }
}

/// Removes a cgroup and all below it; one that is not there is removed already.
fn remove_tree(path: &str) -> nix::Result<()> {
    let (parent, name) = path.rsplit_once('/').ok_or(Errno::EINVAL)?;
    match Dir::open(parent) {
        Err(Errno::ENOENT) => Ok(()),
        parent => remove_child(&parent?, name),
    }
}

fn remove_child(parent: &Dir, name: &str) -> nix::Result<()> {
    if matches!(parent.remove_below(name), Ok(()) | Err(Errno::ENOENT)) {
        return Ok(());
    }
    // Processes or sub-cgroups are in it (both are EBUSY), or the file system is read-only, which the kernel says even
    // of what is not there.
    let dir = match parent.open_below(name) {
        Err(errno) if gone(errno) => return Ok(()),
        dir => dir?,
    };
    match dir.children() {
        Err(errno) if gone(errno) => {}
        children => {
            for child in children? {
                // Whether all of them went, the kernel says below.
                let _ = remove_child(&dir, &child);
            }
        }
    }
    match parent.remove_below(name) {
        Err(Errno::ENOENT) => Ok(()),
        result => result,
    }
}
