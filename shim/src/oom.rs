//! Tells when the kernel has killed in a container for lack of memory. Only reads.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use pinnace::cgroup::OomWatch;

use crate::polled::readable;

/// A watch that the loop polls, and that is asked once more when the container ends.
#[derive(Debug)]
pub(crate) struct Watch(Mutex<OomWatch>);

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_fd().as_raw_fd()
    }
}

impl Watch {
    pub fn new(watch: OomWatch) -> Arc<Self> {
        Arc::new(Self(Mutex::new(watch)))
    }

    /// Whether memory has run out since this was asked last. `None`: nothing more will come.
    pub fn take(&self) -> Option<bool> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Ok(oom) if oom.gone && !oom.happened => None,
            Ok(oom) => Some(oom.happened),
            Err(error) => {
                log::debug!("{error}");
                None
            }
        }
    }
}

/// Calls `tell` for each time, until nothing more will come.
pub(crate) async fn follow(watch: Arc<Watch>, tell: impl Fn()) {
    let Ok(polled) = readable(Shared(watch)) else { return };
    loop {
        let Ok(mut ready) = polled.readable().await else { return };
        match polled.get_ref().0.take() {
            None => return,
            Some(true) => tell(),
            Some(false) => {}
        }
        // Both kinds of descriptor wake again for what comes after they were read.
        ready.clear_ready();
    }
}

struct Shared(Arc<Watch>);

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
