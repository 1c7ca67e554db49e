//! A container: made, watched and taken away by calls into the library. It knows when it has ended; it never talks to
//! containerd itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use containerd_shim_protos::types::mount::Mount;
use pinnace::container::id::Id;
use pinnace::container::state::Container as Own;
use pinnace::container::{self, CreateOptions, RestoreOptions, Runtime};
use pinnace::error::{Error, Kind, Result};
use pinnace::sys::process::pidfd_signal;
use pinnace::sys::wait::release;

use crate::drive::drive;
use crate::foreign::Foreign;
use crate::handle::Handle;
use crate::oom::Watch;
use crate::options::Settings;
use crate::process::{Exit, Process};
use crate::stdio::{self, Owner, Streams};
use crate::{delete, rootfs};

/// SIGKILL, the same number on every processor.
pub(crate) const SIGKILL: i32 = 9;

/// What a request to create says.
#[derive(Debug)]
pub(crate) struct Request {
    pub namespace: String,
    pub id: String,
    pub bundle: PathBuf,
    pub mounts: Vec<Mount>,
    pub streams: Streams,
    pub settings: Settings,
    /// It is made from a checkpoint.
    pub checkpoint: Option<RestoreOptions>,
}

/// A container.
#[derive(Debug)]
pub(crate) struct Container {
    pub id: String,
    pub bundle: PathBuf,
    pub init: Arc<Process>,
    pub oom: Option<Arc<Watch>>,
    /// It was made from a checkpoint: its program has been started long ago, and runs since it was made.
    pub restored: bool,
    namespace: String,
    settings: Settings,
    handle: Handle,
    /// The end of init is the end of all.
    own_pids: bool,
    execs: Mutex<BTreeMap<String, Arc<Process>>>,
    /// Init has ended, and others have not yet.
    held: Mutex<Option<Exit>>,
    /// Whose turn it is to start, pause, resume or delete it.
    pub turn: tokio::sync::Mutex<()>,
}

impl Container {
    /// Makes a container whose program waits for the start.
    pub async fn create(request: Request) -> Result<Self> {
        let id = Id::parse(&request.id)?;
        let runtime = Runtime {
            root: request.settings.root(&request.namespace),
            systemd_cgroup: request.settings.systemd_cgroup,
            ..Runtime::default()
        };
        delete::remember(&request.bundle, &runtime.root, request.settings.foreign())?;
        let target = request.bundle.join("rootfs");
        if !request.mounts.is_empty() {
            let _ = std::fs::create_dir(&target);
            rootfs::mount_all(&request.mounts, &target)?;
        }
        Self::perform(&runtime, &id, request).await.inspect_err(|_| rootfs::unmount(&target))
    }

    async fn perform(runtime: &Runtime, id: &Id, request: Request) -> Result<Self> {
        let Request { bundle, streams, settings, namespace, checkpoint, .. } = request;
        let owner = Owner { id: id.as_str(), namespace: &namespace, settings: &settings };
        let mut opened = stdio::open(&streams, owner).await?;
        let options = CreateOptions {
            bundle: bundle.clone(),
            pid_file: Some(bundle.join(delete::PID)),
            // Docker names the driver to runc's own shim alone.
            systemd_by_path: true,
            no_pivot: settings.no_pivot_root,
            no_new_keyring: settings.no_new_keyring,
            ..CreateOptions::default()
        };
        let foreign = settings.foreign().map(|program| Foreign {
            program: program.to_owned(),
            root: runtime.root.clone(),
            bundle: bundle.clone(),
            id: id.as_str().to_owned(),
            systemd_cgroup: runtime.systemd_cgroup,
        });
        let given = (streams.terminal, opened.child.take());
        let (handle, started) = match &checkpoint {
            None => Handle::create(runtime, id, foreign.clone(), &options, given).await?,
            Some(from) => Handle::restore(runtime, id, foreign.as_ref(), &options, (from, given.1)).await?,
        };
        let pid = started.pid;
        let finish = move || -> Result<Self> {
            let io = opened.attach(started.console)?;
            let init = Arc::new(Process::new(String::new(), streams, None));
            init.born(started.pid.as_raw(), started.pidfd, io);
            let oom = match handle.known().and_then(Own::oom_watch) {
                Ok(watch) => Some(Watch::new(watch)),
                Err(error) => {
                    log::warn!("{error}");
                    None
                }
            };
            Ok(Self {
                id: id.as_str().to_owned(),
                bundle,
                init,
                oom,
                own_pids: handle.has_own_pids()?,
                restored: checkpoint.is_some(),
                namespace,
                settings,
                handle,
                execs: Mutex::default(),
                held: Mutex::default(),
                turn: tokio::sync::Mutex::default(),
            })
        };
        let finished = finish();
        if finished.is_err() {
            release(pid);
            let undone = match foreign {
                None => drive(container::deleting_forced(runtime, id)).await,
                Some(foreign) => foreign.run("delete", &["--force"]).await.map(drop),
            };
            if let Err(error) = undone {
                log::warn!("{error}");
            }
        }
        finished
    }

