//! systemd's readiness protocol (man 3 sd_notify) across the container's border: the container gets a socket of its
//! own under /run/notify, and of what it writes there only READY= goes on to the caller's NOTIFY_SOCKET, with the
//! container's pid as MAINPID. The caller's own socket never enters the container.

use std::ffi::OsStr;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind, recv, sendmsg, socket,
};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{Pid, pipe2};

use crate::error::{OrFail, Result};
use crate::spec::{Mount, Spec};
use crate::sys::fs::fd_path;

/// The directory in the container's state directory, and the socket in it.
const DIR: &str = "notify";
const SOCKET: &str = "notify.sock";

/// Where the directory is in the container.
const INSIDE: &str = "/run/notify";

/// How long systemd may take to close the barrier (man 3 sd_notify_barrier).
const BARRIER: Duration = Duration::from_secs(30);

/// Longest message that is looked at.
const LONGEST: usize = 4096;

/// Gives the container the directory and the variable, if the caller has a NOTIFY_SOCKET.
pub fn prepare(spec: &mut Spec, state_dir: &Path) {
    if asked() {
        enter(spec, state_dir);
    }
}

fn enter(spec: &mut Spec, state_dir: &Path) {
    spec.mounts.push(Mount {
        destination: INSIDE.to_owned(),
        source: Some(state_dir.join(DIR).to_string_lossy().into_owned()),
        options: ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec(),
        ..Mount::default()
    });
    if let Some(process) = &mut spec.process {
        process.env.push(format!("NOTIFY_SOCKET={INSIDE}/{SOCKET}"));
    }
}

/// Makes the directory that [`prepare`] has named, if it has.
pub fn make_dir(state_dir: &Path) -> Result<()> {
    if !asked() {
        return Ok(());
    }
    let dir = state_dir.join(DIR);
    let what = || format!("make {}", dir.display());
    nix::unistd::mkdir(&dir, Mode::from_bits_truncate(0o755)).or_fail("mkdir", what)?;
    // The caller's umask may have taken what the container's user needs.
    fchmodat(nix::fcntl::AT_FDCWD, &dir, Mode::from_bits_truncate(0o755), FchmodatFlags::FollowSymlink)
        .or_fail("fchmodat", what)
}

fn asked() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty())
}

/// The container's socket, open, and the way to the caller's.
#[derive(Debug)]
pub struct Notify {
    inside: OwnedFd,
    host: UnixAddr,
}

impl Notify {
    /// Opens the container's socket. None: the caller has no NOTIFY_SOCKET, or the container was made without one.
    /// Before the container starts, so that no word is lost.
    pub fn listen(state_dir: &Path) -> Result<Option<Self>> {
        let Some(host) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let host =
            address(&host).or_fail("sockaddr", || format!("understand NOTIFY_SOCKET={}", host.display()))?;
        Self::listen_for(state_dir, host)
    }

    fn listen_for(state_dir: &Path, host: UnixAddr) -> Result<Option<Self>> {
        let dir = state_dir.join(DIR);
        let what = || format!("listen on {}/{SOCKET}", dir.display());
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir_fd = match nix::fcntl::open(&dir, flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            other => other.or_fail("open", what)?,
        };
        let inside = datagram().or_fail("socket", what)?;
        // Through the directory's descriptor: a state directory can have a longer path than a socket address takes.
        let address = UnixAddr::new(&fd_path(&dir_fd).join(SOCKET)).or_fail("sockaddr", what)?;
        bind(inside.as_raw_fd(), &address).or_fail("bind", what)?;
        fchmodat(&dir_fd, SOCKET, Mode::from_bits_truncate(0o777), FchmodatFlags::FollowSymlink)
            .or_fail("fchmodat", what)?;
        Ok(Some(Self { inside, host }))
    }

    /// Readable when the container has said something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }

    /// Takes what the container has said and passes READY on, with `pid` as the service's. True: it is ready, and
    /// there is nothing more to wait for.
    pub fn advance(&self, pid: Pid) -> Result<bool> {
        loop {
            let mut message = [0; LONGEST];
            let length = match recv(self.inside.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => return Ok(false),
                Err(Errno::EINTR) => continue,
                other => other.or_fail("recv", || "read the container's notification")?,
            };
            if let Some(line) = ready(&message[..length]) {
                self.tell(line, pid)?;
                return Ok(true);
            }
        }
    }

    /// Blocks until the container is ready or has ended.
    pub fn wait(&self, pid: Pid, pidfd: impl AsFd) -> Result<()> {
        loop {
            let mut fds =
                [PollFd::new(self.fd(), PollFlags::POLLIN), PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno).or_fail("poll", || "wait for the container's notification"),
            }
            let ended = fds[1].any().unwrap_or(true);
            if self.advance(pid)? || ended {
                return Ok(());
            }
        }
    }

    fn tell(&self, line: &[u8], pid: Pid) -> Result<()> {
        let what = || "notify the caller's service manager";
        let socket = datagram().or_fail("socket", what)?;
        let say = |text: &[u8], rights: &[ControlMessage<'_>]| {
            let flags = MsgFlags::MSG_NOSIGNAL;
            sendmsg(socket.as_raw_fd(), &[IoSlice::new(text)], rights, flags, Some(&self.host))
                .or_fail("sendmsg", what)
        };
        say(&[line, b"\n"].concat(), &[])?;
        say(format!("MAINPID={pid}\n").as_bytes(), &[])?;
        let (barrier, end) = pipe2(OFlag::O_CLOEXEC).or_fail("pipe2", what)?;
        say(b"BARRIER=1", &[ControlMessage::ScmRights(&[end.as_raw_fd()])])?;
        drop(end);
        if !closed(&barrier, BARRIER) {
            log::warn!("Timeout after waiting 30s for barrier. Ignored.");
        }
        Ok(())
    }
}

/// Waits until nobody has the other end of a pipe any more.
fn closed(pipe: &OwnedFd, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = u16::try_from(left.as_millis()).map_or(PollTimeout::MAX, PollTimeout::from);
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) if !left.is_zero() => {}
            Ok(count) => return count > 0,
            Err(_) => return false,
        }
    }
}

/// The line that says READY.
fn ready(message: &[u8]) -> Option<&[u8]> {
    message.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY="))
}

/// A path, or a name in the abstract name space after `@`.
fn address(text: &OsStr) -> nix::Result<UnixAddr> {
    match text.as_bytes() {
        [b'@', name @ ..] => UnixAddr::new_abstract(name),
        [b'/', ..] => UnixAddr::new(Path::new(text)),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

fn datagram() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
}

#[cfg(test)]
#[path = "notify_test.rs"]
mod tests;
