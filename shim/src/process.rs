//! A process of a container, its first or an exec: what was asked for, its pid, its streams and its end. The state
//! follows from these; it is never stored beside them.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use containerd_shim_protos::types::task::Status;
use pinnace::error::{Error, Kind, OrFail, Result};
use pinnace::spec;
use pinnace::sys::process::pidfd_signal;
use tokio::sync::watch;

use crate::fifo::Route;
use crate::pump::DRAIN;
use crate::stdio::{Io, Streams};

/// How a process has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    /// The code, or 128 and the signal.
    pub status: u32,
    pub at: SystemTime,
}

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    /// Empty for a container's first.
    pub exec_id: String,
    pub streams: Streams,
    /// What an exec is to run.
    pub spec: Option<spec::Process>,
    life: Mutex<Life>,
    exit: watch::Sender<Option<Exit>>,
}

#[derive(Debug, Default)]
struct Life {
    pid: i32,
    pidfd: Option<OwnedFd>,
    /// Its program runs, or has run.
    started: bool,
    /// Its start is on its way: an end is told after it.
    starting: bool,
    /// The end that came meanwhile.
    held: Option<Exit>,
    /// Somebody deletes it.
    deleting: bool,
    io: Option<Io>,
}

impl Process {
    pub fn new(exec_id: String, streams: Streams, spec: Option<spec::Process>) -> Self {
        Self { exec_id, streams, spec, life: Mutex::default(), exit: watch::Sender::new(None) }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was made.
    pub fn born(&self, pid: i32, pidfd: Option<OwnedFd>, io: Io) {
        let mut life = self.life();
        (life.pid, life.pidfd, life.io) = (pid, pidfd, Some(io));
    }

    /// Claims the start: true for one caller, who says [`Self::has_started`] or [`Self::has_failed`] later.
    pub fn claim_start(&self) -> bool {
        let mut life = self.life();
        !life.started && !std::mem::replace(&mut life.starting, true)
    }

    /// Its start is on its way.
    pub fn is_starting(&self) -> bool {
        self.life().starting
    }

    /// Its program runs. Gives its end, if that has come already.
    pub fn has_started(&self) -> Option<Exit> {
        let mut life = self.life();
        (life.started, life.starting) = (true, false);
        life.held.take()
    }

    /// Its program could not be started. Gives its end, if that has come already.
    pub fn has_failed(&self) -> Option<Exit> {
        let mut life = self.life();
        life.starting = false;
        life.held.take()
    }

    /// Keeps an end that must not be told before its start. False: it can be told.
    pub fn hold(&self, exit: Exit) -> bool {
        let mut life = self.life();
        if life.starting {
            life.held = Some(exit);
        }
        life.starting
    }

    /// Where its output goes, as long as there is any.
    pub fn fifos(&self) -> Vec<Route> {
        self.life().io.as_ref().map(|io| io.fifos.clone()).unwrap_or_default()
    }

    /// It has ended.
    pub fn end(&self, exit: Exit) {
        self.life().pidfd = None;
        self.exit.send_replace(Some(exit));
    }

    pub fn pid(&self) -> u32 {
        u32::try_from(self.life().pid).unwrap_or(0)
    }

    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// It runs or waits for its start.
    pub fn is_alive(&self) -> bool {
        self.life().pid != 0 && self.exit().is_none()
    }

    pub fn is_started(&self) -> bool {
        self.life().started
    }

    /// What it does; whether the container is paused is for the caller to know.
    pub fn status(&self) -> Status {
        match (self.exit(), self.is_started()) {
            (Some(_), _) => Status::STOPPED,
            (None, true) => Status::RUNNING,
            (None, false) => Status::CREATED,
        }
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.exit.subscribe();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit { status: 255, at: SystemTime::now() }),
            Err(_) => Exit { status: 255, at: SystemTime::now() },
        }
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let life = self.life();
        if life.pid == 0 {
            return Err(Error::new(Kind::State, "process not created"));
        }
        match &life.pidfd {
            None => Err(Error::new(Kind::NotRunning, "process already finished")),
            Some(pidfd) => pidfd_signal(pidfd, signal)
                .or_fail("pidfd_send_signal", || format!("signal process {}", life.pid)),
        }
    }

    /// Gives its terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let master = self.life().io.as_ref().and_then(|io| io.master.clone());
        let Some(master) = master else { return Ok(()) };
        pinnace::sys::pty::set_size(master.get_ref(), rows, columns)
            .or_fail("ioctl(TIOCSWINSZ)", || "set the terminal's size")
    }

    /// Ends its input as far as it is up to us.
    pub fn close_input(&self) {
        if let Some(io) = &mut self.life().io {
            io.stdin = None;
        }
    }

    /// Claims the deletion: true for one caller.
    pub fn claim(&self) -> bool {
        !std::mem::replace(&mut self.life().deleting, true)
    }

    /// Gives the claim back.
    pub fn unclaim(&self) {
        self.life().deleting = false;
    }

    /// Waits until what it wrote was taken, for a while, then closes its streams.
    pub async fn drain(&self) {
        let Some(mut io) = self.life().io.take() else { return };
        io.fifos.iter().filter_map(|route| route.to.upgrade()).for_each(|fifo| fifo.hurry());
        let copiers = std::mem::take(&mut io.outputs);
        let aborts: Vec<_> = copiers.iter().map(tokio::task::JoinHandle::abort_handle).collect();
        let all = async {
            for copier in copiers {
                let _ = copier.await;
            }
        };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            log::warn!("output of process {} was not taken within {} s", self.pid(), DRAIN.as_secs());
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        let recorder = io.recorder.take();
        drop(io);
        if let Some(recorder) = recorder {
            recorder.end().await;
        }
    }
}
