//! create: from a bundle to a process parked at its gate. What is about to be made stands on disk before it is made;
//! when anything fails, everything that was made is taken away again.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use super::attend::{Answers, Attendant, Ready};
use super::dir::{Dir, Intent};
use super::id::Id;
use super::process::ProcessId;
use super::record::{Flags, LaterHooks, State};
use super::scope::Place;
use super::{CreateOptions, Runtime, Started, Stdio, console, listen, notify};
use crate::cgroup::{Cgroup, Entry, Unit};
use crate::error::{Error, OrFail, Result};
use crate::hook::{Files, HookKind, HookState, Setting, Status, run_all};
use crate::init::{self, Init, Who};
use crate::launch;
use crate::net;
use crate::plan::mounts::Kind;
use crate::plan::namespaces::USER;
use crate::plan::{Plan, annotations};
use crate::resctrl::{self, Group, Resctrl};
use crate::seccomp::{self, Filter};
use crate::spec;
use crate::sys::fs::fd_path;
use crate::sys::wait::release;
use crate::trace;
use crate::wait;

/// Makes a container whose process waits for `start`.
pub fn create(runtime: &Runtime, id: &Id, options: &CreateOptions) -> Result<Started> {
    let started = wait::block(creating(runtime, id, options, None))?;
    release(started.pid);
    Ok(started)
}

/// [`create`] for an event loop (see [`wait`]): with standard streams for the process, and its status expected (see
/// [`release`]).
pub async fn creating(
    runtime: &Runtime,
    id: &Id,
    options: &CreateOptions,
    stdio: Option<Stdio>,
) -> Result<Started> {
    attempt(runtime, id, options, async |attempt, config| attempt.perform(config, stdio).await).await
}

/// Reads config.json and decides, lets `perform` make the container, and takes away again what that has made if it fails.
pub(super) async fn attempt(
    runtime: &Runtime,
    id: &Id,
    options: &CreateOptions,
    perform: impl AsyncFnOnce(&Attempt<'_>, &[u8]) -> Result<Started>,
) -> Result<Started> {
    let config = options.config.clone().unwrap_or_else(|| options.bundle.join("config.json"));
    let span = trace::span("load");
    let spec::Loaded { mut spec, bytes } = spec::load(&config)?;
    drop(span);
    let span = trace::span("decide");
    spec::validate(&spec).map_err(|error| error.within(config.display()))?;
    if !nix::unistd::geteuid().is_root() {
        spec::validate_rootless(&spec).map_err(|error| error.within(config.display()))?;
    }
    console::check(&spec, options.console_socket.is_some())?;
    notify::prepare(&mut spec, &runtime.root.join(id.as_str()));
    if let Some(process) = &mut spec.process {
        listen::announce(&mut process.env);
    }
    let plan = Plan::decide(spec, &options.bundle, options.no_pivot)?;
    init::labels::supported(
        plan.process.apparmor_profile.as_deref(),
        [plan.process.selinux_label.as_deref(), plan.linux().mount_label.as_deref()],
    )?;
    let resctrl = match &plan.linux().intel_rdt {
        None => None,
        Some(rdt) => {
            let resctrl = Resctrl::demand(rdt)?;
            let group = resctrl.place(rdt, id.as_str());
            Some((resctrl, group))
        }
    };
    let hook_files = match &plan.spec.hooks {
        Some(_) => Files::open(&plan.spec.annotations)?,
        None => Files::default(),
    };
    drop(span);
    let span = trace::span("place");
    let place = Place::decide(runtime, id, options, &plan)?;
    let dir = Dir::create(runtime, id)?;
    let (cgroup, unit) = match place.settle(options, &plan, &dir).await {
        Ok(settled) => settled,
        Err(error) => {
            take_away(&dir);
            return Err(error);
        }
    };
    drop(span);
    log::debug!(
        "create {id}: bundle {}, root {}, {} mounts, {} devices, cgroups {:?}",
        options.bundle.display(),
        plan.rootfs.path.display(),
        plan.mounts.len(),
        plan.linux().devices.len(),
        cgroup.paths()
    );
    let attempt =
        Attempt { id, runtime, options, plan: &plan, dir: &dir, cgroup: &cgroup, unit, resctrl, hook_files };
    let outcome = perform(&attempt, &bytes).await;
    if outcome.is_err() {
        attempt.undo().await;
    }
    outcome
}

/// One attempt to make a container; it knows what there is to undo.
pub(super) struct Attempt<'a> {
    pub id: &'a Id,
    runtime: &'a Runtime,
    pub options: &'a CreateOptions,
    pub plan: &'a Plan,
    pub dir: &'a Dir,
    pub cgroup: &'a Cgroup,
    unit: Option<Unit>,
    resctrl: Option<(Resctrl, Group)>,
    hook_files: Files,
}

