//! One traced process: how many calls it has entered, and how a call is made to fail. It must never change another
//! register than the two that say which call it is and what it answered.

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;

/// Where a process stands at a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// About to make the call of that number.
    Entry(u64),
    /// Back from it.
    Exit,
    /// Nowhere: it was killed.
    Gone,
}

/// A process under trace.
#[derive(Debug)]
pub(crate) struct Tracee {
    /// In order of birth.
    pub index: usize,
    /// How many calls it has entered.
    pub calls: usize,
    /// What the call that it is in shall answer.
    pub answer: Option<Errno>,
    fresh: bool,
}

impl Tracee {
    pub(crate) fn new(index: usize) -> Self {
        Self { index, calls: 0, answer: None, fresh: index != 0 }
    }

    /// True once, of a process that was born under trace: it begins with a SIGSTOP that is not for it.
    pub(crate) fn begins(&mut self) -> bool {
        std::mem::take(&mut self.fresh)
    }

    /// Where the process stands, as the kernel says.
    pub(crate) fn call(pid: Pid) -> Call {
        /// The beginning of `struct ptrace_syscall_info`, up to the number of an entry.
        #[repr(C)]
        #[derive(Default)]
        struct Info {
            op: u8,
            pad: [u8; 3],
            arch: u32,
            instruction: u64,
            stack: u64,
            number: u64,
        }
        const ENTRY: u8 = 1;
        const EXIT: u8 = 2;
        const GET_SYSCALL_INFO: i32 = 0x420e;
        let mut info = Info::default();
        // SAFETY: the kernel writes at most as many bytes as it is told there are.
        let length =
            unsafe { libc::ptrace(GET_SYSCALL_INFO, pid.as_raw(), size_of::<Info>(), &raw mut info) };
        match (length > 0, info.op) {
            (true, ENTRY) => Call::Entry(info.number),
            (true, EXIT) => Call::Exit,
            _ => Call::Gone,
        }
    }

    /// Makes the call that is being entered one that there is none of, to answer `errno` at its end.
    pub(crate) fn refuse(&mut self, pid: Pid, errno: Errno) {
        if register::write(pid, register::NUMBER, -1).is_ok() {
            self.answer = Some(errno);
        }
    }

    /// Puts the answer where the caller looks for it.
    #[expect(clippy::as_conversions, reason = "the way to a fieldless enum's number")]
    pub(crate) fn put_answer(&mut self, pid: Pid) {
        if let Some(errno) = self.answer.take() {
            let _ = register::write(pid, register::RESULT, -i64::from(errno as i32));
        }
    }
}

/// Registers by their place in `struct user` (sys/user.h).
#[cfg(target_arch = "x86_64")]
mod register {
    use super::{Errno, Pid, ptrace};

    /// orig_rax.
    pub(super) const NUMBER: usize = 15 * 8;
    /// rax.
    pub(super) const RESULT: usize = 10 * 8;

    pub(super) fn write(pid: Pid, place: usize, value: i64) -> nix::Result<()> {
        ptrace::write_user(pid, std::ptr::without_provenance_mut(place), value)
            .map_err(|_: Errno| Errno::ESRCH)
    }
}

/// Elsewhere calls can be killed in, but not made to fail.
#[cfg(not(target_arch = "x86_64"))]
mod register {
    use super::{Errno, Pid};

    pub(super) const NUMBER: usize = 0;
    pub(super) const RESULT: usize = 0;

    pub(super) fn write(_: Pid, _: usize, _: i64) -> nix::Result<()> {
        Err(Errno::ENOSYS)
    }
}
