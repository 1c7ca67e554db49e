//! delete: takes away everything that create has made. The forced one works from whatever is still known, and never
//! says it has succeeded with something left.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::Runtime;
use super::dir::Dir;
use super::id::Id;
use super::process::ProcessId;
use super::state::{Container, Status};
use crate::cgroup::Cgroup;
use crate::error::{Error, Kind, Result};
use crate::hook::{Files, HookKind, Setting, run_each};
use crate::sys::poll::poll;
use crate::sys::process::pidfd_signal;
use crate::trace;
use crate::wait;

/// How long a killed process may take to be gone; as runc's.
const PATIENCE: Duration = Duration::from_secs(10);

impl Container {
    /// Deletes a container that has stopped or was never started.
    pub fn delete(self) -> Result<()> {
        wait::block(self.deleting())
    }

    /// [`Self::delete`] for an event loop (see [`wait`]).
    pub async fn deleting(self) -> Result<()> {
        match self.status()? {
            status @ (Status::Stopped | Status::Created) => self.end(status).await?,
            status => {
                return Err(Error::new(
                    Kind::State,
                    format!(
                        "cannot delete container {} that is not stopped: {status}",
                        self.state.id.as_str()
                    ),
                )
                .hint("stop it first, or use delete --force"));
            }
        }
        self.destroy().await
    }

    /// Takes away a container whose processes are gone, as after a checkpoint.
    pub fn delete_dead(self) -> Result<()> {
        wait::block(self.destroy())
    }

    /// Kills init and waits until it is gone. A frozen process of cgroup v1 dies only when it thaws.
    async fn end(&self, status: Status) -> Result<()> {
        if status == Status::Stopped {
            return Ok(());
        }
        let Some(pidfd) = kill(self.state.init)? else { return Ok(()) };
        if status == Status::Paused {
            self.cgroup()?.thaw()?;
        }
        gone(&pidfd, self.state.init, &self.cgroup()?).await
    }

    /// Kills what is left and removes everything, then runs the poststop hooks.
    async fn destroy(self) -> Result<()> {
        let spec = if self.state.later_hooks.poststop { self.config().ok() } else { None };
        let cgroup = self.cgroup()?;
        let span = trace::span("end of cgroup");
        cgroup.end().await?;
        drop(span);
        let span = trace::span("end of state");
        if self.state.intel_rdt_path.is_some()
            && let Some(intent) = self.dir.intent()?
        {
            intent.remove_resctrl()?;
        }
        self.dir.remove()?;
        drop(span);
        let told = self.hook_state(Status::Stopped, 0).to_json()?;
        let hooks = spec.and_then(|spec| spec.hooks);
        let hooks = hooks.as_ref().and_then(|h| h.poststop().as_deref()).unwrap_or_default();
        // The container is gone: a hook that fails is only told (runtime-spec, runtime.md#lifecycle step 13).
        if hooks.is_empty() {
            return Ok(());
        }
        let files = Files::open(&self.state.annotations).unwrap_or_else(|error| {
            log::warn!("{error}");
            Files::default()
        });
        let setting = Setting { state: &told, files: Some(&files), ..Setting::default() };
        run_each(HookKind::Poststop, hooks, setting).await;
        Ok(())
    }
}

/// Deletes a container in whatever state it is, also one whose create was killed. One that is not there is no error.
pub fn delete_forced(runtime: &Runtime, id: &Id) -> Result<()> {
    wait::block(deleting_forced(runtime, id))
}

/// [`delete_forced`] for an event loop (see [`wait`]).
pub async fn deleting_forced(runtime: &Runtime, id: &Id) -> Result<()> {
    match Container::load(runtime, id) {
        Ok(container) => {
            container.end(container.status()?).await?;
            container.destroy().await
        }
        Err(error) => match Dir::open(runtime, id) {
            Ok(dir) => {
                log::debug!("delete what is left of {id}: {error}");
                delete_remains(&dir).await
            }
            Err(missing) if missing.kind() == Kind::NotFound => Ok(()),
            Err(other) => Err(other),
        },
    }
}

/// Without a state that can be read: by the intent, else by what the id alone says.
async fn delete_remains(dir: &Dir) -> Result<()> {
    let mut rest = None;
    let cgroup = match dir.intent() {
        Ok(Some(intent)) => {
            if let Some(init) = intent.init
                && let Some(pidfd) = kill(init)?
            {
                gone(&pidfd, init, &Cgroup::from_paths(&intent.cgroup_paths)?).await?;
            }
            rest = Some(intent.clone());
            let cgroup = Cgroup::from_paths(&intent.cgroup_paths)?;
            match intent.unit() {
                Some(unit) => cgroup.of_unit(unit),
                None => cgroup,
            }
        }
        // The intent comes before everything else: nothing was made, and the cgroup of that name is somebody else's.
        Ok(None) if !dir.has_state() => return dir.remove(),
        _ => Cgroup::from_paths(&Cgroup::place(dir.id().as_str(), None)?.paths())?,
    };
    cgroup.end().await?;
    rest.map_or(Ok(()), |intent| intent.remove_resctrl())?;
    dir.remove()
}

/// Sends a process its end, if it is still there.
fn kill(init: ProcessId) -> Result<Option<OwnedFd>> {
    let Some(pidfd) = init.pidfd()? else { return Ok(None) };
    match pidfd_signal(&pidfd, libc::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(Some(pidfd)),
        Err(errno) => Err(Error::os("pidfd_send_signal", errno, format!("kill process {init}"))),
    }
}

/// Waits until a killed process has let go of everything. The init of a pid namespace is there until all its processes
/// are reaped, which is up to their parents (pid_namespaces(7)): one that has left its cgroup holds nothing any more.
async fn gone(pidfd: &OwnedFd, init: ProcessId, cgroup: &Cgroup) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(50);
    loop {
        let until = end.min(Instant::now() + pause);
        wait::any([Some((pidfd.as_fd(), PollFlags::POLLIN)), None, None], Some(until)).await;
        if poll(&[(pidfd.as_raw_fd(), PollFlags::POLLIN)], Some(Instant::now())) {
            return Ok(());
        }
        if !cgroup.paths().is_empty() && cgroup.pids()?.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            break;
        }
        pause *= 2;
    }
    Err(Error::new(Kind::Host, format!("process {init} still runs 10 s after it was killed"))
        .hint("it may hang in the kernel on a dead NFS or FUSE mount; try again when that is gone"))
}
