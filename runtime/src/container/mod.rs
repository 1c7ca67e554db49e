//! The parent's side of each verb. It never changes its own process and never prints.

mod attend;
pub mod create;
mod delete;
mod dir;
mod exec;
pub mod hooks;
pub mod id;
mod idmap;
mod kill;
pub mod list;
mod listener;
mod maps;
mod pid_file;
pub mod process;
mod record;
mod start;
pub mod state;
pub mod time;

pub use create::create;
pub use delete::delete_forced;

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
}

impl Default for Runtime {
    fn default() -> Self {
        Self { root: "/run/pinnace".into(), systemd_cgroup: false }
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
}

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

mod console {
    use crate::error::Result;
    use crate::spec::{Process, Spec};
    use std::os::fd::OwnedFd;
    use std::path::Path;
    pub(super) fn check(_: &Spec, _: bool) -> Result<()> {
        Ok(())
    }
    pub(super) fn check_exec(_: &Process, _: bool) -> Result<()> {
        Ok(())
    }
    pub(super) fn send_master(_: &Path, _: &OwnedFd) -> Result<()> {
        Ok(())
    }
    pub(super) fn send_pidfd(_: &Path, _: &OwnedFd, _: &str) -> Result<()> {
        Ok(())
    }
}
mod notify {
    pub(super) fn prepare(_: &mut crate::spec::Spec, _: &std::path::Path) -> crate::error::Result<()> {
        Ok(())
    }
}
mod listen {
    pub(super) fn preserved(n: u32) -> crate::error::Result<i32> {
        Ok(i32::try_from(n).unwrap_or(0))
    }
}
mod limits {
    use crate::error::Result;
    use nix::unistd::Pid;
    pub(super) fn set_oom_score(_: Pid, _: i32) -> Result<()> {
        Ok(())
    }
    pub(super) fn set_rlimits(_: Pid, _: &[crate::spec::oci::PosixRlimit]) -> Result<()> {
        Ok(())
    }
}
