//! wait4(2) without losing what nix has no word for: a process can die of a real-time signal.

use std::cell::RefCell;
use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::check;

thread_local! {
    /// Children whose status somebody here will ask for, and the statuses that [`reap_any`] has come upon meanwhile.
    static EXPECTED: RefCell<BTreeMap<i32, Option<libc::c_int>>> = const { RefCell::new(BTreeMap::new()) };
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It left with this code.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
}

impl End {
    /// As a shell tells it: the code, or 128 and the signal.
    pub fn status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_u8.saturating_add(signal),
        }
    }
}

/// From now on the status of this child, which was just born, is for who asks [`try_wait`] or [`release`], also when
/// [`reap_any`] takes it first.
pub fn expect(pid: Pid) {
    EXPECTED.with_borrow_mut(|expected| expected.insert(pid.as_raw(), None));
}

/// The status of a child that was expected, as wait4(2) gives it; none if it still runs.
pub fn try_wait(pid: Pid) -> nix::Result<Option<libc::c_int>> {
    if let Some(status) = release(pid) {
        return Ok(Some(status));
    }
    let taken = wait4(pid.as_raw())?;
    if taken.is_none() {
        expect(pid);
    }
    Ok(taken.map(|(_, status)| status))
}

/// Nobody asks for the status of this child any more, other than who calls [`reap_any`]: the one that was taken
/// already.
pub fn release(pid: Pid) -> Option<libc::c_int> {
    EXPECTED.with_borrow_mut(|expected| expected.remove(&pid.as_raw())).flatten()
}

/// Takes the status of one child that has ended, whichever; none if all still run. A child that is expected elsewhere
/// is passed over, its status kept. ECHILD: there are no children.
pub fn reap_any() -> nix::Result<Option<(Pid, End)>> {
    loop {
        let Some((pid, status)) = wait4(-1)? else { return Ok(None) };
        let kept = EXPECTED.with_borrow_mut(|expected| {
            expected.get_mut(&pid.as_raw()).map(|place| *place = Some(status)).is_some()
        });
        if !kept {
            return Ok(Some((pid, end(status))));
        }
    }
}

fn wait4(pid: libc::pid_t) -> nix::Result<Option<(Pid, libc::c_int)>> {
    loop {
        let mut status: libc::c_int = 0;
        // SAFETY: a valid pointer to an int; no resource usage is asked for.
        let pid = check(unsafe {
            libc::syscall(
                libc::SYS_wait4,
                pid,
                std::ptr::from_mut(&mut status),
                libc::WNOHANG,
                std::ptr::null_mut::<libc::rusage>(),
            )
        });
        return match pid {
            Err(Errno::EINTR) => continue,
            Err(errno) => Err(errno),
            Ok(0) => Ok(None),
            Ok(pid) => {
                let pid = i32::try_from(pid).map_err(|_| Errno::EOVERFLOW)?;
                Ok(Some((Pid::from_raw(pid), status)))
            }
        };
    }
}

/// What a status means. Without WUNTRACED and WCONTINUED it is one of these two.
pub fn end(status: libc::c_int) -> End {
    let byte = |number: libc::c_int| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    if libc::WIFSIGNALED(status) {
        End::Signal(byte(libc::WTERMSIG(status)))
    } else {
        End::Code(byte(libc::WEXITSTATUS(status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_expected_is_kept_for_who_expects_it() {
        use crate::sys::clone::{Clone, Side, clone};
        // SAFETY: the child leaves at once, by a system call.
        let Side::Parent(pid, _pidfd) = (unsafe { clone(&Clone::default()) }).unwrap() else {
            super::super::process::exit_now(7)
        };
        expect(pid);
        let status = loop {
            if let Some(status) = try_wait(pid).unwrap() {
                break status;
            }
        };
        assert_eq!(end(status), End::Code(7));
        expect(pid);
        EXPECTED.with_borrow_mut(|expected| expected.insert(pid.as_raw(), Some(9)));
        assert_eq!(try_wait(pid), Ok(Some(9)));
        assert_eq!(release(pid), None);
    }

    #[test]
    fn statuses() {
        for (raw, ended, status) in [
            (0, End::Code(0), 0),
            (7 << 8, End::Code(7), 7),
            (255 << 8, End::Code(255), 255),
            (9, End::Signal(9), 137),
            (0x8b, End::Signal(11), 139),
            (64, End::Signal(64), 192),
        ] {
            assert_eq!(end(raw), ended);
            assert_eq!(end(raw).status(), status);
        }
    }
}
