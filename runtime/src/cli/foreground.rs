//! Stays with a process until it ends: passes signals on, shows its terminal, takes in orphans, gives its exit
//! status. It may change this process (signal mask, subreaper, the user's terminal), as only a command line may.

mod relay;
mod terminal;

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::container::Started;
use crate::container::notify::Notify;
use crate::error::{Error, Kind, OrFail, Result};
use crate::spec::{Process, oci};
use crate::sys::process::{pidfd_signal, set_subreaper};
use crate::sys::wait::{End, reap_any};
use relay::Relay;
use terminal::Terminal;

/// Everything that has to be ready before the process is made, so that no signal and no exit is missed.
#[derive(Debug)]
pub(crate) struct Foreground {
    signals: SignalFd,
    /// The user's own terminal, found and not yet used.
    user: Option<Terminal>,
    /// It and the process's.
    terminal: Option<(Terminal, Relay)>,
}

impl Foreground {
    /// Takes over the signals of this program: from here on they wait for [`Foreground::wait`]. With `subreaper`,
    /// what the process leaves behind becomes ours.
    pub(crate) fn prepare(subreaper: bool) -> Result<Self> {
        if subreaper && let Err(errno) = set_subreaper(true) {
            log::warn!("become a subreaper: {errno}");
        }
        let all = SigSet::all();
        all.thread_block().or_fail("sigprocmask", || "take over signals")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&all, flags).or_fail("signalfd", || "take over signals")?;
        Ok(Self { signals, user: None, terminal: None })
    }

    /// Refuses a process with a terminal where there is none to show it on, and gives it that one's size. Before the
    /// process is made, if it is known by then.
    pub(crate) fn find_terminal(&mut self, process: &mut Process) -> Result<()> {
        if !process.terminal {
            return Ok(());
        }
        let user = Terminal::find()?;
        if let Ok((rows, columns)) = user.size() {
            process.console_size = oci::BoxBuilder::default().height(rows).width(columns).build().ok();
        }
        self.user = Some(user);
        Ok(())
    }

    /// Connects the process's terminal, if it has one, with the user's. Before the process runs.
    pub(crate) fn attach(&mut self, started: &mut Started) -> Result<()> {
        if let Some(master) = started.console.take() {
            let user = self.user.take().map_or_else(Terminal::find, Ok)?;
            let relay = Relay::new(master)?;
            relay.resize(&user);
            self.terminal = Some((user, relay));
        }
        Ok(())
    }

    /// Waits for the end of the process: its exit code, or 128 and the signal that killed it.
    pub(crate) fn wait(mut self, started: &Started, mut notify: Option<Notify>) -> Result<u8> {
        if let Some((user, relay)) = &mut self.terminal {
            // Once more: what the user did meanwhile had nobody to tell it to.
            relay.resize(user);
            user.set_raw()?;
        }
        let mut ended: Option<End> = None;
        loop {
            ended = self.serve_signals(started, ended)?;
            if let Some(socket) = &notify {
                match socket.advance(started.pid) {
                    Ok(false) => {}
                    Ok(true) => notify = None,
                    Err(error) => {
                        log::warn!("{error}");
                        notify = None;
                    }
                }
            }
            if let (Some(_), Some((_, relay))) = (ended, &mut self.terminal) {
                relay.last_words();
            }
            let drained = self.terminal.as_mut().is_none_or(|(_, relay)| relay.pump());
            match ended {
                Some(end) if drained => return Ok(end.status()),
                _ => self.sleep(started, ended, notify.as_ref())?,
            }
        }
    }

    /// Until there is something to do.
    fn sleep(&self, started: &Started, ended: Option<End>, notify: Option<&Notify>) -> Result<()> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = vec![readable(self.signals.as_fd())];
        if ended.is_none() {
            fds.push(readable(started.pidfd.as_fd()));
        }
        fds.extend(notify.map(|notify| readable(notify.fd())));
        let mut timeout = PollTimeout::NONE;
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        if let Some((_, relay)) = &self.terminal {
            timeout = relay.interests(stdin.as_fd(), stdout.as_fd(), &mut fds);
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::os("poll", errno, format!("wait for process {}", started.pid))),
        }
    }

    fn serve_signals(&mut self, started: &Started, mut ended: Option<End>) -> Result<Option<End>> {
        let own = std::process::id();
        while let Some(info) = self.signals.read_signal().or_fail("read", || "read a signal")? {
            let Ok(signal) = i32::try_from(info.ssi_signo) else { continue };
            match signal {
                libc::SIGCHLD | libc::SIGURG => {}
                libc::SIGWINCH => {
                    if let Some((user, relay)) = &mut self.terminal {
                        relay.resize(user);
                    }
                }
                // The kernel's word that a reader of ours is gone; the write has told it too.
                libc::SIGPIPE if info.ssi_pid == own => {}
                // Only output is left to show, and somebody wants us gone.
                libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT if ended.is_some() => {
                    if let Some((_, relay)) = &mut self.terminal {
                        relay.give_up();
                    }
                }
                _ => match pidfd_signal(&started.pidfd, signal) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(errno) => log::error!("forward signal {signal} to process {}: {errno}", started.pid),
                },
            }
        }
        // Whether a SIGCHLD came does not matter: several make one, and looking costs little.
        loop {
            match reap_any() {
                Ok(Some((pid, end))) if pid == started.pid => ended = Some(end),
                Ok(Some(_)) => {}
                Ok(None) | Err(Errno::ECHILD) => break,
                Err(errno) => {
                    return Err(Error::os("wait4", errno, format!("wait for process {}", started.pid)));
                }
            }
        }
        if ended.is_none() && is_readable(started.pidfd.as_fd()) {
            // It has ended, and its status was not ours to take. Once more: it may have ended just now.
            return match reap_any() {
                Ok(Some((pid, end))) if pid == started.pid => Ok(Some(end)),
                Ok(_) => Ok(None),
                Err(_) => Err(Error::new(
                    Kind::Host,
                    format!("wait for process {}: its exit status is lost", started.pid),
                )),
            };
        }
        Ok(ended)
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}
