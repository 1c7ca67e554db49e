//! What can be seen of a container from outside: what it uses, when it runs out of memory. Only reads.

use super::state::Container;
use crate::cgroup::{OomWatch, Stats};
use crate::error::Result;

impl Container {
    /// What it uses and used.
    ///
    /// # Errors
    /// A cgroup cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        self.cgroup()?.stats()
    }

    /// A descriptor that tells of kills for lack of memory.
    ///
    /// # Errors
    /// There is no memory cgroup, or it cannot be watched.
    pub fn oom_watch(&self) -> Result<OomWatch> {
        self.cgroup()?.oom_watch()
    }
}