    fn execs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Process>>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its first process, or the exec of that name.
    pub fn process(&self, exec_id: &str) -> Result<Arc<Process>> {
        if exec_id.is_empty() {
            return Ok(Arc::clone(&self.init));
        }
        let found = self.execs().get(exec_id).cloned();
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("process {exec_id} does not exist")))
    }

    /// Takes the name for an exec, which is not started yet.
    pub fn add(&self, process: Process) -> Result<()> {
        let mut execs = self.execs();
        if execs.contains_key(&process.exec_id) {
            let text = format!("id {} is taken", process.exec_id);
            return Err(Error::new(Kind::Exists, text));
        }
        execs.insert(process.exec_id.clone(), Arc::new(process));
        Ok(())
    }

    /// Forgets an exec.
    pub fn forget(&self, exec_id: &str) {
        self.execs().remove(exec_id);
    }

    /// The names and pids of the execs that live.
    pub fn living_execs(&self) -> Vec<(String, u32)> {
        let execs = self.execs();
        execs.values().filter(|p| p.is_alive()).map(|p| (p.exec_id.clone(), p.pid())).collect()
    }

    /// Starts an exec, whose start is claimed.
    pub async fn exec(&self, process: &Process) -> Result<()> {
        if self.init.exit().is_some() || self.held().is_some() {
            return Err(Error::new(Kind::State, "cannot exec in a stopped container"));
        }
        let owner = Owner { id: &process.exec_id, namespace: &self.namespace, settings: &self.settings };
        let mut opened = stdio::open(&process.streams, owner).await?;
        let spec = process.spec.clone().unwrap_or_default();
        let started = self.handle.exec(&process.exec_id, spec, opened.child.take()).await?;
        let io = opened.attach(started.console).inspect_err(|_| {
            let _ = started.pidfd.as_ref().map(|pidfd| pidfd_signal(pidfd, SIGKILL));
            release(started.pid);
        })?;
        process.born(started.pid.as_raw(), started.pidfd, io);
        Ok(())
    }

    /// Its runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        let frozen = || self.handle.known().and_then(Own::cgroup).and_then(|cgroup| cgroup.frozen());
        self.init.is_alive() && frozen().unwrap_or(false)
    }

    fn held(&self) -> MutexGuard<'_, Option<Exit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Init has ended. Whoever shared its pid namespace goes with it.
    pub fn init_ended(self: &Arc<Self>, exit: Exit) {
        *self.held() = Some(exit);
        if !self.own_pids {
            let container = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = container.handle.kill(SIGKILL, true).await {
                    log::warn!("{error}");
                }
            });
        }
    }

    /// The end of init, once all execs have ended: to be told now, and once.
    pub fn settled(&self) -> Option<Exit> {
        if self.execs().values().any(|exec| exec.is_alive() || exec.is_starting()) {
            return None;
        }
        let exit = self.held().take()?;
        self.init.end(exit);
        Some(exit)
    }

    /// Takes away what create has made. Its processes have ended.
    pub async fn delete(&self) -> Result<()> {
        self.handle.delete().await?;
        rootfs::unmount(&self.bundle.join("rootfs"));
        Ok(())
    }
}
