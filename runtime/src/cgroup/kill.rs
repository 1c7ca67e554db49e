//! Who is in a container, and signals to all of them at once. Never signals a process that is not in the cgroup.

use std::collections::HashSet;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::dir::Dir;
use super::freeze::gone;
use super::{Cgroup, Node, freeze};
use crate::error::{Error, Result};
use crate::sys::process::{pidfd_open, pidfd_signal};

/// How long a freeze may take that only serves a signal.
const MOMENT: Duration = Duration::from_millis(500);
/// How often a cgroup that can't be frozen is gone through for processes that were born meanwhile.
const ROUNDS: u32 = 50;

/// The node whose members count as the container's: devices in v1, as in runc.
fn node(cgroup: &Cgroup) -> Option<&Node> {
    cgroup.node("devices").or_else(|| cgroup.unified()).or_else(|| cgroup.nodes.first())
}

/// See [`Cgroup::pids`].
pub(super) fn pids(cgroup: &Cgroup) -> Result<Vec<i32>> {
    node(cgroup).map_or(Ok(Vec::new()), members)
}

fn members(node: &Node) -> Result<Vec<i32>> {
    match node.open().and_then(|dir| processes(&dir)) {
        Err(errno) if gone(errno) => Ok(Vec::new()),
        Err(errno) => Err(Error::os("read", errno, format!("list the processes of {}", node.path))),
        Ok(pids) => Ok(pids),
    }
}

/// The processes of a cgroup and of all below it. A sub-cgroup that vanishes meanwhile is empty.
pub(super) fn processes(dir: &Dir) -> nix::Result<Vec<i32>> {
    let list = match dir.read("cgroup.procs") {
        // A threaded cgroup (v2) knows only threads.
        Err(Errno::EOPNOTSUPP) => dir.read("cgroup.threads")?,
        list => list?,
    };
    // 0 stands for a process that this pid namespace does not see.
    let mut pids: Vec<i32> = list.lines().filter_map(|l| l.parse().ok()).filter(|p| *p > 0).collect();
    for name in dir.children()? {
        match dir.open_below(&name).and_then(|below| processes(&below)) {
            Ok(more) => pids.extend(more),
            Err(errno) if gone(errno) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(pids)
}

/// See [`Cgroup::signal_all`].
pub(super) async fn signal_all(cgroup: &Cgroup, signal: i32) -> Result<()> {
    let kill = signal == libc::SIGKILL;
    let v2 = cgroup.node("devices").is_none();
    // Most often a container that has ended by itself: nothing to freeze, nothing to kill.
    if !(kill && v2) && pids(cgroup)?.is_empty() && !is_populated(cgroup) {
        return Ok(());
    }
    if kill && kill_at_once(cgroup)? {
        return Ok(());
    }
    let paused = freeze::is_frozen(cgroup)?;
    let frozen = freeze::freeze(cgroup, MOMENT).await;
    let result = match &frozen {
        Ok(()) => pids(cgroup).map(|pids| send(&pids, signal)),
        Err(error) => {
            log::debug!("signal processes that go on running: {error}");
            chase(cgroup, signal, if kill { ROUNDS } else { 1 })
        }
    };
    // What was killed must run to die, also if it was paused (v1). What got another signal in a pause gets it after.
    if frozen.is_ok() && (kill || !paused) {
        match freeze::thaw(cgroup) {
            Err(error) if !error.errno().is_some_and(gone) => return Err(error),
            _ => {}
        }
    }
    result
}

/// Whether the unified hierarchy knows of a process that v1 does not.
fn is_populated(cgroup: &Cgroup) -> bool {
    let events = cgroup.unified().and_then(|node| node.open().ok()?.value("cgroup.events").ok());
    events.is_some_and(|e| e.lines().any(|l| l == "populated 1"))
}

/// Kernel 5.14: one call reaches every process of the subtree, and what they fork meanwhile. Says whether that was all.
fn kill_at_once(cgroup: &Cgroup) -> Result<bool> {
    let Some(unified) = cgroup.unified() else { return Ok(false) };
    if unified.open().and_then(|dir| dir.write("cgroup.kill", "1")).is_err() {
        return Ok(false);
    }
    if cgroup.node("freezer").is_none() {
        return Ok(true);
    }
    // v1: a frozen process does not die before it runs. And somebody may have parted the hierarchies.
    if freeze::is_frozen(cgroup)? {
        freeze::thaw(cgroup)?;
    }
    let v1 = pids(cgroup)?;
    if v1.is_empty() {
        return Ok(true);
    }
    let v2 = members(unified)?;
    Ok(v1.iter().all(|pid| v2.contains(pid)))
}

/// Signals processes that stand still, so that no number changes hands.
fn send(pids: &[i32], signal: i32) {
    for pid in pids {
        report(*pid, pidfd_open(Pid::from_raw(*pid)).and_then(|pidfd| pidfd_signal(&pidfd, signal)));
    }
}

/// Signals processes that go on running and forking, until no new one turns up. A number from a list may belong to
/// another process by the time it is used: a pidfd holds on to whoever has it, and if the number is in the list after
/// that too, it is the one.
fn chase(cgroup: &Cgroup, signal: i32, rounds: u32) -> Result<()> {
    let mut seen = HashSet::new();
    for _ in 0..rounds {
        let held: Vec<_> = pids(cgroup)?
            .into_iter()
            .filter(|pid| !seen.contains(pid))
            .filter_map(|pid| pidfd_open(Pid::from_raw(pid)).ok().map(|pidfd| (pid, pidfd)))
            .collect();
        if held.is_empty() {
            break;
        }
        let members: HashSet<i32> = pids(cgroup)?.into_iter().collect();
        for (pid, pidfd) in held.iter().filter(|(pid, _)| members.contains(pid)) {
            report(*pid, pidfd_signal(pidfd, signal));
            seen.insert(*pid);
        }
    }
    Ok(())
}

fn report(pid: i32, result: nix::Result<()>) {
    match result {
        // It ended by itself.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => log::warn!("kill {pid}: {errno}"),
    }
}
