//! The parent's side of a birth: answers the child's words until it is ready, and tells what went wrong if it is not.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::{console, maps};
use crate::cgroup::Cgroup;
use crate::error::{Error, Kind, OrFail, Result};
use crate::launch::Born;
use crate::net;
use crate::net::devices::Device;
use crate::spec::Linux;
use crate::spec::oci::{LinuxNamespaceType, PosixRlimit};
use crate::sys::process::{pidfd_getfd, pidfd_signal};
use crate::sys::wait::{end, expect, try_wait};
use crate::trace;
use crate::wait;
use crate::wire::Word;

/// What is answered in one way to a container's first process and in another to an exec.
pub(super) trait Answers {
    /// Hears this pid as soon as it is known.
    fn met(&self, pid: Pid) -> Result<()>;
    /// Runs prestart and createRuntime for this pid.
    async fn run_hooks(&self, pid: Pid) -> Result<()>;
    /// Moves this pid into its cgroup, since it can't be born there.
    async fn bring_in(&self, pid: Pid) -> Result<()>;
    /// Maps the ids of the mount with this index.
    async fn map_ids(&self, index: usize, tree: OwnedFd) -> Result<()>;
    /// What the seccomp agent is told of this pid: the container's state as JSON.
    fn state(&self, pid: Pid) -> Result<Vec<u8>>;
}

/// What the parent needs to answer.
pub(super) struct Attendant<'a, A> {
    /// For the maps of a user namespace.
    pub linux: &'a Linux,
    /// Whose process it is.
    pub answers: &'a A,
    /// Where the terminal's master goes; without one the caller keeps it.
    pub console_socket: Option<&'a Path>,
    /// Network devices to move.
    pub net_devices: &'a [Device],
    /// Limits of the process.
    pub rlimits: &'a [PosixRlimit],
    /// The score that the kernel's out-of-memory killer goes by.
    pub oom_score_adj: Option<i32>,
    /// To see whether a child that is gone was killed for its memory.
    pub cgroup: Option<&'a Cgroup>,
}

/// A process that is ready behind its gate.
#[derive(Debug)]
pub(super) struct Ready {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    pub console: Option<OwnedFd>,
    pub wire: crate::wire::Parent,
}

impl<A: Answers> Attendant<'_, A> {
    /// Serves the child until it is ready. When it is not, the child is dead and reaped.
    pub async fn attend(self, born: Born, hop: bool) -> Result<Ready> {
        let _span = trace::span("attend");
        let Born { mut pid, mut pidfd, wire } = born;
        let mut console = None;
        let served = self.serve(&mut pid, &mut pidfd, &wire, hop, &mut console).await;
        match served {
            Ok(()) => Ok(Ready { pid, pidfd, console, wire }),
            Err(error) => {
                let _ = pidfd_signal(&pidfd, libc::SIGKILL);
                let _ = wait::ended(pid, &pidfd).await;
                Err(error)
            }
        }
    }

    async fn serve(
        self,
        pid: &mut Pid,
        pidfd: &mut OwnedFd,
        wire: &crate::wire::Parent,
        hop: bool,
        console: &mut Option<OwnedFd>,
    ) -> Result<()> {
        let Self { linux, answers, console_socket, net_devices, rlimits, oom_score_adj, cgroup } = self;
        if !hop {
            answers.met(*pid)?;
        }
        // A hop hands it down; of an ordinary user's child it can't be set any more afterwards (see `init/join.rs`).
        let root = nix::unistd::geteuid().is_root();
        if let Some(score) = oom_score_adj.filter(|_| !hop || !root) {
            super::limits::set_oom_score(*pid, score)?;
        }
        loop {
            let word = wire.hear().await?;
            log::debug!("process {pid} says {word:?}");
            match word {
                Word::Hop(fd) => {
                    wait::ended(*pid, pidfd).await.or_fail("waitpid", || "wait for the hop")?;
                    *pid = pid_of(&fd)?;
                    expect(*pid);
                    *pidfd = fd;
                    answers.met(*pid)?;
                    if let Some(score) = oom_score_adj.filter(|_| root) {
                        super::limits::set_oom_score(*pid, score)?;
                    }
                    wire.go(*pid)?;
                }
                Word::Map => {
                    maps::write(*pid, linux).await?;
                    wire.go(*pid)?;
                }
                Word::Cgroup => {
                    answers.bring_in(*pid).await?;
                    wire.go(*pid)?;
                }
                Word::Network => {
                    move_devices(*pid, net_devices)?;
                    wire.go(*pid)?;
                }
                Word::Time => {
                    maps::write_time_offsets(*pid, linux)?;
                    wire.go(*pid)?;
                }
                Word::Idmap(index, tree) => {
                    answers.map_ids(index, tree).await?;
                    wire.go(*pid)?;
                }
                Word::Hooks => {
                    answers.run_hooks(*pid).await?;
                    wire.go(*pid)?;
                }
                Word::Console(master) => match console_socket {
                    Some(path) => console::send_master(path, &master)?,
                    None => *console = Some(master),
                },
                Word::Listener(number) => {
                    let fd = take_listener(pidfd, number).await?;
                    let seccomp = linux.seccomp.as_ref();
                    super::listener::send(seccomp, &fd, &answers.state(*pid)?, *pid).await?;
                }
                Word::Ready if in_user_namespace(linux) => return super::limits::set_rlimits(*pid, rlimits),
                Word::Ready => return Ok(()),
                Word::Fail(error) => return Err(framed(error)),
                Word::End => return Err(gone(*pid, cgroup)),
            }
        }
    }
}

