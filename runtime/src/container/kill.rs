//! kill: signals by pidfd or by cgroup, never by a bare pid that may be somebody else's by now.

use nix::errno::Errno;

use super::state::{Container, Status};
use crate::cgroup::Cgroup;
use crate::error::{Error, Kind, OrFail, Result};
use crate::plan::namespaces::{Namespaces, PID};
use crate::sys::process::pidfd_signal;
use crate::wait;

impl Container {
    /// Where its processes are limited.
    pub fn cgroup(&self) -> Result<Cgroup> {
        let cgroup = Cgroup::from_paths(&self.state.cgroup_paths)?;
        let unit =
            if self.state.flags.systemd_cgroup { self.dir.intent()?.and_then(|i| i.unit()) } else { None };
        Ok(match unit {
            Some(unit) => cgroup.of_unit(unit),
            None => cgroup,
        })
    }

    /// The pids of all its processes, as seen here.
    pub fn processes(&self) -> Result<Vec<i32>> {
        self.cgroup()?.pids()
    }

    /// Sends `signal` to init, or with `all` to every process of the container. A container that shares its pid
    /// namespace has no init whose end is the end of all: there SIGKILL goes to all, and also to init itself, which
    /// without a cgroup is all that is known.
    pub fn kill(&self, signal: i32, all: bool) -> Result<()> {
        wait::block(self.killing(signal, all))
    }

    /// [`Self::kill`] for an event loop (see [`wait`]).
    pub async fn killing(&self, signal: i32, all: bool) -> Result<()> {
        let status = self.status()?;
        let init = self.state.init.pidfd()?;
        let everyone = all || (signal == libc::SIGKILL && !self.has_own_pids()?);
        if everyone {
            let cgroup = self.cgroup()?;
            if init.is_none() && !all && cgroup.pids()?.is_empty() {
                return Err(not_running());
            }
            cgroup.signal_all(signal).await?;
        }
        let Some(init) = init else {
            return if everyone { Ok(()) } else { Err(not_running()) };
        };
        // With all of them it has had its signal already, unless there is no cgroup to find it by.
        if everyone && !(signal == libc::SIGKILL && self.state.cgroup_paths.is_empty()) {
            return Ok(());
        }
        match pidfd_signal(&init, signal) {
            Err(Errno::ESRCH) => return Err(not_running()),
            other => other
                .or_fail("pidfd_send_signal", || format!("signal container {}", self.state.id.as_str()))?,
        }
        // A frozen process of cgroup v1 takes its death only when it thaws.
        if signal == libc::SIGKILL && status == Status::Paused {
            self.cgroup()?.thaw()?;
        }
        Ok(())
    }

    /// Whether the container has a pid namespace of its own, whose end its init's end is.
    pub fn has_own_pids(&self) -> Result<bool> {
        let linux = self.config()?.linux.unwrap_or_default();
        Ok(Namespaces::decide(&linux.namespaces).new & PID != 0)
    }
}

fn not_running() -> Error {
    Error::new(Kind::NotRunning, "container not running")
}
