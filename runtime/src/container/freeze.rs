//! pause and resume: the container's processes stand, or go on. The status follows from the freezer, so nothing is kept.

use super::state::{Container, Status};
use crate::error::{Error, Kind, Result};
use crate::wait;

impl Container {
    /// Suspends every process.
    ///
    /// # Errors
    /// The container does not run, or the freezer refuses.
    pub fn pause(&self) -> Result<()> {
        wait::block(self.pausing())
    }

    /// [`Self::pause`] for an event loop (see [`wait`]).
    pub async fn pausing(&self) -> Result<()> {
        match self.status()? {
            Status::Created | Status::Running => self.cgroup()?.freeze().await,
            _ => Err(Error::new(Kind::NotRunning, "container not running")),
        }
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// The container is not paused, or the freezer refuses.
    pub fn resume(&self) -> Result<()> {
        match self.status()? {
            Status::Paused => self.cgroup()?.thaw(),
            _ => Err(Error::new(Kind::State, "container not paused")),
        }
    }
}