impl Attempt<'_> {
    async fn perform(&self, config: &[u8], stdio: Option<Stdio>) -> Result<Started> {
        let Self { plan, dir, .. } = *self;
        let span = trace::span("intent");
        self.prepare(config)?;
        let descriptors = descriptors(stdio.as_ref());
        let gate = make_gate(dir)?;
        drop(span);
        let span = trace::span("filter");
        let linux = plan.linux();
        if let (Some(profile), true) =
            (&linux.seccomp, annotations::refuses_unknown_calls(&plan.spec.annotations))
        {
            seccomp::refuse_unknown(profile)?;
        }
        let filter = linux.seccomp.as_ref().map(seccomp::compile).transpose()?.flatten();
        drop(span);
        let span = trace::span("cgroup");
        self.limit()?;
        drop(span);
        let ready = self.bear(&gate, filter.as_ref(), stdio).await?;
        log::debug!("process {} is ready behind its gate", ready.pid);
        let _span = trace::span("record");
        if let Err(error) = self.publish(&ready, descriptors) {
            // It is not tied to this process any more, and may have no cgroup to be found by.
            ready.kill().await;
            return Err(error);
        }
        Ok(Started { pid: ready.pid, pidfd: ready.pidfd, console: ready.console })
    }

    /// Tells everyone who is to know of the container.
    fn publish(&self, ready: &Ready, descriptors: Vec<String>) -> Result<()> {
        self.dir.write_state(&self.record(ProcessId::of(ready.pid)?, descriptors), &self.plan.spec)?;
        if let Some(path) = &self.options.pid_file {
            super::pid_file::write(path, ready.pid)?;
        }
        if let Some(path) = &self.options.pidfd_socket {
            console::send_pidfd(path, &ready.pidfd, "standard")?;
        }
        Ok(())
    }

    /// Writes down what is about to be made.
    pub fn prepare(&self, config: &[u8]) -> Result<()> {
        // What an intent names is killed when it is cleaned up.
        self.cgroup.refuse_in_use()?;
        self.dir.write_intent(&self.intent()?)?;
        self.dir.write_config(config)?;
        notify::make_dir(self.dir.path())
    }

    fn intent(&self) -> Result<Intent> {
        let mut intent = Intent::now(&self.options.bundle, self.cgroup.paths(), self.unit.as_ref())?;
        if let Some((_, group)) = &self.resctrl {
            intent.intel_rdt_path = group.own.then(|| group.path.clone());
            intent.intel_rdt_mon_path.clone_from(&group.monitoring);
        }
        Ok(intent)
    }

    /// Makes what limits the container.
    pub fn limit(&self) -> Result<()> {
        let linux = self.plan.linux();
        self.cgroup.create(&linux.resources.clone().unwrap_or_default())?;
        if let Some(uid) = self.plan.cgroup_owner() {
            self.cgroup.delegate(uid)?;
        }
        if let (Some((resctrl, group)), Some(rdt)) = (&self.resctrl, &linux.intel_rdt) {
            resctrl.make(group, rdt)?;
        }
        log::debug!("cgroups are made, with their limits");
        Ok(())
    }

    /// The doors of what limits it.
    pub fn entry(&self) -> Result<Entry> {
        let mut entry = self.cgroup.entry()?;
        if let Some((_, group)) = &self.resctrl {
            entry.tasks.extend(resctrl::doors(Some(&group.path), group.monitoring.as_deref())?);
        }
        Ok(entry)
    }

    async fn bear(&self, gate: &OwnedFd, filter: Option<&Filter>, stdio: Option<Stdio>) -> Result<Ready> {
        let Self { plan, cgroup, options, .. } = *self;
        let span = trace::span("prepare");
        let entry = self.entry()?;
        let views =
            if plan.mounts.iter().any(|m| m.kind == Kind::Cgroup) { cgroup.views() } else { Vec::new() };
        let mut sources = open_sources(plan);
        let spec_state = |status: Status, pid: i32| self.state_for_hooks(status, pid);
        let net_devices = net::devices::look(&plan.linux().net_devices)?;
        let preserve_fds = listen::preserved(options.preserve_fds)?;
        drop(span);
        let born = launch::launch(&plan.namespaces, plan.route, &entry, |wire| {
            init::run(Init {
                plan,
                id: self.id.as_str(),
                who: Who {
                    process: &plan.process,
                    credentials: &plan.credentials,
                    filter,
                    wire,
                    preserve_fds,
                    stdio: stdio.as_ref(),
                    first: true,
                },
                gate,
                entry: &entry,
                views: &views,
                sources: &mut sources,
                net_devices: &net_devices,
                hook_state: &spec_state,
                hook_files: &self.hook_files,
                no_new_keyring: options.no_new_keyring,
                made: init::Made::default(),
            })
        })?;
        drop(stdio);
        if !entry.asks {
            cgroup.settled();
        }
        let linux = plan.linux();
        Attendant {
            linux: &linux,
            answers: self,
            console_socket: options.console_socket.as_deref(),
            net_devices: &net_devices,
            rlimits: &plan.process.rlimits,
            oom_score_adj: plan.process.oom_score_adj,
            cgroup: Some(cgroup),
        }
        .attend(born, plan.route.hop)
        .await
    }

    fn state_for_hooks(&self, status: Status, pid: i32) -> Result<Vec<u8>> {
        HookState::new(self.id.as_str(), status, pid, &self.options.bundle, &self.plan.spec.annotations)
            .to_json()
    }

    /// What state.json is to say.
    pub fn record(&self, init: ProcessId, external_descriptors: Vec<String>) -> State {
        let Self { plan, cgroup, options, id, runtime, .. } = *self;
        State {
            id: id.clone(),
            init,
            created: super::time::now(),
            bundle: options.bundle.clone(),
            rootfs: plan.rootfs.path.clone(),
            annotations: plan.spec.annotations.clone(),
            cgroup_paths: cgroup.paths(),
            flags: Flags {
                systemd_cgroup: self.unit.is_some(),
                rootless: runtime.rootless.unwrap_or_else(|| !nix::unistd::geteuid().is_root()),
                no_pivot: options.no_pivot,
                no_new_keyring: options.no_new_keyring,
            },
            external_descriptors,
            intel_rdt_path: self.resctrl.as_ref().map(|(_, group)| group.path.clone()),
            intel_rdt_mon_path: self.resctrl.as_ref().and_then(|(_, group)| group.monitoring.clone()),
            later_hooks: LaterHooks::of(&plan.spec),
        }
    }

    /// Takes everything away again. What can't be taken away is told, since the first error is the one to return.
    async fn undo(&self) {
        log::debug!("take away what the failed create of {} has made", self.id);
        let mut undone = self.cgroup.end().await;
        if let (Some(_), Ok(Some(intent))) = (&self.resctrl, self.dir.intent()) {
            undone = undone.and(intent.remove_resctrl());
        }
        match undone {
            Ok(()) => take_away(self.dir),
            // By the state directory `delete --force` finds what is left.
            Err(error) => {
                log::warn!("clean up after a failed create: {error}; delete --force {} tries again", self.id);
            }
        }
    }
}

