//! Hands a terminal's master to `--console-socket` and a pidfd to `--pidfd-socket`: connect, one message with the
//! descriptor (SCM_RIGHTS), close. The other end is somebody else's program and may hang: every wait is bounded.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::stat::Mode;
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::sys::time::TimeVal;

use crate::error::{Error, OrFail, Result};
use crate::spec::{Process, Spec};
use crate::sys::fs::fd_path;
use crate::sys::socket::send;

/// The name that goes along with a master; receivers show it at most.
const MASTER: &[u8] = b"/dev/ptmx";

/// How long the other end may take to accept and to read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Refuses a console socket for a process without a terminal.
pub fn check(spec: &Spec, socket: bool) -> Result<()> {
    spec.process.as_ref().map_or(Ok(()), |process| check_exec(process, socket))
}

/// The same for an exec.
pub fn check_exec(process: &Process, socket: bool) -> Result<()> {
    if socket && !process.terminal {
        return Err(Error::invalid("cannot use console socket if runc will not detach or allocate tty")
            .hint("set process.terminal or leave --console-socket out"));
    }
    Ok(())
}

/// Sends a terminal's master.
pub fn send_master(path: &Path, master: &OwnedFd) -> Result<()> {
    hand_over(path, MASTER, master, "console socket")
}

/// Sends a pidfd; `word` says whose: "standard" is a container's first process, "setns" an exec.
pub fn send_pidfd(path: &Path, pidfd: &OwnedFd, word: &str) -> Result<()> {
    hand_over(path, word.as_bytes(), pidfd, "pidfd socket")
}

/// No carriage return before each newline: output that is not shown on a terminal stays as the process wrote it, and
/// the user's own terminal adds what it needs.
pub fn plain_newlines(master: &OwnedFd) -> Result<()> {
    let what = || "set up the process's terminal";
    let mut termios = tcgetattr(master).or_fail("tcgetattr", what)?;
    termios.output_flags.remove(OutputFlags::ONLCR);
    tcsetattr(master, SetArg::TCSANOW, &termios).or_fail("tcsetattr", what)
}

fn hand_over(path: &Path, word: &[u8], fd: &OwnedFd, name: &str) -> Result<()> {
    let slow = |error: Error| match error.errno() {
        Some(Errno::EAGAIN) => error.hint(format!("nobody has taken it within {} s", PATIENCE.as_secs())),
        Some(Errno::ENOENT | Errno::ECONNREFUSED) => {
            error.hint(format!("is somebody listening on the {name}?"))
        }
        _ => error,
    };
    let socket =
        dial(path).or_fail("connect", || format!("connect to {name} {}", path.display())).map_err(slow)?;
    send(&socket, word, Some(fd.as_fd()))
        .or_fail("sendmsg", || format!("send a descriptor to {name} {}", path.display()))
        .map_err(slow)
}

/// A connected stream socket. A path too long for a socket address is reached through its directory.
fn dial(path: &Path) -> nix::Result<OwnedFd> {
    let dial = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let patience = TimeVal::new(i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX), 0);
    // Bounds connect(2) as well, which waits for room in the listener's backlog (unix(7)).
    setsockopt(&dial, sockopt::SendTimeout, &patience)?;
    let mut held = None;
    let address = match UnixAddr::new(path) {
        Err(Errno::ENAMETOOLONG) => {
            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Errno::EINVAL);
            };
            let dir =
                nix::fcntl::open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
            let dir = held.insert(dir);
            UnixAddr::new(&fd_path(dir).join(name))?
        }
        other => other?,
    };
    loop {
        match connect(std::os::fd::AsRawFd::as_raw_fd(&dial), &address) {
            Err(Errno::EINTR) => {}
            Ok(()) => return Ok(dial),
            Err(errno) => return Err(errno),
        }
    }
}
