//! Carries bytes between standard input and output and a terminal's master, losing none: it writes what the other
//! side takes, keeps the rest, and reads on only when there is room. It never waits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::terminal::Terminal;
use crate::container::console::plain_newlines;
use crate::error::{OrFail, Result};
use crate::sys::pty;

/// What is kept for a side that does not take it yet.
const ROOM: usize = 64 * 1024;

/// A pipe or a terminal that is ready to be written to takes this much without blocking (PIPE_BUF, pipe(7)). The
/// user's descriptors are shared with others and can't be made non-blocking.
const CHUNK: usize = 4096;

/// The kernel holds no more output of a terminal than this (drivers/tty: 64 KiB of buffers and 4 KiB to be read).
const HELD: usize = 128 * 1024;

/// How soon to look again at a terminal that nobody has open: an init may close its console and open it again.
const AGAIN: Duration = Duration::from_millis(50);

/// The two directions.
#[derive(Debug)]
pub(super) struct Relay {
    master: OwnedFd,
    /// From the user, for the process.
    keys: Vec<u8>,
    /// From the process, for the user.
    output: Vec<u8>,
    stdin_open: bool,
    stdout_open: bool,
    /// Nobody has the other end open.
    hung_up: bool,
    /// How much output is still of interest.
    left: usize,
}

impl Relay {
    /// Takes the process's terminal.
    pub(super) fn new(master: OwnedFd) -> Result<Self> {
        plain_newlines(&master)?;
        let what = || "set up the process's terminal";
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK)).or_fail("fcntl", what)?;
        let (keys, output) = (Vec::new(), Vec::new());
        Ok(Self {
            master,
            keys,
            output,
            stdin_open: true,
            stdout_open: true,
            hung_up: false,
            left: usize::MAX,
        })
    }

    /// Gives the process's terminal the size of the user's.
    pub(super) fn resize(&self, user: &Terminal) {
        // The user's may be gone, and a size is not worth a container.
        if let Ok((rows, columns)) = user.size() {
            let _ = pty::set_size(&self.master, rows, columns);
        }
    }

    /// What there is to wait for, and how long.
    pub(super) fn interests<'fd>(
        &'fd self,
        stdin: BorrowedFd<'fd>,
        stdout: BorrowedFd<'fd>,
        fds: &mut Vec<PollFd<'fd>>,
    ) -> PollTimeout {
        if !self.output.is_empty() {
            fds.push(PollFd::new(stdout, PollFlags::POLLOUT));
        }
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, self.output.len() < ROOM);
        events.set(PollFlags::POLLOUT, !self.keys.is_empty());
        if self.hung_up {
            // Its hang-up would wake us at once.
            return u16::try_from(AGAIN.as_millis()).map_or(PollTimeout::MAX, PollTimeout::from);
        }
        if !events.is_empty() {
            fds.push(PollFd::new(self.master.as_fd(), events));
        }
        if self.stdin_open && self.keys.len() < ROOM {
            fds.push(PollFd::new(stdin, PollFlags::POLLIN));
        }
        PollTimeout::NONE
    }

    /// Does what can be done without waiting. True: the process's terminal has no more output, and all that it had
    /// is written.
    pub(super) fn pump(&mut self) -> bool {
        self.read_keys();
        self.write_keys();
        // Somebody who writes without end must not keep us from the signals.
        for _ in 0..16 {
            let empty = self.read_output();
            let stuck = !self.write_output();
            if empty || stuck {
                return empty && self.output.is_empty();
            }
        }
        false
    }

    /// The process has ended: what the kernel may still hold of its output is the last that is shown. Others that
    /// write to the same terminal are not waited for.
    pub(super) fn last_words(&mut self) {
        self.left = self.left.min(HELD);
    }

    /// Shows nothing more.
    pub(super) fn give_up(&mut self) {
        self.stdout_open = false;
        self.output.clear();
    }

    fn read_keys(&mut self) {
        let stdin = std::io::stdin();
        while self.stdin_open && self.keys.len() < ROOM && is_ready(stdin.as_fd(), PollFlags::POLLIN) {
            let mut buffer = [0; CHUNK];
            match nix::unistd::read(&stdin, &mut buffer) {
                // The end of a file or a pipe is not a key: the process's terminal stays open, as with runc.
                Ok(0) => self.stdin_open = false,
                Ok(length) => self.keys.extend_from_slice(&buffer[..length]),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.stdin_open = false,
            }
        }
    }

    fn write_keys(&mut self) {
        while !self.keys.is_empty() {
            match nix::unistd::write(&self.master, &self.keys) {
                Ok(length) => drop(self.keys.drain(..length)),
                Err(Errno::EINTR) => {}
                // Full; or EIO: nobody has it open, and somebody may again.
                Err(_) => return,
            }
        }
    }

    /// Reads what there is room for; true if there is no more for now. The kernel delivers what was written to the
    /// other end before it says that there is nothing (n_tty_read flushes its buffers first).
    fn read_output(&mut self) -> bool {
        while self.output.len() < ROOM {
            if self.left == 0 {
                return true;
            }
            let mut buffer = [0; 16 * 1024];
            match nix::unistd::read(&self.master, &mut buffer) {
                Ok(length) if length > 0 => {
                    self.hung_up = false;
                    self.left = self.left.saturating_sub(length);
                    if self.stdout_open {
                        self.output.extend_from_slice(&buffer[..length]);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.hung_up = false;
                    return true;
                }
                Ok(_) | Err(_) => {
                    self.hung_up = true;
                    return true;
                }
            }
        }
        false
    }

    /// Writes what the user takes; true if that was all.
    fn write_output(&mut self) -> bool {
        let stdout = std::io::stdout();
        while !self.output.is_empty() {
            if !is_ready(stdout.as_fd(), PollFlags::POLLOUT) {
                return false;
            }
            match nix::unistd::write(&stdout, &self.output[..self.output.len().min(CHUNK)]) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return false,
                // Nobody reads any more; the process must not notice by blocking.
                Err(_) => self.give_up(),
            }
        }
        true
    }
}

/// Whether a read or write would not block, or would fail at once.
fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> bool {
    let mut fds = [PollFd::new(fd, events)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(count) if count > 0)
}
