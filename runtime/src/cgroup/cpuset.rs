//! A v1 cpuset without CPUs or memory nodes lets nobody in (ENOSPC, Documentation/admin-guide/cgroup-v1/cpusets.rst):
//! what nobody set is inherited from above. Never changes a set that has a value.

use super::dir::Dir;
use crate::error::{OrFail, Result};

const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Whoever is above the container's cpuset, with a value in both of its files, made so if need be. Before the
/// container's own is written: a set must be part of its parent's.
pub(super) fn above(dir: &Dir, mount: &str) -> Result<Dir> {
    let path = dir.path().rsplit_once('/').map_or("/", |(parent, _)| parent);
    let parent = Dir::open(path).or_fail("openat2", || format!("open {path}"))?;
    // The root of the hierarchy is never empty.
    if path.len() > mount.len() {
        let empty = empty(&parent)?;
        if !empty.is_empty() {
            inherit(&parent, &above(&parent, mount)?, &empty)?;
        }
    }
    Ok(parent)
}

/// Gives the container's cpuset what it has not got: in a fresh one that is all that was not `set`.
pub(super) fn fill(dir: &Dir, parent: &Dir, fresh: bool, set: &[&str]) -> Result<()> {
    let empty = if fresh { FILES.into_iter().filter(|f| !set.contains(f)).collect() } else { empty(dir)? };
    inherit(dir, parent, &empty)
}

fn empty(dir: &Dir) -> Result<Vec<&'static str>> {
    let mut empty = Vec::new();
    for file in FILES {
        if dir.value(file).map_err(|errno| dir.unread(file, errno))?.is_empty() {
            empty.push(file);
        }
    }
    Ok(empty)
}

fn inherit(dir: &Dir, from: &Dir, files: &[&str]) -> Result<()> {
    for file in files {
        let value = from.value(file).map_err(|errno| from.unread(file, errno))?;
        dir.set(file, &value)?;
    }
    Ok(())
}
