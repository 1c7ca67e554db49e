//! Cgroups and namespaces of a process that has just been born: joined or made in the order that the kernel demands.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns, unshare};

use super::Init;
use crate::error::{Error, OrFail, Result};
use crate::launch::{open_namespace, sibling};
use crate::plan::namespaces::{CGROUP, Namespaces, PID, TIME, USER, name};
use crate::sys::process::{set_parent_death_signal, set_root_ids, set_undumpable};

/// Brings the process into its cgroups and namespaces; with a hop, the process that comes back is another one.
pub fn join(init: &mut Init<'_>) -> Result<()> {
    guard()?;
    let (namespaces, route) = (&init.plan.namespaces, init.plan.route);
    if route.hop {
        enter(namespaces)?;
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
        enter(namespaces)?;
    } else {
        enter(namespaces)?;
        if namespaces.joins(USER) {
            refuse_other_maps(init)?;
            become_root()?;
        }
        unshare_flags(route.unshare)?;
    }
    init.entry.join().or_fail("write", || "join the container's cgroups")?;
    unshare_flags(route.late & CGROUP)?;
    if route.late & TIME != 0 {
        new_time(init)?;
    }
    Ok(())
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
fn enter(namespaces: &Namespaces) -> Result<()> {
    let mut opened: Vec<(u64, &PathBuf, OwnedFd)> = Vec::new();
    for (flag, path) in namespaces.join.iter().filter(|(flag, _)| *flag != PID) {
        opened.push((*flag, path, open_namespace(path)?));
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
