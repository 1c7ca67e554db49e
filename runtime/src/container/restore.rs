//! restore: CRIU makes the processes of a checkpoint anew, as ours. Everything around them is made as for create, from
//! the bundle's config.json; what was made is taken away again when anything fails.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::attend::Answers;
use super::checkpoint::DESCRIPTORS;
use super::create::{Attempt, attempt, descriptors};
use super::criu::external::Covers;
use super::criu::message::Message;
use super::criu::request::{self, RESTORE, opt};
use super::criu::{
    Criu, CriuOptions, Directories, EXTERNAL_NAMESPACES, Notice, Progress, Start, config_file, external,
};
use super::id::Id;
use super::process::ProcessId;
use super::state::Container;
use super::{CreateOptions, Runtime, Started, Stdio, console};
use crate::cgroup::Entry;
use crate::error::{Error, Kind, OrFail, Result};
use crate::init;
use crate::init::criu::Stage;
use crate::init::hide;
use crate::launch::{launch, open_namespace};
use crate::plan::namespaces::{CGROUP, MOUNT, NET, Namespaces, Route, TIME, name};
use crate::spec::oci::{LinuxNamespaceBuilder, LinuxNamespaceType};
use crate::sys::process::{pidfd_open, pidfd_signal};
use crate::sys::wait::{expect, release, try_wait};
use crate::wait;
use crate::wire::Word;

/// CRIU's log.
const LOG: &str = "restore.log";

/// What `restore` takes beside what `create` takes.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// What checkpoint takes too.
    pub criu: CriuOptions,
    /// Another LSM profile than that of the checkpoint, as TYPE:NAME.
    pub lsm_profile: Option<String>,
    /// Another SELinux context of mounts.
    pub lsm_mount_context: Option<String>,
}

/// Makes a container from a checkpoint. Its processes run when this returns.
pub fn restore(
    runtime: &Runtime,
    id: &Id,
    options: &CreateOptions,
    restore: &RestoreOptions,
) -> Result<Started> {
    let started = wait::block(restoring(runtime, id, options, restore, None))?;
    release(started.pid);
    Ok(started)
}

/// [`restore`] for an event loop (see [`wait`]): with standard streams for what the checkpoint had as pipes, and the
/// status of the first process expected (see [`release`]).
pub async fn restoring(
    runtime: &Runtime,
    id: &Id,
    options: &CreateOptions,
    restore: &RestoreOptions,
    stdio: Option<Stdio>,
) -> Result<Started> {
    attempt(runtime, id, options, async |attempt, config| attempt.restore(config, restore, stdio).await).await
}

/// Where covers of masked paths are mounted for CRIU, in a mount namespace that the host does not see: on the first that
/// is there of directories that are made to be mounted on and that CRIU has no use for. A process in a user namespace
/// finds the way there, and a sysfs of its own is not refused for what is mounted on a directory that is always empty
/// (mount_too_revealing in fs/namespace.c).
const COVERS: [&str; 4] = ["/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/pstore", "/sys/firmware"];

fn covers() -> Result<&'static Path> {
    let found = COVERS.iter().map(Path::new).find(|path| path.is_dir());
    found.ok_or_else(|| Error::new(Kind::Host, "mask paths: no /sys here").hint("mount sysfs on /sys"))
}

/// The directory in the state directory that CRIU has the root file system on.
struct RootPlace(PathBuf);

