//! Copies bytes between two descriptors on the loop: inside the kernel where both are pipes, else through a small
//! buffer. It ends when the source does; what can't be written is lost, not an end of the reading.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::SFlag;
use tokio::io::unix::AsyncFd;

use crate::fifo::Fifo;

/// As much as is moved at once.
const AT_ONCE: usize = 64 * 1024;

/// The buffer of a copy that can't be made in the kernel: what a terminal gives at once.
const BUFFER: usize = 4096;

/// Where bytes go.
#[derive(Debug)]
pub(crate) enum Sink {
    /// A FIFO.
    Fifo(Arc<Fifo>),
    /// A terminal's master, which is also read, or a log program's pipe.
    Polled(Arc<AsyncFd<OwnedFd>>),
    /// A file that is open for appending.
    File(File),
}

/// From a process's pipe or terminal to wherever output goes.
pub(crate) async fn output(from: &AsyncFd<OwnedFd>, to: Sink) {
    match &to {
        Sink::Fifo(fifo) if is_pipe(from) => splice_out(from, fifo).await,
        _ => copy(from, &to).await,
    }
}

fn is_pipe(fd: &AsyncFd<OwnedFd>) -> bool {
    nix::sys::stat::fstat(fd.get_ref())
        .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFIFO)
}

async fn splice_out(from: &AsyncFd<OwnedFd>, fifo: &Fifo) {
    while let (Ok(()), Ok(room)) = (ready(from, PollFlags::POLLIN).await, fifo.room().await) {
        if !(if room { splice_once(from, fifo.writer()) } else { discard(from) }) {
            return;
        }
    }
}

/// From the pipe of a client's input to the process's. Ends when the source does or the process has closed it.
pub(crate) async fn input(from: &AsyncFd<OwnedFd>, to: &AsyncFd<OwnedFd>) {
    while ready(from, PollFlags::POLLIN).await.is_ok() && ready(to, PollFlags::POLLOUT).await.is_ok() {
        if !splice_once(from, to) {
            return;
        }
    }
}

/// Moves what is there. False: there will be no more.
fn splice_once(from: &AsyncFd<OwnedFd>, to: &AsyncFd<OwnedFd>) -> bool {
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    match splice(from.get_ref(), None, to.get_ref(), None, AT_ONCE, flags) {
        Ok(0) | Err(Errno::EPIPE) => false,
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => true,
        Err(errno) => {
            log::warn!("copy a process's stream: {errno}");
            false
        }
    }
}

/// Takes what is there for nobody. False: there will be no more.
fn discard(from: &AsyncFd<OwnedFd>) -> bool {
    let mut buffer = [0; BUFFER];
    !matches!(nix::unistd::read(from.get_ref(), &mut buffer), Ok(0) | Err(Errno::EIO))
}

/// Through a buffer. A terminal ends with EIO, when its last process has closed it.
pub(crate) async fn copy(from: &AsyncFd<OwnedFd>, to: &Sink) {
    let mut buffer = vec![0; BUFFER];
    loop {
        if ready(from, PollFlags::POLLIN).await.is_err() {
            return;
        }
        match nix::unistd::read(from.get_ref(), &mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if let Err(errno) = write(to, &buffer[..length]).await {
                    if matches!(errno, Errno::EPIPE | Errno::EIO) {
                        return;
                    }
                    log::warn!("write a process's output: {errno}");
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

async fn write(to: &Sink, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = match to {
            Sink::File(file) => nix::unistd::write(file, bytes),
            Sink::Fifo(fifo) => {
                if !fifo.room().await? {
                    return Ok(());
                }
                nix::unistd::write(fifo.writer().get_ref(), bytes)
            }
            Sink::Polled(master) => {
                ready(master, PollFlags::POLLOUT).await?;
                nix::unistd::write(master.get_ref(), bytes)
            }
        };
        match written {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Until the descriptor is ready for `events`. The loop is told of changes alone, so what it remembers is asked again.
pub(crate) async fn ready(fd: &AsyncFd<OwnedFd>, events: PollFlags) -> Result<(), Errno> {
    loop {
        let guard = if events == PollFlags::POLLIN { fd.readable().await } else { fd.writable().await };
        let mut guard = guard.map_err(|_| Errno::EBADF)?;
        let mut fds = [PollFd::new(fd.get_ref().as_fd(), events)];
        if poll(&mut fds, PollTimeout::ZERO)? > 0 {
            guard.retain_ready();
            return Ok(());
        }
        guard.clear_ready();
    }
}

/// How long a process that has ended may leave output behind that nobody reads.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);
