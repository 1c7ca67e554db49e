//! The doors into a container's cgroups, opened by the parent, walked through by the child. The child's part allocates
//! nothing.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Pid;

use super::dir::{Dir, write_line};
use super::{Cgroup, Mode, Node, Version, host};
use crate::error::{Error, Kind, OrFail, Result};

/// Open doors. Both sides have it: the parent passes `into` to clone3, the child calls [`Entry::join`] first of all.
#[derive(Debug, Default)]
pub struct Entry {
    /// For `CLONE_INTO_CGROUP`: the directory in the unified hierarchy, where there is one. A write to cgroup.procs
    /// waits for an RCU grace period, about 10 ms on an idle host; being born there waits for nothing.
    pub into: Option<OwnedFd>,
    /// The `tasks` files of the v1 hierarchies.
    pub tasks: Vec<OwnedFd>,
    /// The unified hierarchy's door can't be walked through from here: the child says when it stands, and waits until
    /// [`Cgroup::attach`] has brought it in.
    pub asks: bool,
    /// Where they all lead: a controller of the hierarchy ("" for v2) and the cgroup's directory.
    places: Vec<(String, String)>,
}

impl Entry {
    /// Moves the calling process, which must have one thread, into the v1 cgroups. `0` names the caller whatever its pid
    /// namespace; of `tasks`, unlike cgroup.procs, the kernel then asks no lock of all other processes.
    pub fn join(&self) -> nix::Result<()> {
        self.tasks.iter().try_for_each(|tasks| write_line(tasks, "0"))
    }

    /// Sees that the calling process stands where the doors lead. While /proc is the host's, and before a cgroup namespace
    /// hides the place.
    pub fn verify(&self) -> Result<()> {
        let file = "/proc/thread-self/cgroup";
        let text = std::fs::read_to_string(file).or_fail("read", || format!("read {file}"))?;
        for (controller, path) in &self.places {
            let is = text.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|name| name == controller).then_some(path)
            });
            if !is.is_some_and(|is| is_place(path, is)) {
                let is = is.unwrap_or("none");
                return Err(Error::new(
                    Kind::Host,
                    format!("verify: the {controller} cgroup is {is}, not {path}"),
                )
                .hint("the kernel did not do what it acknowledged"));
            }
        }
        Ok(())
    }

    /// The error of a door that was shut: what clone3 or [`Entry::join`] answered.
    pub fn refused(errno: Errno) -> Error {
        Error::os("clone3", errno, ADDING)
    }

    fn open(&mut self, version: Version, controller: &str, dir: &Dir) -> Result<()> {
        self.places.push((controller.to_owned(), dir.path().to_owned()));
        match version {
            Version::V1 => {
                let tasks = dir.file("tasks", OFlag::O_WRONLY);
                self.tasks.push(tasks.or_fail("openat", || format!("{ADDING}: open {}/tasks", dir.path()))?);
            }
            Version::V2 => self.into = Some(dir.descriptor().or_fail("dup", || ADDING)?),
        }
        Ok(())
    }
}

/// Whether the directory `path` and the line `is` of /proc/PID/cgroup mean the same cgroup. Either may have a part in front
/// that the other lacks: a mount point, or what lies above the root of that mount.
fn is_place(path: &str, is: &str) -> bool {
    if is == "/" {
        return path == host::ROOT;
    }
    let last = path.trim_end_matches('/').rsplit('/').next();
    path.ends_with(is) || is.rsplit('/').next() == last
}

/// runc's words; engines and its own tests look for them.
const ADDING: &str = "error adding pid of the new process to cgroups";

/// See [`Cgroup::entry`].
pub(super) fn entry(cgroup: &Cgroup) -> Result<Entry> {
    let mut entry = Entry::default();
    for node in &cgroup.nodes {
        match node.open() {
            Ok(dir) => {
                if node.recorded {
                    refuse_shut(node, &dir, true)?;
                }
                entry.open(node.version, node.controllers.first().map_or("", String::as_str), &dir)?;
            }
            // The hierarchies that count for nothing may be without us.
            Err(Errno::ENOENT)
                if node.made.get().is_some_and(Option::is_none) || node.has("name=systemd") => {}
            Err(errno) => return Err(Error::os("openat2", errno, format!("{ADDING}: open {}", node.path))),
        }
    }
    ask_if_needed(cgroup, &mut entry)?;
    Ok(entry)
}

