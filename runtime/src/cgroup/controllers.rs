//! Controllers of the unified hierarchy: which there are, and handing them down to the container's cgroup
//! (Documentation/admin-guide/cgroup-v2.rst, controlling controllers). Never turns one off.

use super::dir::Dir;
use super::{Node, host};
use crate::error::{Error, Kind, OrFail, Result};

/// The controllers that the hierarchy has.
pub(super) fn offered(node: &Node) -> Result<Vec<String>> {
    let mount = if node.mount.is_empty() { host::ROOT } else { &node.mount };
    let root = Dir::open(mount).or_fail("openat2", || format!("open {mount}"))?;
    let list = root.value("cgroup.controllers").map_err(|errno| root.unread("cgroup.controllers", errno))?;
    Ok(list.split_whitespace().map(str::to_owned).collect())
}

/// Hands every controller of the hierarchy down to the container's cgroup. What can't be had is no error here: a limit
/// that needs it is.
pub(super) fn enable_all(node: &Node, dir: &Dir) -> Result<()> {
    let offered = offered(node)?;
    let has = dir.value("cgroup.controllers").map_err(|errno| dir.unread("cgroup.controllers", errno))?;
    let missing: Vec<&str> =
        offered.iter().map(String::as_str).filter(|c| !has.split(' ').any(|h| h == *c)).collect();
    enable(node, &missing);
    Ok(())
}

/// Hands controllers down from the root of the hierarchy to the container's cgroup, as far as each level lets us.
pub(super) fn enable(node: &Node, wanted: &[&str]) {
    if wanted.is_empty() {
        return;
    }
    let all: Vec<String> = wanted.iter().map(|c| format!("+{c}")).collect();
    for path in levels(&node.mount, &node.path) {
        let Ok(dir) = Dir::open(path) else { continue };
        // A word that is refused takes the whole line with it.
        if dir.write("cgroup.subtree_control", &all.join(" ")).is_err() {
            for word in &all {
                if let Err(errno) = dir.write("cgroup.subtree_control", word) {
                    log::debug!("write {word} to {path}/cgroup.subtree_control: {errno}");
                }
            }
        }
    }
}

/// Refuses, or makes usable, a cgroup in which the kernel would run no process with the limits asked for. `domain`: a
/// limit needs a controller that threaded cgroups can't have.
pub(super) fn check_type(node: &Node, dir: &Dir, domain: bool) -> Result<()> {
    // Every cgroup on the way down to a plain domain is usable.
    if matches!(dir.value("cgroup.type").as_deref(), Ok("domain") | Err(_)) {
        return Ok(());
    }
    for path in levels(&node.mount, &node.path).skip(1).chain([node.path.as_str()]) {
        let dir = Dir::open(path).or_fail("openat2", || format!("open {path}"))?;
        let Ok(kind) = dir.value("cgroup.type") else { continue };
        if let Some(state) = state(&kind).filter(|_| domain) {
            let text = format!("cannot enter cgroupv2 {path:?} with domain controllers -- it is in {state}");
            return Err(Error::new(Kind::Host, text)
                .hint("take the processes out of the cgroups above it, or give a cgroupsPath elsewhere"));
        }
        if kind == "domain invalid" {
            dir.set("cgroup.type", "threaded")?;
        }
    }
    Ok(())
}

/// The words for a type that takes no domain controllers.
fn state(kind: &str) -> Option<String> {
    match kind {
        "domain invalid" => Some("an invalid state".to_owned()),
        "domain threaded" | "threaded" => Some(format!("{kind} mode")),
        _ => None,
    }
}

/// The mount point and every directory below it down to the parent of `path`.
fn levels<'p>(mount: &str, path: &'p str) -> impl Iterator<Item = &'p str> {
    let top = mount.len();
    path.match_indices('/').map(|(end, _)| &path[..end]).filter(move |p| p.len() >= top && !p.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn way_down() {
        for (path, expected) in [
            ("/sys/fs/cgroup/id", &["/sys/fs/cgroup"][..]),
            ("/sys/fs/cgroup/a/b/id", &["/sys/fs/cgroup", "/sys/fs/cgroup/a", "/sys/fs/cgroup/a/b"]),
        ] {
            assert_eq!(levels("/sys/fs/cgroup", path).collect::<Vec<_>>(), expected);
        }
    }
}
