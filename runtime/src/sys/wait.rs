//! wait4(2) without losing what nix has no word for: a process can die of a real-time signal.

use nix::errno::Errno;
use nix::unistd::Pid;

use super::check;

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

/// Takes the status of one child that has ended, whichever; none if all still run. ECHILD: there are no children.
pub fn reap_any() -> nix::Result<Option<(Pid, End)>> {
    loop {
        let mut status: libc::c_int = 0;
        // SAFETY: a valid pointer to an int; no resource usage is asked for.
        let pid = check(unsafe {
            libc::syscall(
                libc::SYS_wait4,
                -1,
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
                Ok(Some((Pid::from_raw(pid), end(status))))
            }
        };
    }
}

/// Without WUNTRACED and WCONTINUED a status is one of these two.
fn end(status: libc::c_int) -> End {
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