/// Where clone3 can't put a process though it may be there: beside the placeholder where one process is all that is
/// allowed (joining is not counted, being born is); and, for a user, from a cgroup that is not the user's (a login
/// session's), since moving takes the right to both (cgroup-v2.rst, delegation containment).
fn ask_if_needed(cgroup: &Cgroup, entry: &mut Entry) -> Result<()> {
    let (Some(scope), Some(node), Some(_)) = (&cgroup.scope, cgroup.unified(), &entry.into) else {
        return Ok(());
    };
    let alone = || node.open().and_then(|dir| dir.value("pids.max")).is_ok_and(|max| max == "1");
    entry.asks = scope.placeholder().is_some() && alone() || cgroup.is_rootless() && !within_reach(node)?;
    if entry.asks {
        entry.into = None;
    }
    Ok(())
}

/// Whether this user may move processes between its own cgroup and this one.
fn within_reach(node: &Node) -> Result<bool> {
    if Cgroup::mode() != Mode::V2 {
        return Ok(true);
    }
    let text = std::fs::read_to_string("/proc/self/cgroup").or_fail("open", || "read /proc/self/cgroup")?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let target = node.path.strip_prefix(host::ROOT).unwrap_or("/");
    let common: Vec<&str> =
        own.split('/').zip(target.split('/')).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let file = format!("{}/cgroup.procs", host::join(host::ROOT, &common.join("/")));
    Ok(nix::unistd::access(file.as_str(), nix::unistd::AccessFlags::W_OK).is_ok())
}

/// See [`Cgroup::attach`].
pub(super) async fn attach(cgroup: &Cgroup, pid: Pid) -> Result<()> {
    let node = cgroup.unified().ok_or_else(|| Entry::refused(Errno::ENOENT))?;
    let dir = node.open().or_fail("openat2", || format!("{ADDING}: open {}", node.path))?;
    match (dir.write("cgroup.procs", &pid.to_string()), &cgroup.scope) {
        (Err(Errno::EACCES | Errno::EPERM), Some(scope)) => scope.attach(pid).await,
        (result, _) => result.or_fail("write", || format!("{ADDING}: {}/cgroup.procs", node.path)),
    }
}

/// See [`Cgroup::sub_entry`].
pub(super) fn sub_entry(cgroup: &Cgroup, specs: &[String]) -> Result<Entry> {
    let wanted = parse(specs)?;
    for name in wanted.keys().filter(|name| !name.is_empty()) {
        if !cgroup.nodes.iter().any(|n| n.has(name)) {
            return Err(Error::invalid(format!("unknown controller {name} in SubCgroupPaths")));
        }
    }
    let all = wanted.get("").copied();
    let mut entry = Entry::default();
    for node in &cgroup.nodes {
        let own = node.controllers.iter().find_map(|c| wanted.get(c.as_str()).copied());
        let path = match own.or(all) {
            Some(sub) => below(node, sub)?,
            None => node.path.clone(),
        };
        let dir = Dir::open(&path).or_fail("openat2", || format!("{ADDING}: open {path}"))?;
        refuse_shut(node, &dir, false)?;
        entry.open(node.version, node.controllers.first().map_or("", String::as_str), &dir)?;
    }
    Ok(entry)
}

/// A cgroup that hands controllers on to those below it lets nobody in (cgroup-v2.rst, no internal process constraint);
/// one that hands on only those that threads can have sometimes does. Said before a process is born for nothing.
fn refuse_shut(node: &Node, dir: &Dir, threaded: bool) -> Result<()> {
    let shuts = |c: &str| threaded || !matches!(c, "cpu" | "cpuset" | "pids" | "perf_event");
    if node.version == Version::V1 {
        return Ok(());
    }
    let handed_on = dir.value("cgroup.subtree_control").unwrap_or_default();
    if handed_on.split_whitespace().any(shuts) { Err(Entry::refused(Errno::EBUSY)) } else { Ok(()) }
}

/// `path`, or `controller[,controller]:path` for some: by controller, "" for all.
fn parse(specs: &[String]) -> Result<BTreeMap<&str, &str>> {
    let mut wanted = BTreeMap::new();
    for spec in specs {
        let Some((names, path)) = spec.split_once(':') else {
            if specs.len() != 1 {
                let text = format!("invalid --cgroup argument: {spec} (missing <controller>: prefix)");
                return Err(Error::invalid(text));
            }
            wanted.insert("", spec.as_str());
            continue;
        };
        for name in names.split(',') {
            if name.is_empty() {
                let text = format!("invalid --cgroup argument: {spec} (empty <controller> prefix)");
                return Err(Error::invalid(text));
            }
            if wanted.insert(name, path).is_some() {
                let text =
                    format!("invalid --cgroup argument(s): controller {name} specified multiple times");
                return Err(Error::invalid(text));
            }
        }
    }
    Ok(wanted)
}

