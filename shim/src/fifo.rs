//! An output FIFO. We hold both of its ends, so that a reader that goes, as containerd does when it is restarted, is no
//! error for anybody. When it is full and nobody has read for a while, what comes is lost: a container must never stand
//! still because of a reader that is gone. One that is there may be as slow as it likes.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use pinnace::error::{OrFail, Result};
use pinnace::sys::fs::fd_path;
use tokio::io::unix::AsyncFd;

use crate::polled::polled;

/// Between two looks for a reader.
const LOOK: Duration = Duration::from_millis(500);

/// After so many looks in vain, output is lost: long enough for containerd to be restarted.
const LOOKS: u32 = 40;

/// How long an end is kept back for a reader.
const MOMENT: Duration = Duration::from_millis(500);

/// Waits until what an ended process has written was taken, for a moment. A client that is told of the end deletes the
/// process, and breaks off its own opening of a FIFO that it has not come to yet.
pub(crate) async fn taken(routes: Vec<Route>) {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    // Opened for this alone: the copier may have closed its end, which ends the client's reading.
    let ends: Vec<OwnedFd> = routes.iter().filter_map(|route| reader(Path::new(&route.path)).ok()).collect();
    let on_the_way =
        || routes.iter().filter_map(|route| route.from.upgrade()).any(|from| !is_empty(from.get_ref()));
    while (on_the_way() || !ends.iter().all(is_empty)) && begin.elapsed() < MOMENT {
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// The way of a process's output, as long as there is any: from its pipe to the client's FIFO.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub from: Weak<AsyncFd<OwnedFd>>,
    pub to: Weak<Fifo>,
    pub path: String,
}

/// How long its first reader is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A FIFO.
#[derive(Debug)]
pub(crate) struct Fifo {
    pub path: String,
    writer: AsyncFd<OwnedFd>,
    keeper: Mutex<Option<OwnedFd>>,
    missed: AtomicU32,
    hurry: AtomicBool,
}

impl Fifo {
    /// Opens it once its reader is there. A client opens its end in its own time; if the process could be over before,
    /// the client would find nothing.
    pub async fn open(path: &Path) -> Result<Self> {
        let what = || format!("open output {}", path.display());
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let open = || nix::fcntl::open(path, flags, Mode::empty());
        let (begin, mut pause) = (Instant::now(), Duration::from_millis(1));
        let (writer, keeper) = loop {
            match open() {
                Err(Errno::ENXIO) if begin.elapsed() < PATIENCE => tokio::time::sleep(pause).await,
                Err(Errno::ENXIO) => {
                    log::warn!("nobody reads {}", path.display());
                    let keeper = reader(path).or_fail("open", what)?;
                    break (open().or_fail("open", what)?, keeper);
                }
                writer => break (writer.or_fail("open", what)?, reader(path).or_fail("open", what)?),
            }
            pause = (2 * pause).min(Duration::from_millis(100));
        };
        Ok(Self {
            path: path.to_string_lossy().into_owned(),
            writer: polled(writer).or_fail("epoll_ctl", what)?,
            keeper: Mutex::new(Some(keeper)),
            missed: AtomicU32::new(0),
            hurry: AtomicBool::new(false),
        })
    }

    /// What to write to.
    pub fn writer(&self) -> &AsyncFd<OwnedFd> {
        &self.writer
    }

    /// The process has ended: a reader that is gone is not waited for any more.
    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    /// Waits for room. False: there will be none, what was to be written is lost.
    pub async fn room(&self) -> Result<bool, Errno> {
        loop {
            let patience = if self.is_given_up() { Duration::ZERO } else { LOOK };
            let room = crate::pump::ready(&self.writer, PollFlags::POLLOUT);
            if let Ok(room) = tokio::time::timeout(patience, room).await {
                self.missed.store(0, Ordering::Relaxed);
                return room.map(|()| true);
            }
            if self.has_reader() {
                self.missed.store(0, Ordering::Relaxed);
            } else if self.is_given_up() {
                return Ok(false);
            } else if self.hurry.load(Ordering::Relaxed) {
                self.missed.store(LOOKS, Ordering::Relaxed);
            } else if self.missed.fetch_add(1, Ordering::Relaxed) + 1 == LOOKS {
                log::warn!("nobody reads a container's output: it is lost from here on");
            }
        }
    }

    fn is_given_up(&self) -> bool {
        self.missed.load(Ordering::Relaxed) >= LOOKS
    }

    /// Whether somebody else has it open for reading: for a moment we have not, and the kernel tells of a pipe without
    /// readers. What is in it stays, since the writing end is open.
    fn has_reader(&self) -> bool {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        *keeper = None;
        let mut fds = [PollFd::new(self.writer.get_ref().as_fd(), PollFlags::POLLOUT)];
        let gone = poll(&mut fds, PollTimeout::ZERO)
            .is_ok_and(|_| fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR)));
        match reader(&fd_path(self.writer.get_ref())) {
            Ok(fd) => *keeper = Some(fd),
            Err(errno) => log::warn!("open an output FIFO again: {errno}"),
        }
        !gone
    }
}

/// Nothing is to be read from a pipe.
fn is_empty(pipe: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    !poll(&mut fds, PollTimeout::ZERO)
        .is_ok_and(|_| fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
}

fn reader(path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A FIFO of its own, full to the brim.
    async fn full(name: &str) -> (std::path::PathBuf, Fifo) {
        let path = std::env::temp_dir().join(format!("pinnace-fifo-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let client = reader(&path).unwrap();
        let fifo = Fifo::open(&path).await.unwrap();
        drop(client);
        while nix::unistd::write(fifo.writer().get_ref(), &[7; 4096]).is_ok() {}
        (path, fifo)
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn a_reader_is_seen_and_what_is_inside_stays() {
        run(async {
            let (path, fifo) = full("seen").await;
            assert!(!fifo.has_reader());
            let other = reader(&path).unwrap();
            assert!(fifo.has_reader());
            drop(other);
            assert!(!fifo.has_reader());
            let other = reader(&path).unwrap();
            let mut bytes = [0; 8192];
            assert_eq!(nix::unistd::read(&other, &mut bytes), Ok(8192));
            std::fs::remove_file(&path).unwrap();
            // Also when its name is gone.
            assert!(fifo.has_reader());
            assert_eq!(fifo.room().await, Ok(true));
        });
    }

    #[test]
    fn a_client_that_comes_late_finds_the_output() {
        run(async {
            let path = std::env::temp_dir().join(format!("pinnace-fifo-late-{}", std::process::id()));
            nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
            let client = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                reader(&path).unwrap()
            };
            let (client, fifo) = tokio::join!(client, Fifo::open(&path));
            let fifo = fifo.unwrap();
            assert_eq!(nix::unistd::write(fifo.writer().get_ref(), b"late"), Ok(4));
            drop(fifo);
            assert_eq!(nix::unistd::read(&client, &mut [0; 9]), Ok(4));
            std::fs::remove_file(&path).unwrap();
        });
    }

    #[test]
    fn output_of_a_process_that_has_ended_is_lost_when_nobody_reads() {
        run(async {
            let (path, fifo) = full("lost").await;
            fifo.hurry();
            assert_eq!(fifo.room().await, Ok(false));
            std::fs::remove_file(&path).unwrap();
        });
    }
}
