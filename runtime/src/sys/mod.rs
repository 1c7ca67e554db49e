//! Safe wrappers of the system calls that nix lacks. The only place, beside the clone call, where `unsafe` stands.
//! Wrappers return the errno; whoever calls knows the operand and makes the error.

pub mod bpf;
pub mod clone;
pub mod cred;
pub mod fs;
pub mod heap;
pub mod keyring;
pub mod mount;
pub mod net;
pub mod placeholder;
pub mod poll;
pub mod process;
pub mod pty;
pub mod sched;
pub mod seccomp;
pub mod shared;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod wait;

use nix::errno::Errno;

/// A raw system call's return value as a result.
pub(crate) fn check(ret: libc::c_long) -> nix::Result<libc::c_long> {
    if ret < 0 { Err(Errno::last()) } else { Ok(ret) }
}