impl RootPlace {
    fn make(state_dir: &Path) -> Result<Self> {
        // CRIU compares it with paths that the kernel shows.
        let dir = state_dir.canonicalize().or_fail("realpath", || format!("find {}", state_dir.display()))?;
        let path = dir.join("criu-root");
        std::fs::create_dir(&path).or_fail("mkdir", || format!("make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for RootPlace {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir(&self.0) {
            log::warn!("remove {}: {error}", self.0.display());
        }
    }
}

/// What CRIU has brought so far.
#[derive(Default)]
struct Brought {
    /// The first process.
    pid: Option<Pid>,
    /// The master of the container's terminal.
    console: Option<OwnedFd>,
    /// Where its standard input, output and error lead now.
    descriptors: Vec<String>,
}

impl Attempt<'_> {
    async fn restore(
        &self,
        config: &[u8],
        restore: &RestoreOptions,
        stdio: Option<Stdio>,
    ) -> Result<Started> {
        let Self { plan, dir, .. } = *self;
        external::check(plan)?;
        let directories = Directories::prepare(&restore.criu, false, LOG)?;
        let were = read_descriptors(&restore.criu.image_path)?;
        let are = descriptors(stdio.as_ref());
        self.prepare(config)?;
        self.limit()?;
        let (root, covers) = (RootPlace::make(dir.path())?, covers()?);
        let namespaces = self.external_namespaces()?;
        let inherited: Vec<OwnedFd> = namespaces.into_iter().map(|(_, fd)| fd).collect();
        let mut criu = Criu::start(&Start {
            directories: &directories,
            program: restore.criu.program.as_deref(),
            inherited: &inherited,
            stdio: stdio.as_ref(),
            entry: self.entry()?,
            stage: Some(Stage { plan, root: &root.0, covers }),
        })
        .await?;
        drop(stdio);
        let mut opts = self.restore_options(restore, &criu, &root.0, covers);
        self.tell_namespaces(&mut opts, &inherited)?;
        tell_pipes(&mut opts, &were);
        tell_cgroups(&mut opts, criu.pid)?;
        let mut brought = Brought { descriptors: are, ..Brought::default() };
        criu.begin(RESTORE, &opts)?;
        let outcome = loop {
            match criu.next(RESTORE, &directories).await {
                Err(error) => break Err(error),
                Ok(Progress::Done) => break self.finish(&mut brought),
                Ok(Progress::Notice(notice)) => match self.attend(notice, &mut brought).await {
                    Ok(()) => criu.go_on(),
                    Err(error) => {
                        criu.give_up().await;
                        break Err(error);
                    }
                },
            }
        };
        if outcome.is_err()
            && let Some(pid) = brought.pid
        {
            end(pid).await;
        }
        outcome
    }

    fn restore_options(&self, restore: &RestoreOptions, criu: &Criu, root: &Path, covers: &Path) -> Message {
        let Self { plan, cgroup, .. } = *self;
        let mut opts = request::options(&restore.criu, criu, LOG);
        opts.text(opt::ROOT, root.as_os_str().as_encoded_bytes());
        opts.flag(opt::RST_SIBLING, true);
        opts.flag(opt::EVASIVE_DEVICES, true);
        if let Some(file) = config_file(&plan.spec.annotations) {
            opts.text(opt::CONFIG_FILE, file);
        }
        for (field, text) in
            [(opt::LSM_PROFILE, &restore.lsm_profile), (opt::LSM_MOUNT_CONTEXT, &restore.lsm_mount_context)]
        {
            if let Some(text) = text {
                opts.text(field, text);
            }
        }
        let (file, directory) = (covers.join(hide::FILE), covers.join(hide::DIRECTORY));
        let covers = Covers { file: &file, directory: &directory };
        for word in external::of_restore(plan, &cgroup.views(), covers) {
            opts.text(opt::EXTERNAL, word);
        }
        opts
    }

    /// The caller's part at one of CRIU's steps.
    async fn attend(&self, notice: Notice, brought: &mut Brought) -> Result<()> {
        let Notice { step, pid, fd } = notice;
        if let (Some(pid), None) = (pid, brought.pid) {
            expect(pid);
            brought.pid = Some(pid);
        }
        match (step.as_str(), pid, fd) {
            ("setup-namespaces", Some(pid), _) => {
                if self.plan.namespaces.new & NET != 0 {
                    loopback_up(pid).await?;
                }
                self.run_hooks(pid).await
            }
            ("orphan-pts-master", _, Some(master)) => {
                match &self.options.console_socket {
                    Some(path) => console::send_master(path, &master)?,
                    None => brought.console = Some(master),
                }
                Ok(())
            }
            // They stand and do not run yet.
            ("post-restore", Some(pid), _) => {
                self.record_restored(pid, std::mem::take(&mut brought.descriptors))
            }
            _ => Ok(()),
        }
    }

    fn record_restored(&self, pid: Pid, descriptors: Vec<String>) -> Result<()> {
        let state = self.record(ProcessId::of(pid)?, descriptors);
        let mut spec = self.plan.spec.clone();
        // CRIU puts processes into a time namespace, so that their clocks go on where they were; an exec joins it.
        if !self.plan.namespaces.private(TIME) && !shares_time(pid) {
            let time = LinuxNamespaceBuilder::default().typ(LinuxNamespaceType::Time).build();
            let time = time.map_err(|e| Error::invalid(format!("record the time namespace: {e}")))?;
            spec.linux.get_or_insert_default().namespaces.push(time);
        }
        Container { dir: self.dir.clone(), state }.replace_config(&spec)
    }

    fn finish(&self, brought: &mut Brought) -> Result<Started> {
        let pid = brought.pid.ok_or_else(|| Error::invalid("criu has named no process"))?;
        let pidfd = pidfd_open(pid).or_fail("pidfd_open", || format!("open process {pid}"))?;
        if let Some(path) = &self.options.pid_file {
            super::pid_file::write(path, pid)?;
        }
        Ok(Started { pid, pidfd, console: brought.console.take() })
    }

