//! The user's own terminal while a container's is shown on it: raw, and as it was when this ends in any way.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::error::{Error, OrFail, Result};
use crate::sys::pty;

/// The user's terminal. Dropping it puts it back.
#[derive(Debug)]
pub(super) struct Terminal {
    fd: OwnedFd,
    /// How it was before it was raw.
    saved: Option<Termios>,
}

impl Terminal {
    /// The terminal that one of the standard streams is, or the controlling one.
    pub(super) fn find() -> Result<Self> {
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let streams = [
            (stderr.is_terminal(), stderr.as_fd()),
            (stdout.is_terminal(), stdout.as_fd()),
            (stdin.is_terminal(), stdin.as_fd()),
        ];
        let fd = match streams.into_iter().find(|(is_terminal, _)| *is_terminal) {
            Some((_, fd)) => fd.try_clone_to_owned().or_fail("fcntl", || "keep the user's terminal")?,
            None => File::options()
                .read(true)
                .write(true)
                .open("/dev/tty")
                .or_fail("open", || "open /dev/tty")
                .map_err(|error| {
                    error.hint("a terminal needs one to be shown on: set terminal to false, or detach")
                })?
                .into(),
        };
        Ok(Self { fd, saved: None })
    }

    /// Every key goes through unchanged; newlines are still shown as such, since those of the process come plain.
    pub(super) fn set_raw(&mut self) -> Result<()> {
        let what = || "failed to set the terminal from the stdin";
        let saved = tcgetattr(&self.fd).or_fail("tcgetattr", what)?;
        let mut raw = saved.clone();
        cfmakeraw(&mut raw);
        raw.output_flags |= OutputFlags::OPOST;
        tcsetattr(&self.fd, SetArg::TCSANOW, &raw).or_fail("tcsetattr", what)?;
        self.saved = Some(saved);
        Ok(())
    }

    /// Rows and columns.
    pub(super) fn size(&self) -> nix::Result<(u16, u16)> {
        pty::size(&self.fd)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let Some(saved) = &self.saved else { return };
        match tcsetattr(&self.fd, SetArg::TCSANOW, saved) {
            // EIO: it has hung up, and nobody looks at it any more.
            Ok(()) | Err(Errno::EIO) => {}
            Err(errno) => log::warn!("{}", Error::os("tcsetattr", errno, "put the terminal back as it was")),
        }
    }
}