/// A cgroup below the container's; `..` may go back, not out.
fn below(node: &Node, sub: &str) -> Result<String> {
    let mut depth = 0_usize;
    for part in sub.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| Error::invalid(format!("bad sub cgroup path: {sub}")))?;
            }
            _ => depth += 1,
        }
    }
    Ok(host::join(&node.path, sub))
}

/// See [`Cgroup::entry_of_init`].
pub(super) fn entry_of_init(init: Pid) -> Result<Entry> {
    let file = format!("/proc/{init}/cgroup");
    let text = std::fs::read_to_string(&file).or_fail("open", || format!("{ADDING}: read {file}"))?;
    let path = text.lines().find_map(|l| l.strip_prefix("0::"));
    // A path that leads up lies outside of what this process sees.
    let Some(path) = path.filter(|p| Cgroup::mode() == Mode::V2 && !p.starts_with("/..")) else {
        return Err(Error::new(
            Kind::Host,
            format!("{ADDING}: {file} names no cgroup of this host's hierarchy"),
        ));
    };
    let path = host::join(host::ROOT, path);
    let dir = Dir::open(&path).or_fail("openat2", || format!("{ADDING}: open {path}"))?;
    let mut entry = Entry::default();
    entry.open(Version::V2, "", &dir)?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn specs() {
        let list = words(&["cpu,cpuacct:a", "memory:/b"]);
        assert_eq!(parse(&list).unwrap(), BTreeMap::from([("cpu", "a"), ("cpuacct", "a"), ("memory", "/b")]));
        assert_eq!(parse(&words(&["/x"])).unwrap(), BTreeMap::from([("", "/x")]));
        for (list, text) in [
            (&["a", "b"][..], "invalid --cgroup argument: a (missing <controller>: prefix)"),
            (&[":a"], "invalid --cgroup argument: :a (empty <controller> prefix)"),
            (&["cpu,:a"], "invalid --cgroup argument: cpu,:a (empty <controller> prefix)"),
            (&["cpu:a", "cpu:b"], "invalid --cgroup argument(s): controller cpu specified multiple times"),
        ] {
            assert_eq!(parse(&words(list)).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn places() {
        for (path, is) in [
            ("/sys/fs/cgroup/pids/a/b", "/a/b"),
            ("/sys/fs/cgroup/pids/b", "/docker/x/b"),
            ("/sys/fs/cgroup", "/"),
            ("/c/a.b", "/a.b"),
        ] {
            assert!(is_place(path, is), "{path} {is}");
        }
        for (path, is) in
            [("/sys/fs/cgroup/pids/a/b", "/a"), ("/c/id", "/id2"), ("/c/id", "/id/x"), ("/c/id", "/")]
        {
            assert!(!is_place(path, is), "{path} {is}");
        }
    }

    #[test]
    fn never_out() {
        let node = Node {
            version: Version::V1,
            controllers: vec!["cpu".into()],
            mount: "/c".into(),
            path: "/c/id".into(),
            recorded: true,
            made: OnceLock::new(),
        };
        for (sub, path) in
            [("/", "/c/id"), ("", "/c/id"), ("a/b", "/c/id/a/b"), ("/a/../b", "/c/id/b"), ("a/..", "/c/id")]
        {
            assert_eq!(below(&node, sub).unwrap(), path, "{sub:?}");
        }
        for sub in ["..", "../id2", "a/../..", "/../id", "a/../../id/a"] {
            assert_eq!(below(&node, sub).unwrap_err().to_string(), format!("bad sub cgroup path: {sub}"));
        }
    }

    #[test]
    fn unknown_controllers_are_refused() {
        let paths = BTreeMap::from([("cpu".to_owned(), "/c/id".to_owned())]);
        let cgroup = Cgroup::from_paths(&paths).unwrap();
        let error = sub_entry(&cgroup, &words(&["whaaat:/"])).unwrap_err();
        assert_eq!(error.to_string(), "unknown controller whaaat in SubCgroupPaths");
    }
}
