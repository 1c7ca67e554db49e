//! What can be seen of a container from outside: what it uses, when it runs out of memory. Only reads.

use super::state::Container;
use crate::cgroup::{OomWatch, Stats};
use crate::error::Result;
use crate::resctrl::Resctrl;

impl Container {
    /// What it uses and used.
    ///
    /// # Errors
    /// A cgroup cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = self.cgroup()?.stats()?;
        if let (Some(class), Some(resctrl)) = (&self.state.intel_rdt_path, Resctrl::find()) {
            stats.intel_rdt = resctrl.stats(class, self.state.intel_rdt_mon_path.as_deref())?;
        }
        Ok(stats)
    }

    /// A descriptor that tells of kills for lack of memory.
    ///
    /// # Errors
    /// There is no memory cgroup, or it cannot be watched.
    pub fn oom_watch(&self) -> Result<OomWatch> {
        self.cgroup()?.oom_watch()
    }
}
