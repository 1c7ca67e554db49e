//! The other ends of terminals and sockets that a runtime talks to: console socket, pidfd socket, a pty of the test's
//! own. It must never wait without a limit.

use std::fs::File;
use std::io::{IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// A listening Unix socket that takes descriptors.
#[derive(Debug)]
pub struct FdSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl FdSocket {
    /// Binds it to a path that does not exist.
    pub fn new(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap_or_else(|e| panic!("bind {}: {e}", path.display()));
        Self { listener, path: path.to_owned() }
    }

    /// Where it is bound.
    pub fn path(&self) -> &str {
        self.path.to_str().expect("invariant: the test's paths are UTF-8")
    }

    /// The descriptor that a peer sent, and the bytes beside it.
    pub fn receive(&self, limit: Duration) -> Option<(OwnedFd, Vec<u8>)> {
        if !readable(&self.listener, limit) {
            return None;
        }
        let (stream, _) = self.listener.accept().ok()?;
        if !readable(&stream, limit) {
            return None;
        }
        let mut bytes = [0; 4096];
        let mut space = nix::cmsg_space!([RawFd; 4]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let message =
            recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)
                .ok()?;
        let length = message.bytes;
        let fd = message.cmsgs().ok()?.find_map(|part| match part {
            ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
            _ => None,
        })?;
        // SAFETY: the kernel installed this descriptor for us with the message.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Some((fd, bytes[..length].to_vec()))
    }
}

/// Waits until there is something to read (or the peer has gone).
pub fn readable(fd: impl AsFd, limit: Duration) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    poll(&mut fds, limit).is_ok_and(|ready| ready > 0)
}

/// Reads from a terminal's master until `done` says yes, the peer has gone, or the limit is over.
pub fn read_until(master: &OwnedFd, limit: Duration, done: impl Fn(&str) -> bool) -> String {
    let mut master = File::from(master.try_clone().expect("duplicate a terminal"));
    let begin = Instant::now();
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !done(&text) && begin.elapsed() < limit && readable(&master, limit) {
        // EIO: the last one who had the other side open is gone.
        let Ok(length @ 1..) = master.read(&mut bytes) else { break };
        text.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    text
}

/// A pseudo terminal of the test's own, for a runtime in the foreground.
#[derive(Debug)]
pub struct Pty {
    /// The side of the user at the keyboard.
    pub master: OwnedFd,
    slave: OwnedFd,
}

impl Pty {
    /// A terminal of that size.
    pub fn new(rows: u16, columns: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).expect("open a pseudo terminal");
        for fd in [&master, &slave] {
            nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))
                .expect("set close-on-exec");
        }
        Self { master, slave }
    }

    /// Makes it the standard streams and the controlling terminal of a command.
    pub fn attach(&self, command: &mut Command) {
        let slave = || self.slave.try_clone().expect("duplicate a terminal");
        command.stdin(slave()).stdout(slave()).stderr(slave());
        // SAFETY: between fork and exec only these two system calls are made.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
    }

    /// Changes the size, which signals the foreground process group.
    pub fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.master, rows, columns);
    }
}

/// Sets the size of a terminal by its master.
pub fn set_size(master: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize.
    let result = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(result, 0, "resize a terminal: {}", std::io::Error::last_os_error());
}
