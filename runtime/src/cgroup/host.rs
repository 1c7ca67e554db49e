//! Reads which cgroup hierarchies this host has, where they are mounted and where this process lies in them.
//! Changes nothing.
//!
//! Where the mounts are is asked of statfs(2) first: one small call a hierarchy, where /proc/self/mountinfo costs the
//! kernel one line for every mount of the host. mountinfo is read only when a hierarchy is not at its usual place.

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};

use super::Mode;
use crate::error::{Error, Kind, OrFail, Result};

/// Where hierarchies are mounted by convention (man 7 cgroups, file-hierarchy(7)).
pub(super) const ROOT: &str = "/sys/fs/cgroup";
/// Where a hybrid host has the unified hierarchy.
pub(super) const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// One cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// What is bound to it: controllers, `name=…`, or one empty word for the unified hierarchy.
    pub(super) controllers: Vec<String>,
    /// Its mount point.
    pub(super) mount: String,
    /// This process's cgroup, from the root of the hierarchy (or of the cgroup namespace).
    pub(super) own: String,
}

/// What of cgroups this host has.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) mode: Mode,
    pub(super) hierarchies: Vec<Hierarchy>,
}

/// A line of /proc/self/mountinfo about a cgroup file system.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    root: String,
    point: String,
    options: String,
}

/// The layout of this host.
pub(super) fn mode() -> Mode {
    if is(ROOT, CGROUP2_SUPER_MAGIC) {
        Mode::V2
    } else if is(UNIFIED, CGROUP2_SUPER_MAGIC) {
        Mode::Hybrid
    } else {
        Mode::V1
    }
}

/// Reads the layout of a host of that mode.
pub(super) fn read(mode: Mode) -> Result<Host> {
    let text = std::fs::read_to_string("/proc/self/cgroup").or_fail("open", || "read /proc/self/cgroup")?;
    let mut mounts = None;
    let mut hierarchies = Vec::with_capacity(12);
    for (names, own) in text.lines().filter_map(membership) {
        let mount = match (mode, names) {
            (Mode::V2, "") => Some(ROOT.to_owned()),
            (Mode::Hybrid, "") => Some(UNIFIED.to_owned()),
            (Mode::V2, _) | (Mode::V1, "") => None,
            (_, names) => match usual_place(names) {
                Some(place) => Some(place),
                None => find(names, mounts.get_or_insert_with(read_mounts)),
            },
        };
        if let Some(mount) = mount {
            let controllers = names.split(',').map(str::to_owned).collect();
            hierarchies.push(Hierarchy { controllers, mount, own: own.to_owned() });
        }
    }
    if hierarchies.is_empty() {
        return Err(Error::new(Kind::Host, format!("find a cgroup hierarchy: none is mounted below {ROOT}"))
            .hint(format!("mount cgroup2 on {ROOT}")));
    }
    Ok(Host { mode, hierarchies })
}

impl Hierarchy {
    /// The directory of this process's own cgroup. Behind a bind mount of a part of the hierarchy (a container without
    /// a cgroup namespace) `own` begins at a root that can't be seen, so the mount's root is taken off.
    pub(super) fn own_directory(&self) -> String {
        use std::os::unix::fs::MetadataExt;
        // The root of every kernfs hierarchy has inode 1.
        let whole = std::fs::metadata(&self.mount).is_ok_and(|m| m.ino() == 1);
        let inside = if whole {
            self.own.as_str()
        } else {
            let root = read_mounts().into_iter().find(|m| m.point == self.mount).map(|m| m.root);
            below(root.as_deref().unwrap_or("/"), &self.own)
        };
        join(&self.mount, inside)
    }
}

/// `path` with the leading directory `root` taken off; "/" if it does not lie there.
fn below<'a>(root: &str, path: &'a str) -> &'a str {
    let root = root.trim_end_matches('/');
    match path.strip_prefix(root) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => "/",
    }
}

/// `base` and the path `inside` it, whose `.` and `..` are resolved as if `base` were the root: the result never lies
/// outside of `base`.
pub(super) fn join(base: &str, inside: &str) -> String {
    let inside = clean(inside);
    if inside.is_empty() { base.to_owned() } else { format!("{}/{inside}", base.trim_end_matches('/')) }
}

/// A path without `.`, `..`, doubled and outer slashes, as if it began at the root.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// `3:cpu,cpuacct:/a` → ("cpu,cpuacct", "/a").
fn membership(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(':')?;
    rest.split_once(':')
}

/// The directory below /sys/fs/cgroup that a hierarchy is mounted on by convention, if one is.
fn usual_place(names: &str) -> Option<String> {
    let place = format!("{ROOT}/{}", names.strip_prefix("name=").unwrap_or(names));
    is(&place, CGROUP_SUPER_MAGIC).then_some(place)
}

