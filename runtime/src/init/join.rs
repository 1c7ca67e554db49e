//! Cgroups and namespaces of a process that has just been born: joined or made in the order that the kernel demands.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{fstat, stat};

use super::Init;
use super::verify::Mirror;
use crate::cgroup::Entry;
use crate::error::{Error, OrFail, Result};
use crate::launch::{open_namespace, sibling};
use crate::plan::Plan;
use crate::plan::namespaces::{CGROUP, IPC, MOUNT, NET, PID, TIME, USER, UTS, name};
use crate::sys::process::{set_parent_death_signal, set_root_ids, set_undumpable};
use crate::wire;

/// Brings the process into its cgroups and namespaces; with a hop, the process that comes back is another one.
pub fn join(init: &mut Init<'_>) -> Result<()> {
    guard_for_maps()?;
    let (plan, route) = (init.plan, init.plan.route);
    // The wording is runc's: scripts look for it.
    log::debug!("nsexec container setup: {}", plan.namespaces);
    if route.hop {
        enter(plan)?;
        if route.unshare & USER != 0 {
            unshare_flags(USER)?;
            init.who.wire.map()?;
        } else {
            refuse_other_maps(init)?;
        }
        become_root()?;
        sibling(route, init.who.wire)?;
        guard()?;
    } else if route.clone & USER != 0 {
        init.who.wire.map()?;
        become_root()?;
        guard()?;
        enter(plan)?;
    } else {
        enter(plan)?;
        if plan.namespaces.joins(USER) {
            refuse_other_maps(init)?;
            become_root()?;
        }
        unshare_flags(route.unshare)?;
    }
    join_cgroups(init.entry, init.who.wire)?;
    unshare_flags(route.late & CGROUP)?;
    if route.late & TIME != 0 {
        new_time(init)?;
    }
    init.made.mirror = Some(Mirror::hold(&init.plan.credentials)?);
    Ok(())
}

/// The files by which an ordinary user, or newuidmap(1) for him, writes the maps of his child's namespace are root's once
/// that is undumpable (man 5 proc): it becomes so when it has its maps. Only that user himself could look into it.
pub fn guard_for_maps() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return guard();
    }
    set_parent_death_signal(libc::SIGKILL).or_fail("prctl", || "tie init to the runtime")
}

/// Into the container's cgroups, as far as this process was not born in them; and sees that it stands there.
pub fn join_cgroups(entry: &Entry, wire: &wire::Child) -> Result<()> {
    if entry.asks {
        wire.cgroup()?;
    }
    entry.join().or_fail("write", || "join the container's cgroups")?;
    entry.verify()
}

/// Engines give a joined user namespace together with its maps. If they are not the namespace's own, files would get
/// owners that nobody meant.
fn refuse_other_maps(init: &Init<'_>) -> Result<()> {
    let linux = init.plan.linux();
    for (name, field, asked) in [
        ("uid_map", "linux.uidMappings", &linux.uid_mappings),
        ("gid_map", "linux.gidMappings", &linux.gid_mappings),
    ] {
        if asked.is_empty() {
            continue;
        }
        let path = format!("/proc/self/{name}");
        let text = std::fs::read_to_string(&path).or_fail("read", || format!("read {path}"))?;
        let number = |word: &str| word.parse::<u32>().unwrap_or_default();
        let mut there: Vec<Vec<u32>> =
            text.lines().map(|line| line.split_whitespace().map(number).collect()).collect();
        let mut asked: Vec<Vec<u32>> =
            asked.iter().map(|map| vec![map.container_id(), map.host_id(), map.size()]).collect();
        there.sort_unstable();
        asked.sort_unstable();
        if there != asked {
            return Err(Error::invalid(format!(
                "{field}: the user namespace that is joined has other mappings"
            ))
            .hint(format!("leave them out, or give its own: {}", text.trim_end().replace('\n', ", "))));
        }
    }
    Ok(())
}

/// Until it is ready, this process dies with the runtime that makes it, and nobody else may look into it: it still has
/// the runtime's memory and descriptors (CVE-2016-9962). A change of ids undoes the first.
pub fn guard() -> Result<()> {
    set_parent_death_signal(libc::SIGKILL).or_fail("prctl", || "tie init to the runtime")?;
    set_undumpable().or_fail("prctl", || "make init undumpable")
}

