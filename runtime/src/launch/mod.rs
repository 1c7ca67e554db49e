//! The one way a process is born: clone3, seen to be single-threaded, with the namespaces that the plan's route says.

mod seal;

pub use seal::seal;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::cgroup::Entry;
use crate::error::{Error, Kind, OrFail, Result};
use crate::plan::namespaces::{Namespaces, PID, Route};
use crate::sys::clone::{Clone, Side, clone};
use crate::sys::heap;
use crate::sys::process::exit_now;
use crate::sys::wait::expect;
use crate::trace;
use crate::wire;

/// CLONE_PARENT: the new process is a child of the caller's parent.
const CLONE_PARENT: u64 = 0x8000;

/// What has been born. Its status is expected: who asks for it no more says [`release`](crate::sys::wait::release).
#[derive(Debug)]
pub struct Born {
    /// Its pid in the caller's pid namespace; a hop's until the wire tells of the real one.
    pub pid: Pid,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    /// The parent's end of the wire.
    pub wire: wire::Parent,
}

/// Clones a child that runs `child` and never returns from it.
pub fn launch(
    namespaces: &Namespaces,
    route: Route,
    entry: &Entry,
    child: impl FnOnce(&wire::Child) -> Error,
) -> Result<Born> {
    let lent = if route.lend_pid { Some(Lent::to(namespaces)?) } else { None };
    let span = trace::span("clone");
    let born = fork(route, entry, child);
    drop(span);
    if let Some(lent) = lent {
        lent.back()?;
    }
    born
}

#[expect(unsafe_code, reason = "one of the two places where a process is born")]
fn fork(route: Route, entry: &Entry, child: impl FnOnce(&wire::Child) -> Error) -> Result<Born> {
    assert_single_threaded()?;
    let (parent_end, child_end) = wire::pair()?;
    let flags = if route.hop { 0 } else { route.clone };
    let how = Clone { flags, cgroup: entry.into.as_ref().map(AsFd::as_fd) };
    // SAFETY: this process has one thread, as was just seen, and the child's side ends in `_exit` at the latest.
    match unsafe { clone(&how) }.map_err(clone_error)? {
        Side::Child => {
            trace::enter_child();
            heap::spare();
            drop(parent_end);
            child_end.give_voice();
            // `child` comes back only with a failure, which it has told over the wire. By then its descriptors may be
            // closed: their owners, this one too, end with the process and are never dropped.
            let _ = child(&child_end);
            exit_now(255)
        }
        Side::Parent(pid, pidfd) => {
            expect(pid);
            log::debug!("clone3: process {pid}, flags {flags:#x}, into a cgroup: {}", how.cgroup.is_some());
            Ok(Born { pid, pidfd, wire: parent_end })
        }
    }
}

/// In a hop: clones the real process as a sibling of the hop, tells the runtime, and leaves. Comes back in the real one.
#[expect(unsafe_code, reason = "one of the two places where a process is born")]
pub fn sibling(route: Route, wire: &wire::Child) -> Result<()> {
    let how = Clone { flags: route.clone | CLONE_PARENT, cgroup: None };
    // SAFETY: a hop is a fresh clone of a single-threaded process and has started no thread.
    match unsafe { clone(&how) }.map_err(clone_error)? {
        // What it says must come after the hop's word, by which the parent knows who speaks.
        Side::Child => wire.go().map(drop),
        Side::Parent(_, pidfd) => {
            let told = wire.hop(&pidfd);
            exit_now(i32::from(told.is_err()))
        }
    }
}

fn clone_error(errno: Errno) -> Error {
    let error = Error::os("clone3", errno, "start the container's init");
    match errno {
        Errno::ENOSPC => error.hint("raise user.max_user_namespaces and its siblings with sysctl"),
        Errno::EAGAIN => error.hint("the pids limit of this cgroup or RLIMIT_NPROC is reached"),
        Errno::ENOMEM => error.hint("a joined pid namespace may have lost its init, or memory is short"),
        Errno::EPERM => error.hint("without root, a container needs a user namespace"),
        Errno::EBUSY => error.hint("the cgroup hands out controllers and so can't hold processes itself"),
        Errno::ENOSYS => {
            error.hint("pinnace needs kernel 5.12 or newer, and a sandbox that lets clone3 through")
        }
        _ => error,
    }
}

/// The launcher's `pid_for_children`, pointed elsewhere for the moment of a clone (setns(2): it changes no namespace of
/// the caller itself).
struct Lent {
    own: OwnedFd,
}

impl Lent {
    fn to(namespaces: &Namespaces) -> Result<Self> {
        let own = open_namespace(Path::new("/proc/self/ns/pid"))?;
        if let Some((_, path)) = namespaces.join.iter().find(|(flag, _)| *flag == PID) {
            let target = open_namespace(path)?;
            nix::sched::setns(target, CloneFlags::CLONE_NEWPID).map_err(|errno| {
                Error::os("setns", errno, format!("join pid namespace {}", path.display()))
            })?;
        }
        Ok(Self { own })
    }

    fn back(self) -> Result<()> {
        nix::sched::setns(self.own, CloneFlags::CLONE_NEWPID)
            .or_fail("setns", || "return to the own pid namespace")
    }
}

/// Opens a namespace by path.
pub fn open_namespace(path: &Path) -> Result<OwnedFd> {
    nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map_err(|errno| {
        Error::os("open", errno, format!("open namespace {}", path.display()))
            .hint("check linux.namespaces[].path in config.json")
    })
}

/// A fork of one thread of several would inherit locks that nobody opens any more.
fn assert_single_threaded() -> Result<()> {
    // The link count of a /proc/PID/task is its number of threads plus two; one stat, no directory walk.
    let task =
        nix::sys::stat::stat("/proc/self/task").or_fail("stat", || "count the threads in /proc/self/task")?;
    if task.st_nlink == 3 {
        return Ok(());
    }
    Err(Error::new(Kind::Host, "start the container's init: this process has more than one thread"))
}
