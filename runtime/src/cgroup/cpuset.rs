//! A v1 cpuset without CPUs or memory nodes lets nobody in (ENOSPC, Documentation/admin-guide/cgroup-v1/cpusets.rst):
//! what nobody set is inherited from above. Never changes a set that has a value.

use super::dir::Dir;
use crate::error::{OrFail, Result};

const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Gives the container's cpuset what it has not got.
pub(super) fn fill(dir: &Dir) -> Result<()> {
    let empty = empty(dir)?;
    if empty.is_empty() { Ok(()) } else { inherit(dir, &parent(dir)?, &empty) }
}

/// Gives every cpuset between the mount point and the container's what it has not got.
pub(super) fn fill_above(dir: &Dir, mount: &str) -> Result<()> {
    let above = parent(dir)?;
    // The root of the hierarchy is never empty.
    if above.path().len() <= mount.len() {
        return Ok(());
    }
    let empty = empty(&above)?;
    if empty.is_empty() {
        return Ok(());
    }
    fill_above(&above, mount)?;
    inherit(&above, &parent(&above)?, &empty)
}

fn parent(dir: &Dir) -> Result<Dir> {
    let path = dir.path().rsplit_once('/').map_or("/", |(parent, _)| parent);
    Dir::open(path).or_fail("openat2", || format!("open {path}"))
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
