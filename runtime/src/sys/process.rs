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

/// `PR_SCHED_CORE`: a new core-scheduling cookie for this process group, which children inherit (kernel 5.14,
/// Documentation/admin-guide/hw-vuln/core-scheduling.rst): nobody else runs on its cores' other threads.
pub fn take_core_cookie() -> nix::Result<()> {
    /// PR_SCHED_CORE, PR_SCHED_CORE_CREATE and PR_SCHED_CORE_SCOPE_PROCESS_GROUP (linux/prctl.h).
    const WORDS: (i32, u64, u64) = (62, 1, 2);
    prctl(WORDS.0, WORDS.1, 0, WORDS.2, 0).map(drop)
}

/// setdomainname(2).
pub fn set_domain_name(name: &str) -> nix::Result<()> {
    // SAFETY: the pointer and the length are those of one live string.
    check(unsafe { libc::syscall(libc::SYS_setdomainname, name.as_ptr(), name.len()) })?;
    Ok(())
}

/// setresgid and setresuid to 0, for this thread alone: what a process does first in its new user namespace.
pub fn set_root_ids() -> nix::Result<()> {
    // SAFETY: no pointers. The raw calls change this thread only, which is the only one.
    check(unsafe { libc::syscall(libc::SYS_setresgid, 0, 0, 0) })?;
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) })?;
    Ok(())
}

/// CLONE_NEWTIME (linux/sched.h), which nix has no name for.
const CLONE_NEWTIME: i32 = 0x80;

/// unshare(2) of the time namespace: for processes still to come.
pub fn unshare_time() -> nix::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_unshare, CLONE_NEWTIME) })?;
    Ok(())
}

/// setns(2) into a time namespace. The process must have one thread.
pub fn enter_time(namespace: impl AsFd) -> nix::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setns, namespace.as_fd().as_raw_fd(), CLONE_NEWTIME) })?;
    Ok(())
}

/// setns(2) by pidfd into several namespaces of a process at once (kernel 5.8); `flags` are `CLONE_NEW*`.
pub fn enter_all(pidfd: impl AsFd, flags: u64) -> nix::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setns, pidfd.as_fd().as_raw_fd(), flags) })?;
    Ok(())
}

/// Closes every descriptor from `first` up but those in `keep`: what the runtime had open must not be there when
/// paths of the container are walked (CVE-2024-21626).
///
/// The owners of the closed descriptors must never be dropped: call it only in a process that ends in execve or
/// `_exit`.
pub fn close_all_but(first: i32, keep: &mut Vec<i32>) -> nix::Result<()> {
    if mutant!("purge") {
        return Ok(());
    }
    keep.retain(|fd| *fd >= first);
    keep.sort_unstable();
    let mut from = first;
    for fd in keep.iter().copied() {
        close_range(from, fd - 1)?;
        from = fd + 1;
    }
    close_range(from, i32::MAX)
}

/// close(2) of one descriptor, whose owner must never be dropped: for a process behind a seccomp filter, which may
/// know of nothing newer.
pub fn close(fd: i32) {
    // SAFETY: no pointers; the caller promises that nobody uses the descriptor again.
    let _ = check(unsafe { libc::syscall(libc::SYS_close, fd) });
}

fn close_range(from: i32, to: i32) -> nix::Result<()> {
    if from > to {
        return Ok(());
    }
    // SAFETY: no pointers; the caller promises that nobody uses the descriptors again.
    check(unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) })?;
    Ok(())
}

/// `PR_SET_TIMERSLACK`, in nanoseconds.
pub fn set_timer_slack(nanoseconds: u64) -> nix::Result<()> {
    prctl(libc::PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0).map(drop)
}

/// `PR_SET_PDEATHSIG`: the signal that this process gets when the thread that made it ends; 0 is none. The kernel
/// forgets it when ids change.
pub fn set_parent_death_signal(signal: i32) -> nix::Result<()> {
    let signal = u64::try_from(signal).map_err(|_| Errno::EINVAL)?;
    prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0).map(drop)
}

/// prlimit(2): sets a process's resource limit. `resource` is a number of asm-generic/resource.h.
pub fn set_rlimit(pid: Pid, resource: u32, soft: u64, hard: u64) -> nix::Result<()> {
    let limit = [soft, hard];
    // SAFETY: two 64-bit numbers are a struct rlimit64; the old limit is not asked for.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid.as_raw(),
            resource,
            limit.as_ptr(),
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    })?;
    Ok(())
}

/// `PIDFD_GET_USER_NAMESPACE` (linux/pidfd.h).
const PIDFD_GET_USER_NAMESPACE: libc::c_ulong = 0xff09;

/// The inode number of the initial user namespace (linux/proc_ns.h: PROC_USER_INIT_INO).
const USER_INIT_INO: u64 = 0xefff_fffd;

/// Whether this process is in the user namespace that the kernel booted with. ENOTTY before kernel 6.11.
pub fn in_initial_user_namespace() -> nix::Result<bool> {
    let own = pidfd_open(nix::unistd::getpid())?;
    // SAFETY: the request takes no argument and returns a new descriptor.
    let namespace = owned(check(unsafe {
        libc::syscall(libc::SYS_ioctl, own.as_raw_fd(), PIDFD_GET_USER_NAMESPACE, 0)
    })?)?;
    Ok(nix::sys::stat::fstat(&namespace)?.st_ino == USER_INIT_INO)
}
