//! Waiting, without saying how. A verb that has to wait for somebody else (the container's init, a hook, a dying process)
//! is a future; what it waits for is asked of it by whoever drives it. The command drives it by poll(2), a shim by its
//! event loop. It must never know of either.
//!
//! A driver polls the future, and when that is pending calls [`take`]: it may poll it again once one of the descriptors
//! is ready or the moment has come, and not before.

use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use nix::unistd::Pid;

use crate::sys::poll::poll;
use crate::sys::wait::try_wait;

/// The most descriptors that are waited for at once: a hook's end and what it prints.
const MOST: usize = 3;

thread_local! {
    /// What the future that was polled last on this thread waits for.
    static WANT: Cell<Option<Want>> = const { Cell::new(None) };
}

/// What a future waits for: the first of its descriptors or its moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want {
    fds: [Option<(RawFd, PollFlags)>; MOST],
    /// The moment; none: however long it takes.
    pub until: Option<Instant>,
}

impl Want {
    /// The descriptors, which stay open until the future is polled again or dropped, and what is to happen on each.
    /// Hanging up counts for every one.
    pub fn fds(&self) -> impl Iterator<Item = (RawFd, PollFlags)> + '_ {
        self.fds.iter().copied().flatten()
    }

    /// Blocks until it is there.
    fn block(&self) {
        let fds: Vec<_> = self.fds().collect();
        poll(&fds, self.until);
    }

    /// Whether it is there now.
    pub fn is_there(&self) -> bool {
        let now = Instant::now();
        let fds: Vec<_> = self.fds().collect();
        self.until.is_some_and(|until| until <= now) || poll(&fds, Some(now))
    }
}

/// What the future that was just polled waits for.
pub fn take() -> Want {
    WANT.take().unwrap_or_default()
}

/// Runs a future of this library to its end, blocking this thread.
pub fn block<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => take().block(),
        }
    }
}

/// Until something is to be read from `fd`, or its other end is closed.
pub(crate) async fn readable(fd: BorrowedFd<'_>) {
    any([Some((fd, PollFlags::POLLIN)), None, None], None).await;
}

/// Until the other end of `fd` is closed.
pub(crate) async fn hung_up(fd: BorrowedFd<'_>) {
    any([Some((fd, PollFlags::empty())), None, None], None).await;
}

/// Until a child of ours has ended; its status, which nobody else gets.
pub async fn ended(pid: Pid, pidfd: &OwnedFd) -> nix::Result<i32> {
    loop {
        readable(pidfd.as_fd()).await;
        if let Some(status) = try_wait(pid)? {
            return Ok(status);
        }
    }
}

/// For that long.
pub(crate) async fn sleep(length: Duration) {
    Leaf(Some(Want { until: Some(Instant::now() + length), ..Want::default() })).await;
}

/// Until one of the descriptors is ready or the moment has come.
pub(crate) async fn any(fds: [Option<(BorrowedFd<'_>, PollFlags)>; MOST], until: Option<Instant>) {
    let fds = fds.map(|one| one.map(|(fd, events)| (fd.as_raw_fd(), events)));
    Leaf(Some(Want { fds, until })).await;
}

/// Pending once, and done when it is polled again.
struct Leaf(Option<Want>);

impl Future for Leaf {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.0.take() {
            Some(want) => {
                WANT.set(Some(want));
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_is_driven_until_what_it_waits_for_is_there() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let reader = async {
            readable(read.as_fd()).await;
            let mut byte = [0];
            (nix::unistd::read(&read, &mut byte).unwrap(), byte[0])
        };
        nix::unistd::write(&write, b"x").unwrap();
        assert_eq!(block(reader), (1, b'x'));
        drop(write);
        block(hung_up(read.as_fd()));
        let begin = Instant::now();
        block(sleep(Duration::from_millis(20)));
        assert!(begin.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn what_is_not_there_yet_is_not_there() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let mut future = pin!(readable(read.as_fd()));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let want = take();
        assert!(!want.is_there());
        nix::unistd::write(&write, b"x").unwrap();
        assert!(want.is_there());
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
