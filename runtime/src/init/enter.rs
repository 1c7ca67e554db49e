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
use crate::plan::namespaces::{PID, USER, names};
use crate::spec::Linux;
use crate::sys::process::{enter_all, set_parent_death_signal, set_root_ids};

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
    join::guard()?;
    log::debug!("nsexec container setup: enter namespaces {}", names(enter.namespaces));
    who.stdio.map_or(Ok(()), session::take_stdio)?;
    schedule::exec_affinity_before_cgroup(who.process)?;
    join::join_cgroups(enter.entry, who.wire)?;
    schedule::exec_affinity_in_cgroup(who.process)?;
    let mut mirror = Mirror::hold(who.credentials)?;
    identity::purge(who, &mut mirror, vec![who.wire.fd().as_raw_fd(), enter.init.as_raw_fd()])?;
    // The launcher has lent the pid namespace: this process was born in it.
    enter_all(enter.init, enter.namespaces & !PID).map_err(|errno| match errno {
        Errno::ESRCH => Error::new(Kind::NotRunning, "container not running"),
        errno => Error::os("setns", errno, "enter the container's namespaces"),
    })?;
    log::debug!("child process in init(): session, terminal, limits, identity");
    if enter.namespaces & USER != 0 {
        set_root_ids().or_fail("setresuid", || "become root in the user namespace")?;
        join::guard()?;
    }
    session::new_session()?;
    if !enter.no_new_keyring {
        session::join_keyring(enter.id, session::Keyring::Exec)?;
    }
    let root = nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .or_fail("open", || "open the container's root")?;
    let proc = if identity::needs_proc(who) { Some(Proc::private()?) } else { None };
    identity::terminal(who, &Root::new(root))?;
    limits::set_own(&who.process.rlimits, enter.namespaces & USER != 0)?;
    schedule::apply(who.process, enter.linux)?;
    let granted = identity::become_user(who, proc.as_ref())?;
    let program = who.program()?;
    identity::verify(who, mirror, &granted)?;
    set_parent_death_signal(0).or_fail("prctl", || "untie the process from the runtime")?;
    who.wire.ready()?;
    who.wire.go()?;
    // The wording is runc's: scripts look for it.
    log::debug!("setns_init: about to exec {}", program.shown());
    who.wire.take_voice();
    Err(who.execute(&program))
}