fn take_away(dir: &Dir) {
    if let Err(error) = dir.remove() {
        log::warn!("clean up after a failed create: {error}");
    }
}

impl Answers for Attempt<'_> {
    /// A runtime that is killed between init's last word and state.json leaves an init that is found by its cgroup.
    /// Where it has none, the intent names it.
    fn met(&self, pid: Pid) -> Result<()> {
        if self.cgroup.is_anywhere() {
            return Ok(());
        }
        self.dir.write_intent(&Intent { init: Some(ProcessId::of(pid)?), ..self.intent()? })
    }

    async fn run_hooks(&self, pid: Pid) -> Result<()> {
        let Some(hooks) = &self.plan.spec.hooks else { return Ok(()) };
        let state = self.state_for_hooks(Status::Creating, pid.as_raw())?;
        let bundle = Some(&*self.options.bundle);
        let setting =
            Setting { state: &state, default_env: None, dir: bundle, files: Some(&self.hook_files) };
        let prestart = hooks.prestart();
        run_all(HookKind::Prestart, prestart.as_deref().unwrap_or_default(), setting).await?;
        let runtime = hooks.create_runtime();
        run_all(HookKind::CreateRuntime, runtime.as_deref().unwrap_or_default(), setting).await
    }

    async fn bring_in(&self, pid: Pid) -> Result<()> {
        self.cgroup.attach(pid).await?;
        self.cgroup.settled();
        Ok(())
    }

    async fn map_ids(&self, index: usize, tree: OwnedFd) -> Result<()> {
        match self.plan.mounts.get(index) {
            Some(mount) => super::idmap::apply(&tree, mount, self.plan).await,
            None => Err(Error::invalid(format!("there is no mount {index}"))),
        }
    }

    fn state(&self, pid: Pid) -> Result<Vec<u8>> {
        self.state_for_hooks(Status::Creating, pid.as_raw())
    }
}

/// Where the process' standard input, output and error lead; nowhere that is known, where /proc does not say.
pub(super) fn descriptors(stdio: Option<&Stdio>) -> Vec<String> {
    let target = |path: PathBuf| Some(std::fs::read_link(path).ok()?.to_string_lossy().into_owned());
    let paths = match stdio {
        Some(stdio) => stdio.each_ref().map(fd_path),
        None => [0, 1, 2].map(|number| format!("/proc/self/fd/{number}").into()),
    };
    paths.into_iter().filter_map(target).collect()
}

/// The FIFO that init reads and `start` writes. Open for both, so that init never sees an end of file and can answer.
fn make_gate(dir: &Dir) -> Result<OwnedFd> {
    let path = dir.fifo();
    let failed = || format!("make {}", path.display());
    nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).or_fail("mkfifo", failed)?;
    nix::fcntl::open(&path, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).or_fail("open", failed)
}

/// Bind sources that a process in a user namespace may not be able to reach by itself are opened here, as the caller.
/// One that is not there now may be in the container's own tree later: if not, the container says so.
fn open_sources(plan: &Plan) -> Vec<Option<OwnedFd>> {
    let user = plan.namespaces.private(USER);
    plan.mounts
        .iter()
        .map(|mount| match &mount.kind {
            Kind::Bind { source, recursive } if user => init::open_source(source, *recursive).ok(),
            _ => None,
        })
        .collect()
}
