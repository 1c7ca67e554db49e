//! Signal mask and dispositions by raw system calls: a C library hides its own signals from sigaction(3), and a
//! caller may have blocked or ignored them too.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::check;

/// Bytes of the kernel's signal set.
const SET: usize = 8;

/// The kernel's `struct sigaction` with all fields zero: SIG_DFL, no flags, empty mask.
const DEFAULT: [u64; 4] = [0; 4];

/// The number after the last signal.
const END: libc::c_int = 65;

/// Blocks nothing.
pub fn unblock_all() -> nix::Result<()> {
    let none = 0_u64;
    // SAFETY: the new set is valid for the given 8 bytes, the old one is not asked for.
    check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            std::ptr::from_ref(&none),
            std::ptr::null_mut::<u64>(),
            SET,
        )
    })?;
    Ok(())
}

/// Each of `signals` ends this process with 128 and its number, until an exec resets them.
pub fn exit_on(signals: &[libc::c_int]) -> nix::Result<()> {
    extern "C" fn exit(signal: libc::c_int) {
        // SAFETY: _exit is safe in a signal handler (man 7 signal-safety) and never returns.
        unsafe { libc::_exit(128 + signal) }
    }
    let action = SigAction::new(SigHandler::Handler(exit), SaFlags::empty(), SigSet::empty());
    for &signal in signals {
        // SAFETY: the handler makes one system call and touches no memory.
        unsafe { sigaction(Signal::try_from(signal)?, &action) }?;
    }
    Ok(())
}

/// Every signal does what it does by default: handlers would go with an exec, ignored ones would stay ignored.
pub fn default_all() -> nix::Result<()> {
    (1..END).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)).try_for_each(default)
}

/// One signal does what it does by default.
pub fn default(signal: libc::c_int) -> nix::Result<()> {
    // SAFETY: the new action is at least as large as the kernel's structure on every 64-bit architecture and names no
    // handler; the old one is not asked for.
    check(unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), std::ptr::null_mut::<u64>(), SET)
    })?;
    Ok(())
}
