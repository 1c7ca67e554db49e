//! clone3(2) without a new stack: fork with a choice of namespaces, a pidfd, and a cgroup to be born in.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::check;

/// What the child is born with.
#[derive(Debug, Default)]
pub struct Clone<'fd> {
    /// `CLONE_NEW*` and CLONE_PARENT.
    pub flags: u64,
    /// A cgroup v2 directory to be born in (kernel 5.7).
    pub cgroup: Option<BorrowedFd<'fd>>,
}

/// Which side of the clone runs.
#[derive(Debug)]
pub enum Side {
    /// The child.
    Child,
    /// The parent, with the child's pid in its own pid namespace and its pidfd.
    Parent(Pid, OwnedFd),
}

/// Clones this process like fork(2).
///
/// # Safety
/// The caller must be single-threaded: the child runs on with ordinary code, and a lock that another thread held
/// would stay locked in it forever. The child must leave by execve or `_exit` and never return into the parent's frames.
pub unsafe fn clone(how: &Clone<'_>) -> nix::Result<Side> {
    let mut pidfd: RawFd = -1;
    // SAFETY: all fields of clone_args are integers, for which zero means "not used".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    // CLONE_PIDFD is 0x1000, CLONE_INTO_CGROUP 0x2_0000_0000 (linux/sched.h).
    args.flags = how.flags | 0x1000;
    args.pidfd = u64::try_from(std::ptr::from_mut(&mut pidfd).addr()).map_err(|_| Errno::EFAULT)?;
    // With CLONE_PARENT the exit signal is the caller's and must not be given (man 2 clone3).
    if how.flags & u64::from(libc::CLONE_PARENT.unsigned_abs()) == 0 {
        args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    }
    if let Some(cgroup) = how.cgroup {
        args.flags |= 0x2_0000_0000;
        args.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    }
    // SAFETY: `args` is a valid clone_args of the size given; its pidfd pointer is valid in both processes, since no
    // CLONE_VM is asked for. That running on in the child is sound is the caller's promise.
    let pid = check(unsafe {
        libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), size_of::<libc::clone_args>())
    })?;
    if pid == 0 {
        return Ok(Side::Child);
    }
    let pid = i32::try_from(pid).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: the kernel has stored a new descriptor there for us.
    Ok(Side::Parent(Pid::from_raw(pid), unsafe { OwnedFd::from_raw_fd(pidfd) }))
}