    /// Joined namespaces that the checkpoint has left out, opened for CRIU.
    fn external_namespaces(&self) -> Result<Vec<(u64, OwnedFd)>> {
        let joined = self.plan.namespaces.join.iter();
        joined
            .filter(|(flag, _)| EXTERNAL_NAMESPACES.iter().any(|(external, ..)| external == flag))
            .map(|(flag, path)| Ok((*flag, open_namespace(path)?)))
            .collect()
    }

    /// Joined namespaces: by descriptor what the checkpoint has left out, by path the others.
    fn tell_namespaces(&self, opts: &mut Message, inherited: &[OwnedFd]) -> Result<()> {
        let mut inherited = inherited.iter();
        for (flag, path) in &self.plan.namespaces.join {
            match EXTERNAL_NAMESPACES.iter().find(|(external, ..)| external == flag) {
                Some((.., key)) => {
                    if let Some(fd) = inherited.next() {
                        opts.message(opt::INHERIT_FD, &request::inherit_fd(key, fd.as_raw_fd()));
                    }
                }
                None if *flag == CGROUP => {
                    let text = format!("join cgroup namespace {}: CRIU can't", path.display());
                    return Err(Error::invalid(text).hint("leave its path out of linux.namespaces"));
                }
                None => {
                    // As /proc/PID/ns calls it.
                    let kind = if *flag == MOUNT { "mnt" } else { name(*flag) };
                    opts.message(opt::JOIN_NS, &request::pair(kind, path.as_os_str().as_encoded_bytes()));
                }
            }
        }
        Ok(())
    }
}

fn read_descriptors(images: &Path) -> Result<Vec<String>> {
    let path = images.join(DESCRIPTORS);
    let failed = || format!("read {}", path.display());
    let json = std::fs::read(&path)
        .or_fail("open", failed)
        .map_err(|error| error.hint("a checkpoint of a container has that file"))?;
    // Another runtime may have written "null".
    let read: Option<Vec<String>> =
        serde_json::from_slice(&json).map_err(|e| Error::invalid(format!("{}: {e}", failed())))?;
    Ok(read.unwrap_or_default())
}

/// Pipes to the outside that were standard input, output and error are CRIU's own now.
fn tell_pipes(opts: &mut Message, descriptors: &[String]) {
    for (number, target) in (0..).zip(descriptors) {
        if target.starts_with("pipe:") {
            opts.message(opt::INHERIT_FD, &request::inherit_fd(target, number));
        }
    }
}

/// The roots of the container's cgroups are where CRIU itself is.
fn tell_cgroups(opts: &mut Message, criu: Pid) -> Result<()> {
    let path = format!("/proc/{criu}/cgroup");
    let text = std::fs::read_to_string(&path).or_fail("read", || format!("read {path}"))?;
    for line in text.lines() {
        // man 7 cgroups: hierarchy:controllers:path.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(place)) = (fields.next(), fields.next()) else { continue };
        for controller in controllers.split(',') {
            opts.message(opt::CG_ROOT, &request::pair(controller, place));
        }
    }
    Ok(())
}

/// Sockets that are restored may be bound to its addresses.
async fn loopback_up(pid: Pid) -> Result<()> {
    let born = launch(&Namespaces::default(), Route::default(), &Entry::default(), |wire| {
        init::criu::loopback_up(pid, wire)
    })?;
    let heard = born.wire.hear().await;
    let _ = wait::ended(born.pid, &born.pidfd).await;
    match heard? {
        Word::End => Ok(()),
        Word::Fail(error) => Err(error),
        word => Err(Error::invalid(format!("bring up the loopback device: the child said {word:?}"))),
    }
}

fn shares_time(pid: Pid) -> bool {
    let inode = |path: &str| nix::sys::stat::stat(path).map(|stat| stat.st_ino);
    match (inode("/proc/self/ns/time"), inode(&format!("/proc/{pid}/ns/time"))) {
        (Ok(own), Ok(its)) => own == its,
        // A kernel without time namespaces.
        _ => true,
    }
}

/// Ends a restored process, which is our child. It may be gone already.
async fn end(pid: Pid) {
    if matches!(try_wait(pid), Ok(None))
        && let Ok(pidfd) = pidfd_open(pid)
    {
        let _ = pidfd_signal(&pidfd, libc::SIGKILL);
        let _ = wait::ended(pid, &pidfd).await;
    }
    release(pid);
}
