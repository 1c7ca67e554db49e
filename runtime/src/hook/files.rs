//! The files that hooks print to when config.json's annotations name some. Opened once, by the runtime, on the host.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::error::{OrFail, Result};
use crate::plan::annotations::{Annotations, hook_outputs};

/// For the standard output and the standard error of hooks; none: what they print is kept for their error.
#[derive(Debug, Default)]
pub struct Files([Option<OwnedFd>; 2]);

impl Files {
    /// Opens what the annotations name, to append.
    ///
    /// # Errors
    /// A file can't be opened or made.
    pub fn open(annotations: &Annotations) -> Result<Self> {
        let [stdout, stderr] = hook_outputs(annotations).map(|path| {
            let Some(path) = path else { return Ok(None) };
            let file = OpenOptions::new().append(true).create(true).mode(0o700).open(path);
            file.map(|file| Some(file.into()))
                .or_fail("open", || format!("open the hooks' output {}", path.display()))
        });
        Ok(Self([stdout?, stderr?]))
    }

    /// The file for standard output (0) or standard error (1), or else `pipe`.
    pub(super) fn or<'a>(&'a self, which: usize, pipe: &'a OwnedFd) -> BorrowedFd<'a> {
        self.0[which].as_ref().unwrap_or(pipe).as_fd()
    }

    /// Their descriptors, for whoever keeps them over a purge.
    pub fn numbers(&self) -> impl Iterator<Item = RawFd> {
        self.0.iter().flatten().map(AsRawFd::as_raw_fd)
    }
}
