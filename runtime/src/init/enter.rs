//! The child's side of exec: into the namespaces of a container that runs, by one setns on its init's pidfd, then the
//! same identity steps as a container's first process. Before it stands in the container's mounts it has closed every
//! descriptor of the runtime's.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::procfs::Proc;
use super::root::Root;
use super::verify::Mirror;
use super::{Who, identity, join, limits, schedule, session};
use crate::cgroup::Entry;
use crate::error::{Error, Kind, OrFail, Result};
use crate::launch::sibling;
use crate::plan::namespaces::{PID, Route, USER, names};
use crate::spec::Linux;
use crate::sys::process::{enter_all, set_parent_death_signal, set_root_ids};
use crate::trace;

/// What the parent has prepared.
#[derive(Debug)]
pub struct Enter<'a> {
    /// The process that it is to become.
    pub who: Who<'a>,
    /// The container's id, for its keyring.
    pub id: &'a str,
    /// The container's `linux`.
    pub linux: &'a Linux,
    /// Its init.
    pub init: &'a OwnedFd,
    /// The runtime's user may not lend the container's pid namespace: it is entered here, by a hop.
    pub hop: bool,
    /// `CLONE_NEW*` of the namespaces to enter.
    pub namespaces: u64,
    /// Way into the cgroups.
    pub entry: &'a Entry,
    /// Share the caller's session keyring, as the container does.
    pub no_new_keyring: bool,
}

/// Enters and becomes the program. Comes back only when that has failed, which the runtime has been told.
pub fn run(enter: &Enter<'_>) -> Error {
    match perform(enter) {
        Ok(never) => match never {},
        Err(error) => {
            enter.who.wire.fail(&error);
            error
        }
    }
}

fn perform(enter: &Enter<'_>) -> Result<std::convert::Infallible> {
    let who = &enter.who;
    let span = trace::span("enter");
    join::guard_for_maps()?;
    log::debug!("nsexec container setup: enter namespaces {}", names(enter.namespaces));
    who.stdio.map_or(Ok(()), session::take_stdio)?;
    schedule::exec_affinity_before_cgroup(who.process)?;
    join::join_cgroups(enter.entry, who.wire)?;
    schedule::exec_affinity_in_cgroup(who.process)?;
    let entered = if enter.hop { hop(enter)? } else { PID };
    let mut mirror = Mirror::hold(who.credentials)?;
    identity::purge(who, &mut mirror, vec![who.wire.fd().as_raw_fd(), enter.init.as_raw_fd()])?;
    // Without a hop the launcher has lent the pid namespace: this process was born in it.
    enter_all(enter.init, enter.namespaces & !entered).map_err(refused)?;
    log::debug!("child process in init(): session, terminal, limits, identity");
    if enter.namespaces & USER != 0 {
        set_root_ids().or_fail("setresuid", || "become root in the user namespace")?;
        join::guard()?;
    }
    session::new_session()?;
    if !enter.no_new_keyring {
        session::join_keyring(enter.id, session::Keyring::Exec)?;
    }
    drop(span);
    let span = trace::span("identity");
    let root = nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .or_fail("open", || "open the container's root")?;
    let proc = if identity::needs_proc(who) { Some(Proc::private()?) } else { None };
    identity::terminal(who, &Root::new(root))?;
    limits::set_own(&who.process.rlimits, enter.namespaces & USER != 0)?;
    schedule::apply(who.process, enter.linux)?;
    let granted = identity::become_user(who, proc.as_ref())?;
    let program = who.program()?;
    identity::verify(who, mirror, &granted)?;
    drop(span);
    set_parent_death_signal(0).or_fail("prctl", || "untie the process from the runtime")?;
    who.wire.ready()?;
    who.wire.go()?;
    // The wording is runc's: scripts look for it.
    log::debug!("setns_init: about to exec {}", program.shown());
    who.wire.take_voice();
    Err(who.execute(&program))
}

/// Goes into the user and pid namespaces, which only a clone enters for good, and comes back as another process. Gives the
/// namespaces that are entered.
fn hop(enter: &Enter<'_>) -> Result<u64> {
    if let Some(score) = enter.who.process.oom_score_adj {
        // Nobody else can any more, from the moment at which ids change.
        let file = "/proc/self/oom_score_adj";
        std::fs::write(file, score.to_string()).or_fail("write", || format!("update {file} to {score}"))?;
    }
    let entered = enter.namespaces & (USER | PID);
    enter_all(enter.init, entered).map_err(refused)?;
    if entered & USER != 0 {
        set_root_ids().or_fail("setresuid", || "become root in the user namespace")?;
    }
    sibling(Route::default(), enter.who.wire)?;
    join::guard()?;
    Ok(entered)
}

fn refused(errno: Errno) -> Error {
    match errno {
        Errno::ESRCH => Error::new(Kind::NotRunning, "container not running"),
        errno => Error::os("setns", errno, "enter the container's namespaces"),
    }
}
