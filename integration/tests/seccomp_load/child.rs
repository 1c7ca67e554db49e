//! A forked child that loads a filter and makes calls. It only ever ends by `_exit` or a signal.

use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use pinnace::seccomp::{Filter, compile};
use pinnace::spec::oci::LinuxSeccomp;
use serde_json::{Value, json};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exit(i32),
    Signal(Signal),
}

/// A profile, compiled for this machine.
pub(crate) fn filter(profile: Value) -> Filter {
    let profile: LinuxSeccomp = serde_json::from_value(profile).unwrap();
    compile(&profile).unwrap().unwrap()
}

/// A profile that allows everything but what `rules` say.
pub(crate) fn allowing_but(rules: &Value) -> Filter {
    filter(json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules }))
}

/// Loads `filter` in a child without any privilege over it, and ends with what `act` gives, or by what the filter does.
/// `act` gets the listener. It runs in the fork of a process with threads: system calls only.
pub(crate) fn under(filter: &Filter, act: impl FnOnce(Option<OwnedFd>) -> i32) -> End {
    // SAFETY: the child only makes system calls, and ends by _exit.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            no_core_dump();
            // SAFETY: integers only.
            let quiet = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == 0;
            let code = match filter.load() {
                Ok(listener) if quiet => act(listener),
                Ok(_) => 250,
                Err(_) => 251,
            };
            // SAFETY: ends the child.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, code) => End::Exit(code),
            WaitStatus::Signaled(_, signal, _) => End::Signal(signal),
            other => panic!("{other:?}"),
        },
    }
}

fn no_core_dump() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads a live struct.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
}

/// Makes a system call; the errno, or 0 if it succeeded.
pub(crate) fn errno_of(number: i64, args: [i64; 5]) -> i32 {
    // SAFETY: the callers pass integers, or null where a pointer is wanted.
    match unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4]) } {
        // SAFETY: the thread's own errno.
        -1 => unsafe { *libc::__errno_location() },
        _ => 0,
    }
}
