//! checkpoint: CRIU writes a container's processes to a directory, from which restore makes them anew. What stands is
//! left alone: the caller deletes a container whose processes are gone.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::criu::message::Message;
use super::criu::request::{self, DUMP, LAZY_PAGES, MEM_TRACK, PRE_DUMP, opt};
use super::criu::{
    Criu, CriuOptions, Directories, EXTERNAL_NAMESPACES, Progress, Start, config_file, external,
};
use super::state::{Container, Status};
use crate::cgroup::Entry;
use crate::error::{Error, Kind, OrFail, Result};
use crate::init::root::Root;
use crate::plan::Plan;
use crate::wait;

/// The file beside the images that tells where init's standard input, output and error led.
pub(super) const DESCRIPTORS: &str = "descriptors.json";

/// CRIU's log.
const LOG: &str = "dump.log";

/// What `checkpoint` takes.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of CRIU's own")]
pub struct CheckpointOptions {
    /// What restore takes too.
    pub criu: CriuOptions,
    /// An earlier pre-dump whose memory need not be written again; relative to the directory of the images.
    pub parent_path: Option<PathBuf>,
    /// The container goes on afterwards.
    pub leave_running: bool,
    /// Only its memory is written, and it goes on.
    pub pre_dump: bool,
    /// TCP connections that are just being made are left out.
    pub tcp_skip_in_flight: bool,
    /// Files without a name get one for the time being.
    pub link_remap: bool,
    /// Memory is sent to, or with lazy pages asked for by, this address and port.
    pub page_server: Option<(String, u16)>,
    /// Gets a NUL when lazy pages can be asked for.
    pub status: Option<OwnedFd>,
}

impl Container {
    /// Writes the container's state to `options.criu.image_path`. Unless it is to go on, its processes are gone then.
    ///
    /// # Errors
    /// There are no processes that run, CRIU is not there or refuses: its first error and where its log is.
    pub fn checkpoint(&self, options: CheckpointOptions) -> Result<()> {
        wait::block(self.checkpointing(options))
    }

    /// [`Self::checkpoint`] for an event loop (see [`wait`]).
    pub async fn checkpointing(&self, mut options: CheckpointOptions) -> Result<()> {
        let status = self.status()?;
        if !matches!(status, Status::Running | Status::Paused) {
            let text = format!("container cannot be checkpointed in {status} state");
            return Err(Error::new(Kind::State, text));
        }
        let plan = Plan::decide(self.config()?, &self.state.bundle, self.state.flags.no_pivot)?;
        external::check(&plan)?;
        check_parent(&options)?;
        let directories = Directories::prepare(&options.criu, true, LOG)?;
        let mut criu = Criu::start(&Start {
            directories: &directories,
            program: options.criu.program.as_deref(),
            inherited: &[],
            stdio: None,
            entry: Entry::default(),
            stage: None,
        })
        .await?;
        if options.pre_dump {
            criu.require(MEM_TRACK).await?;
        }
        if options.criu.lazy_pages {
            criu.require(LAZY_PAGES).await?;
        }
        let opts = self.dump_options(&plan, &options, &criu)?;
        if !options.pre_dump {
            self.write_descriptors(&options.criu.image_path)?;
        }
        let kind = if options.pre_dump { PRE_DUMP } else { DUMP };
        criu.begin(kind, &opts)?;
        while let Progress::Notice(notice) = criu.next(kind, &directories).await? {
            if notice.step == "status-ready"
                && let Some(status) = options.status.take()
                && let Err(errno) = nix::unistd::write(&status, b"\0")
            {
                criu.give_up().await;
                return Err(Error::os("write", errno, "tell --status-fd that memory can be asked for"));
            }
            criu.go_on();
        }
        Ok(())
    }

    fn dump_options(&self, plan: &Plan, options: &CheckpointOptions, criu: &Criu) -> Result<Message> {
        let mut opts = request::options(&options.criu, criu, LOG);
        opts.number(opt::PID, self.state.init.pid);
        opts.text(opt::ROOT, plan.rootfs.path.as_os_str().as_encoded_bytes());
        opts.set(opt::LEAVE_RUNNING, options.leave_running);
        opts.set(opt::TCP_SKIP_IN_FLIGHT, options.tcp_skip_in_flight);
        opts.set(opt::LINK_REMAP, options.link_remap);
        if let Some(file) = config_file(&self.state.annotations) {
            opts.text(opt::CONFIG_FILE, file);
        }
        if let Some((address, port)) = &options.page_server {
            let mut server = Message::default();
            server.text(1, address);
            server.number(2, i32::from(*port));
            opts.message(opt::PAGE_SERVER, &server);
        }
        if let Some(parent) = &options.parent_path {
            opts.text(opt::PARENT_IMG, parent.as_os_str().as_encoded_bytes());
            opts.flag(opt::TRACK_MEM, true);
        }
        let freezer = self.state.cgroup_paths.get("freezer").or_else(|| self.state.cgroup_paths.get(""));
        if let Some(path) = freezer {
            opts.text(opt::FREEZE_CGROUP, path);
        }
        // These stay as they are, and are there for the restore.
        for (flag, kind, key) in EXTERNAL_NAMESPACES {
            if let Some((_, path)) = plan.namespaces.join.iter().find(|(joined, _)| *joined == flag) {
                let stat = nix::sys::stat::stat(path)
                    .or_fail("stat", || format!("find namespace {}", path.display()))?;
                opts.text(opt::EXTERNAL, format!("{kind}[{}]:{key}", stat.st_ino));
            }
        }
        if !options.pre_dump {
            let root = self.root()?;
            for word in external::of_dump(plan, &self.cgroup()?.views(), &root)? {
                opts.text(opt::EXTERNAL, word);
            }
        }
        Ok(opts)
    }

    /// The container's root directory as init has it.
    fn root(&self) -> Result<Root> {
        let path = format!("/proc/{}/root", self.state.init.pid);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(path.as_str(), flags, Mode::empty()).map(Root::new).or_fail("open", || format!("open {path}"))
    }

    fn write_descriptors(&self, images: &Path) -> Result<()> {
        let path = images.join(DESCRIPTORS);
        let json = serde_json::to_vec(&self.state.external_descriptors)
            .map_err(|e| Error::invalid(format!("write {}: {e}", path.display())))?;
        std::fs::write(&path, json).or_fail("write", || format!("write {}", path.display()))
    }
}

/// CRIU looks for it from inside the directory of the images, and goes on without it if it is not there.
fn check_parent(options: &CheckpointOptions) -> Result<()> {
    let Some(parent) = &options.parent_path else { return Ok(()) };
    if parent.is_absolute() {
        return Err(Error::invalid("--parent-path must be relative"));
    }
    let path = options.criu.image_path.join(parent);
    let found =
        std::fs::metadata(&path).or_fail("stat", || format!("invalid --parent-path: {}", path.display()))?;
    if !found.is_dir() {
        return Err(Error::invalid(format!("invalid --parent-path: {} is no directory", path.display())));
    }
    Ok(())
}