/// Whether this process lives in another user namespace than the first, which maps all ids to themselves (man 7
/// user_namespaces).
pub(super) fn in_user_namespace() -> bool {
    let first = |map: &str| map.split_whitespace().eq(["0", "0", "4294967295"]);
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !first(&map))
}

fn is(path: &str, kind: FsType) -> bool {
    statfs(path).is_ok_and(|s| s.filesystem_type() == kind)
}

fn read_mounts() -> Vec<Mount> {
    // Without a readable mountinfo there is no hierarchy to find, which the caller reports.
    std::fs::read_to_string("/proc/self/mountinfo").map(|t| parse_mounts(&t)).unwrap_or_default()
}

/// man 5 proc_pid_mountinfo: `id parent dev root point options [tags…] - type source super-options`.
fn parse_mounts(text: &str) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut right = right.split(' ');
        if !matches!(right.next(), Some("cgroup" | "cgroup2")) {
            continue;
        }
        let mut left = left.split(' ');
        let (Some(root), Some(point), Some(options)) = (left.nth(3), left.next(), right.nth(1)) else {
            continue;
        };
        mounts.push(Mount { root: unescape(root), point: unescape(point), options: options.to_owned() });
    }
    mounts
}

/// The mount of the hierarchy that all of `names` (joined by commas) are bound to.
fn find(names: &str, mounts: &[Mount]) -> Option<String> {
    let bound = |m: &&Mount| names.split(',').all(|n| m.options.split(',').any(|o| o == n));
    mounts.iter().find(bound).map(|m| m.point.clone())
}

/// `\040` and its like (octal) as the characters they stand for.
fn unescape(text: &str) -> String {
    let Some((head, tail)) = text.split_once('\\') else { return text.to_owned() };
    let code = tail.get(..3).and_then(|octal| u8::from_str_radix(octal, 8).ok());
    match code {
        Some(code) => format!("{head}{}{}", char::from(code), unescape(&tail[3..])),
        None => format!("{head}\\{}", unescape(tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_never_leave_their_root() {
        for (path, cleaned) in [
            ("/", ""),
            ("", ""),
            (".", ""),
            ("/docker/a", "docker/a"),
            ("a//b/./c/", "a/b/c"),
            ("/../../../etc", "etc"),
            ("../../x", "x"),
            ("/a/../../b/..", ""),
            ("/a/..b/...", "a/..b/..."),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
        }
        assert_eq!(join("/sys/fs/cgroup/cpu", "/../x"), "/sys/fs/cgroup/cpu/x");
        assert_eq!(join("/sys/fs/cgroup/cpu", "/"), "/sys/fs/cgroup/cpu");
    }

    #[test]
    fn own_cgroup_behind_a_bind_mount() {
        for (root, own, inside) in [
            ("/", "/a/b", "/a/b"),
            ("/docker/id", "/docker/id/x", "/x"),
            ("/docker/id", "/docker/id", ""),
            ("/docker/id", "/docker/id2", "/"),
            ("/docker/id", "/other", "/"),
        ] {
            assert_eq!(below(root, own), inside, "{root} {own}");
        }
    }

    #[test]
    fn mountinfo_lines() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
            33 31 0:30 /docker/a\\040b /mnt/c\\134d rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let mounts = parse_mounts(text);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].root, "/docker/a b");
        assert_eq!(mounts[0].point, "/mnt/c\\d");
        assert_eq!(find("cpu,cpuacct", &mounts).as_deref(), Some("/mnt/c\\d"));
        assert_eq!(find("cpuacct", &mounts).as_deref(), Some("/mnt/c\\d"));
        assert_eq!(find("name=systemd", &mounts).as_deref(), Some("/sys/fs/cgroup/systemd"));
        assert_eq!(find("pids", &mounts), None);
    }

    #[test]
    fn membership_lines() {
        assert_eq!(membership("9:name=systemd:/"), Some(("name=systemd", "/")));
        assert_eq!(membership("0::/user.slice/a:b"), Some(("", "/user.slice/a:b")));
        assert_eq!(membership("nonsense"), None);
    }

    #[test]
    fn fuzz() {
        let seeds: [&[u8]; 2] = [
            b"30 24 0:26 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n31 24 0:27 /a\\040b /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
            b"33 1 8:1 / / rw shared:1 master:2 - ext4 /dev/sda1 rw\n34 33 0:5 / /x\\134\\012 rw - cgroup x name=systemd,xattr\n",
        ];
        crate::fuzz::run("mountinfo", &seeds, |bytes| {
            let mounts = parse_mounts(&String::from_utf8_lossy(bytes));
            format!(
                "{} {:?}",
                "x".repeat(mounts.len().min(5)),
                mounts.first().map(|mount| mount.root.is_empty())
            )
        });
    }
}