fn move_devices(pid: Pid, devices: &[Device]) -> Result<()> {
    let path = format!("/proc/{pid}/ns/net");
    let namespace = std::fs::File::open(&path).or_fail("open", || format!("open {path}"))?;
    net::devices::move_into(devices, namespace)
}

fn in_user_namespace(linux: &Linux) -> bool {
    linux.namespaces.iter().any(|namespace| namespace.typ() == LinuxNamespaceType::User)
}

fn framed(error: Error) -> Error {
    error.within("unable to start container process: error during container init")
}

/// Why a child is gone that said nothing.
fn gone(pid: Pid, cgroup: Option<&Cgroup>) -> Error {
    let status = try_wait(pid).map(|status| status.map(end));
    let text = "unable to start container process: container init was";
    if cgroup.and_then(Cgroup::oom_kills).is_some_and(|kills| kills > 0) {
        return Error::new(Kind::Host, format!("{text} OOM-killed (memory limit too low?)"))
            .hint("raise linux.resources.memory.limit");
    }
    Error::new(Kind::Host, format!("{text} killed before it was ready ({status:?})"))
}

/// A process's pid here, from what the kernel tells of its pidfd.
fn pid_of(pidfd: &OwnedFd) -> Result<Pid> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = std::fs::read_to_string(&path).or_fail("read", || format!("read {path}"))?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    match pid {
        Some(pid) if pid > 0 => Ok(Pid::from_raw(pid)),
        _ => Err(Error::new(Kind::Host, "the container's init died in its hop")),
    }
}

/// The listener appears under its number some moments after the child has announced it.
async fn take_listener(pidfd: &OwnedFd, number: i32) -> Result<OwnedFd> {
    let failed = || "take the seccomp listener from the container's init";
    for _ in 0..1000 {
        match pidfd_getfd(pidfd, number) {
            Err(Errno::EBADF) => wait::sleep(std::time::Duration::from_millis(1)).await,
            other => return other.or_fail("pidfd_getfd", failed),
        }
    }
    Err(Error::new(Kind::Host, format!("{}: it did not come within a second", failed())))
}

impl Ready {
    /// The end of a process that nobody will hear of.
    pub async fn kill(&self) {
        let _ = pidfd_signal(&self.pidfd, libc::SIGKILL);
        let _ = wait::ended(self.pid, &self.pidfd).await;
    }

    /// Lets an exec go on to its program, and sees that it got there.
    pub async fn release(self) -> Result<super::Started> {
        self.wire.go(self.pid)?;
        match self.wire.hear().await? {
            // The wire closes when the program takes over.
            Word::End => Ok(super::Started { pid: self.pid, pidfd: self.pidfd, console: self.console }),
            Word::Fail(error) => {
                let _ = wait::ended(self.pid, &self.pidfd).await;
                Err(framed(error))
            }
            word => Err(Error::new(Kind::Host, format!("the process said {word:?} when it was to start"))),
        }
    }
}
