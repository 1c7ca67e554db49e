//! start: opens the gate and stays until the program has taken over, so that a startContainer hook or an exec that
//! fails is told here.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;

use super::state::{Container, Status};
use crate::error::{Error, Kind, OrFail, Result};
use crate::hook::{Files, HookKind, Setting, run_all};
use crate::trace;
use crate::wait;
use crate::wire::byte_kind;

impl Container {
    /// Runs the container's program. Returns once it runs and the poststart hooks are done.
    pub fn start(&self) -> Result<()> {
        wait::block(self.starting())
    }

    /// [`Self::start`] for an event loop (see [`wait`]).
    pub async fn starting(&self) -> Result<()> {
        match self.status()? {
            Status::Created => {}
            Status::Stopped => {
                return Err(Error::new(Kind::State, "cannot start a container that has stopped"));
            }
            Status::Running => {
                return Err(Error::new(Kind::State, "cannot start an already running container"));
            }
            other => {
                return Err(Error::new(
                    Kind::State,
                    format!("cannot start a container in the {other} state"),
                ));
            }
        }
        log::debug!("start {}: open the gate of process {}", self.state.id, self.state.init.pid);
        let _span = trace::span("gate opens");
        let path = self.dir.fifo();
        open_gate(&path).await?;
        self.poststart().await
    }

    async fn poststart(&self) -> Result<()> {
        if !self.state.later_hooks.poststart {
            return Ok(());
        }
        let spec = self.config()?;
        let hooks = spec.hooks.as_ref().and_then(|h| h.poststart().as_deref()).unwrap_or_default();
        if hooks.is_empty() {
            return Ok(());
        }
        let told = self.hook_state(Status::Running, self.state.init.pid).to_json()?;
        let files = Files::open(&spec.annotations)?;
        let setting = Setting { state: &told, files: Some(&files), ..Setting::default() };
        let outcome = run_all(HookKind::Poststart, hooks, setting).await;
        if outcome.is_err()
            && let Err(error) = self.killing(libc::SIGKILL, true).await
        {
            log::warn!("kill the container after a failed poststart hook: {error}");
        }
        outcome
    }
}

async fn open_gate(path: &Path) -> Result<()> {
    let failed = || format!("open the gate {}", path.display());
    let writer = match OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        // Nobody reads: the init died after its status was looked at.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
            return Err(Error::new(Kind::State, "cannot start a container that has stopped"));
        }
        Err(error) => return Err(error).or_fail("open", failed),
    };
    nix::unistd::write(&writer, b"0").or_fail("write", failed)?;
    // Of two that start at once, the one that takes the gate's name away has started it.
    match nix::unistd::unlink(path) {
        Ok(()) => {}
        Err(Errno::ENOENT) => {
            return Err(Error::new(Kind::State, "cannot start an already running container"));
        }
        Err(errno) => return Err(Error::os("unlink", errno, failed())),
    }
    // Opened by descriptor, since the name is gone: what init says before it dies is read from here.
    let answer: OwnedFd = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(crate::sys::fs::fd_path(&writer))
        .or_fail("open", failed)?
        .into();
    drop(writer);
    wait_for_program(answer).await
}

/// Until init has closed its end, by exec or by death.
async fn wait_for_program(answer: OwnedFd) -> Result<()> {
    let failed = || "wait for the container's program";
    wait::hung_up(answer.as_fd()).await;
    let mut text = Vec::new();
    File::from(answer).read_to_end(&mut text).or_fail("read", failed)?;
    // Our own byte is still there if init died before it could read it.
    let start = text.iter().position(|byte| *byte != b'0').unwrap_or(text.len());
    match &text[start..] {
        [] => Ok(()),
        [kind, text @ ..] => Err(Error::new(byte_kind(*kind), String::from_utf8_lossy(text))),
    }
}