/// Joins every namespace that has a path, but a pid namespace, which the launcher has lent.
fn enter(plan: &Plan) -> Result<()> {
    let mut opened: Vec<(u64, &PathBuf, OwnedFd)> = Vec::new();
    for (flag, path) in plan.namespaces.join.iter().filter(|(flag, _)| *flag != PID) {
        let namespace = open_namespace(path)?;
        refuse_hosts(*flag, &namespace, plan)?;
        opened.push((*flag, path, namespace));
    }
    // Some belong to the joined user namespace, and some to the runtime's, which has no rights any more once it is in
    // there: what can be joined before is, the rest after. The user namespace is the first of the list.
    if opened.first().is_some_and(|(flag, ..)| *flag == USER) {
        opened.retain(|(flag, _, fd)| *flag == USER || setns(fd, flags(*flag)).is_err());
    }
    for (flag, path, fd) in opened {
        setns(fd, flags(flag)).map_err(|errno| {
            let name = name(flag);
            Error::os("setns", errno, format!("join {name} namespace {}", path.display()))
                .hint(format!("the path must lead to a {name} namespace"))
        })?;
    }
    Ok(())
}

/// A namespace that is joined by path may be the host's own: what is then done in it would be done to the host. Asked
/// before anything is joined, when this process still stands in the runtime's.
fn refuse_hosts(flag: u64, namespace: &OwnedFd, plan: &Plan) -> Result<()> {
    let linux = plan.linux();
    let changed = |prefix: &str| linux.sysctl.keys().find(|key| key.replace('/', ".").starts_with(prefix));
    let (file, why) = match flag {
        MOUNT => ("mnt", "linux.namespaces: the mount namespace to join is the host's own".to_owned()),
        NET => match changed("net.") {
            Some(key) => ("net", format!("sysctl {key:?} not allowed in host network namespace")),
            None => return Ok(()),
        },
        IPC => match changed("kernel.").or_else(|| changed("fs.mqueue.")) {
            Some(key) => ("ipc", format!("sysctl {key:?} is not allowed in the hosts ipc namespace")),
            None => return Ok(()),
        },
        UTS => match (changed("kernel.domainname"), &plan.spec.hostname, &plan.spec.domainname) {
            (Some(key), ..) => ("uts", format!("sysctl {key:?} is not in a separate kernel namespace")),
            (_, None, None) => return Ok(()),
            _ => ("uts", "hostname: the UTS namespace to join is the host's own".to_owned()),
        },
        _ => return Ok(()),
    };
    let joined = fstat(namespace).or_fail("fstat", || format!("look at the {} namespace", name(flag)))?;
    // The runtime's own, and that of the host's first process, which it may not be allowed to see.
    let is_hosts = ["self", "1"].iter().any(|process| {
        stat(format!("/proc/{process}/ns/{file}").as_str())
            .is_ok_and(|host| (host.st_dev, host.st_ino) == (joined.st_dev, joined.st_ino))
    });
    if is_hosts { Err(Error::invalid(why).hint("make a new one: leave out its path")) } else { Ok(()) }
}

fn flags(bits: u64) -> CloneFlags {
    // All CLONE_NEW* flags fit into 31 bits.
    CloneFlags::from_bits_truncate(i32::try_from(bits).unwrap_or(0))
}

fn unshare_flags(bits: u64) -> Result<()> {
    if bits == 0 {
        return Ok(());
    }
    unshare(flags(bits)).or_fail("unshare", || format!("make namespaces {bits:#x}"))
}

fn become_root() -> Result<()> {
    set_root_ids().map_err(|errno| {
        Error::os("setresuid", errno, "become root in the user namespace")
            .hint("map container id 0 in linux.uidMappings and linux.gidMappings")
    })
}

/// A new time namespace takes its offsets while nobody is in it yet; then this process, which has no other thread,
/// enters it (time_namespaces(7)).
fn new_time(init: &Init<'_>) -> Result<()> {
    // CLONE_NEWTIME lies in the bits that clone(2) uses for the exit signal: nix does not know it.
    crate::sys::process::unshare_time().or_fail("unshare", || "make a time namespace")?;
    if !init.plan.linux().time_offsets.is_empty() {
        init.who.wire.time()?;
    }
    let target = open_namespace(Path::new("/proc/self/ns/time_for_children"))?;
    crate::sys::process::enter_time(target).or_fail("setns", || "enter the new time namespace")
}
