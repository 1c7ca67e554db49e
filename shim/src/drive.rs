//! Drives the library's futures on the loop: what one of them waits for is put into the loop's epoll until it is there.
//! Must never block.

use std::os::fd::RawFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use pinnace::wait::{self, Want};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::polled::readable;

/// A future of the library as one of the loop's.
pub(crate) fn drive<F: Future>(future: F) -> Driven<F> {
    Driven { waiting: None, future: Box::pin(future) }
}

/// See [`drive`].
pub(crate) struct Driven<F> {
    /// Before the future, whose descriptors are in it.
    waiting: Option<Waiting>,
    future: Pin<Box<F>>,
}

struct Waiting {
    want: Want,
    fds: Vec<AsyncFd<RawFd>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Driven<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        loop {
            if let Some(waiting) = &mut this.waiting
                && !waiting.is_over(context)
            {
                return Poll::Pending;
            }
            this.waiting = None;
            match this.future.as_mut().poll(context) {
                Poll::Ready(output) => return Poll::Ready(output),
                Poll::Pending => this.waiting = Some(Waiting::new(wait::take())),
            }
        }
    }
}

impl Waiting {
    fn new(want: Want) -> Self {
        // One that epoll refuses is a regular file, which is always ready.
        let fds = want.fds().filter_map(|(fd, _)| readable(fd).ok()).collect();
        let timer = want.until.map(|until| Box::pin(sleep_until(Instant::from_std(until))));
        Self { want, fds, timer }
    }

    /// Whether what is waited for is there. If not, the loop comes back when something has changed.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            let mut changed = self.fds.len() < self.want.fds().count();
            for fd in &self.fds {
                match fd.poll_read_ready(context) {
                    Poll::Ready(Ok(mut guard)) => {
                        guard.clear_ready();
                        changed = true;
                    }
                    Poll::Ready(Err(_)) => return true,
                    Poll::Pending => {}
                }
            }
            if self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready()) {
                return true;
            }
            if !changed || self.want.is_there() {
                return changed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pinnace::hook::{HookKind, Setting, run_all};
    use pinnace::spec::oci::Hook;

    use super::*;

    fn hook(script: &str) -> [Hook; 1] {
        let json = format!(r#"{{"path":"/bin/sh","args":["sh","-c",{script:?}],"timeout":1}}"#);
        [serde_json::from_str(&json).unwrap()]
    }

    #[test]
    fn several_at_once_and_nothing_stands_still() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (quick, failing, slow) = (hook("exit 0"), hook("echo why; exit 3"), hook("exec sleep 600"));
        runtime.block_on(async {
            let run = |hook| drive(run_all(HookKind::Prestart, hook, Setting::default()));
            let mut ticks = 0;
            let ticking = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    ticks += 1;
                }
            };
            let hooks = async { tokio::join!(run(&quick), run(&failing), run(&slow)) };
            let (quick, failing, slow) = tokio::select! {
                outcomes = hooks => outcomes,
                () = ticking => unreachable!(),
            };
            quick.unwrap();
            assert!(failing.unwrap_err().to_string().contains("exit status 3, stdout: why"));
            assert!(slow.unwrap_err().to_string().contains("ran past specified timeout"));
            assert!(ticks > 0);
        });
    }
}
