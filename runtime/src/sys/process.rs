//! Processes by pidfd and the calls on oneself that nix lacks.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::{check, fs::owned};

/// pidfd_open(2).
pub fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    owned(check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?)
}

/// pidfd_send_signal(2); `signal` 0 only asks whether the process is there.
pub fn pidfd_signal(pidfd: impl AsFd, signal: i32) -> nix::Result<()> {
    // SAFETY: a null siginfo means what kill(2) would send.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    })?;
    Ok(())
}

/// pidfd_getfd(2): a copy of descriptor `fd` of another process.
pub fn pidfd_getfd(pidfd: impl AsFd, fd: i32) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    owned(check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_fd().as_raw_fd(), fd, 0) })?)
}

/// `_exit(2)`: leaves without running what the parent registered.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and takes no pointer.
    unsafe { libc::_exit(code) }
}

/// prctl(2) with integer arguments.
pub(crate) fn prctl(option: i32, a: u64, b: u64, c: u64, d: u64) -> nix::Result<i32> {
    // SAFETY: every caller in `sys` names an option whose arguments are integers.
    let ret = check(unsafe { libc::syscall(libc::SYS_prctl, option, a, b, c, d) })?;
    i32::try_from(ret).map_err(|_| Errno::EOVERFLOW)
}

/// `PR_SET_DUMPABLE` 0: no other process of the same user may read our memory or descriptors.
pub fn set_undumpable() -> nix::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0).map(drop)
}

/// `PR_SET_CHILD_SUBREAPER`.
pub fn set_subreaper(on: bool) -> nix::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, u64::from(on), 0, 0, 0).map(drop)
}

/// `PR_SET_TIMERSLACK`, in nanoseconds.
pub fn set_timer_slack(nanoseconds: u64) -> nix::Result<()> {
    prctl(libc::PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0).map(drop)
}
