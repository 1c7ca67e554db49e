//! The parent's side of each verb. It never changes its own process and never prints.

mod attend;
mod checkpoint;
pub mod console;
pub mod create;
pub mod criu;
mod delete;
mod dir;
mod exec;
mod freeze;
pub mod id;
mod idmap;
mod kill;
pub mod limits;
pub mod list;
mod listen;
mod listener;
mod maps;
pub mod notify;
mod observe;
mod pid_file;
pub mod process;
mod record;
mod restore;
mod scope;
mod start;
pub mod state;
pub mod time;
mod update;

pub use checkpoint::CheckpointOptions;
pub use create::{create, creating};
pub use delete::{delete_forced, deleting_forced};
pub use restore::{RestoreOptions, restore, restoring};

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::unistd::Pid;

use crate::spec::Process;

/// Where and how containers are kept; the same for every call of one process.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The directory with a directory for each container.
    pub root: PathBuf,
    /// Cgroups are made by systemd.
    pub systemd_cgroup: bool,
    /// No cgroup is made: a container stays in that of the caller.
    pub no_cgroup: bool,
    /// Whether cgroups that can't be made are done without where nothing depends on them; none: that depends on who
    /// the caller is.
    pub rootless: Option<bool>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self { root: "/run/pinnace".into(), systemd_cgroup: false, no_cgroup: false, rootless: None }
    }
}

/// What `create` and `run` take beside the bundle's config.json.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// The bundle's directory; absolute.
    pub bundle: PathBuf,
    /// Another config.json than the bundle's.
    pub config: Option<PathBuf>,
    /// Unix socket that takes the terminal's master.
    pub console_socket: Option<PathBuf>,
    /// Unix socket that takes a pidfd of the container's init.
    pub pidfd_socket: Option<PathBuf>,
    /// File that gets the pid.
    pub pid_file: Option<PathBuf>,
    /// A cgroupsPath `slice:prefix:name` says that systemd makes the cgroup, for engines that can't say it otherwise.
    pub systemd_by_path: bool,
    /// Move the root mount and chroot instead of pivot_root (an initramfs can't be pivoted from).
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many descriptors from 3 up the process gets, beside those of LISTEN_FDS.
    pub preserve_fds: u32,
}

/// What `exec` takes.
#[derive(Clone, Debug, Default)]
pub struct ExecOptions {
    /// The process, whole: what the flags left out is taken from the container's config.
    pub process: Process,
    /// Unix socket that takes the terminal's master.
    pub console_socket: Option<PathBuf>,
    /// Unix socket that takes a pidfd of the process.
    pub pidfd_socket: Option<PathBuf>,
    /// File that gets the pid.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors from 3 up the process gets.
    pub preserve_fds: u32,
    /// Go ahead in a paused container: the process starts when it is resumed.
    pub ignore_paused: bool,
    /// Sub-cgroups, `[controller[,controller]:]path`.
    pub cgroups: Vec<String>,
    /// The caller shows the terminal on one of the user's, which makes carriage returns itself.
    pub plain_newlines: bool,
}

/// Standard input, output and error of a process that does not have the caller's own; one with a terminal has that
/// instead. They are closed as soon as the process has them.
pub type Stdio = [OwnedFd; 3];

/// A process that was made.
#[derive(Debug)]
pub struct Started {
    /// Its pid here.
    pub pid: Pid,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one and no socket was given for it.
    pub console: Option<OwnedFd>,
}
