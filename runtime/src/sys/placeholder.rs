//! A process that does nothing but be there: systemd makes no scope without one in it. It has no descriptors, no signal
//! handlers, and dies with whoever made it.

use std::os::fd::OwnedFd;

use nix::unistd::Pid;

use super::clone::{Clone, Side, clone};
use super::process::{close_all_but, exit_now, pidfd_signal, set_parent_death_signal};
use super::{check, signals};

/// The process; it ends when this is dropped.
#[derive(Debug)]
pub struct Placeholder {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Placeholder {
    /// Starts it.
    pub fn start() -> nix::Result<Self> {
        let parent = nix::unistd::getpid();
        // SAFETY: the child makes system calls and nothing else: no memory of other threads, no lock, and it never
        // returns into the parent's frames.
        match unsafe { clone(&Clone::default()) }? {
            Side::Parent(pid, pidfd) => Ok(Self { pid, pidfd }),
            Side::Child => {
                let ready = set_parent_death_signal(libc::SIGKILL)
                    .and_then(|()| signals::default_all())
                    .and_then(|()| signals::unblock_all())
                    .and_then(|()| close_all_but(0, &mut Vec::new()));
                // A parent that ended before the first call sends no signal any more.
                while ready.is_ok() && nix::unistd::getppid() == parent {
                    // SAFETY: no pointers.
                    let _ = check(unsafe { libc::syscall(libc::SYS_pause) });
                }
                exit_now(1)
            }
        }
    }

    /// Its pid here.
    pub fn pid(&self) -> Pid {
        self.pid
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        // It may have been killed with the rest of its cgroup, and reaped.
        let _ = pidfd_signal(&self.pidfd, libc::SIGKILL);
        let _ = nix::sys::wait::waitpid(self.pid, None);
    }
}
