//! exec: one more process in a container that runs, by one clone straight into its cgroup.

use std::os::fd::OwnedFd;

use nix::unistd::Pid;

use super::attend::{Answers, Attendant};
use super::state::{Container, Status};
use super::{ExecOptions, Started, Stdio, console};
use crate::cgroup::{Cgroup, Entry};
use crate::error::{Error, Kind, Result};
use crate::init::Who;
use crate::init::enter::{self, Enter};
use crate::init::labels;
use crate::launch;
use crate::plan::annotations::keeps_groups;
use crate::plan::creds::Credentials;
use crate::plan::namespaces::{Namespaces, PID, Route, flag};
use crate::resctrl;
use crate::seccomp;
use crate::spec::{Linux, Process, validate_process};
use crate::sys::wait::release;
use crate::wait;

impl Container {
    /// Starts a process in the container. It runs when this returns.
    pub fn exec(&self, options: &ExecOptions) -> Result<Started> {
        let started = wait::block(self.executing(options, None))?;
        release(started.pid);
        Ok(started)
    }

    /// [`Self::exec`] for an event loop (see [`wait`]): with standard streams for the process, and its status expected
    /// (see [`release`]).
    pub async fn executing(&self, options: &ExecOptions, stdio: Option<Stdio>) -> Result<Started> {
        match self.status()? {
            Status::Stopped => {
                return Err(Error::new(Kind::NotRunning, "cannot exec in a stopped container"));
            }
            Status::Paused if !options.ignore_paused => {
                return Err(Error::new(
                    Kind::State,
                    "cannot exec in a paused container (use --ignore-paused to override)",
                ));
            }
            _ => {}
        }
        validate_process(&options.process)?;
        let spec = self.config()?;
        let process = options.process.clone().completed(&spec.process.unwrap_or_default());
        labels::supported(process.apparmor_profile.as_deref(), [process.selinux_label.as_deref(), None])?;
        let linux = spec.linux.unwrap_or_default();
        console::check_exec(&process, options.console_socket.is_some())?;
        let mut credentials = Credentials::decide(&process)?;
        credentials.keep_umask = process.user.umask.is_none();
        credentials.keep_groups = keeps_groups(&spec.annotations);
        let filter = linux.seccomp.as_ref().map(seccomp::compile).transpose()?.flatten();
        let init = self.init()?;
        let mut entry = self.exec_entry(options)?;
        let state = &self.state;
        entry
            .tasks
            .extend(resctrl::doors(state.intel_rdt_path.as_deref(), state.intel_rdt_mon_path.as_deref())?);
        let (namespaces, route) = self.ways(&linux);
        let mut flags = 0;
        for namespace in &linux.namespaces {
            flags |= flag(namespace.typ());
        }
        log::debug!("exec in {}: {:?}, cgroups {:?}", self.state.id, process.args, options.cgroups);
        let preserve_fds = super::listen::preserved_for_exec(options.preserve_fds)?;
        let born = launch::launch(&namespaces, route, &entry, |wire| {
            let who = Who {
                process: &process,
                credentials: &credentials,
                filter: filter.as_ref(),
                wire,
                preserve_fds,
                stdio: stdio.as_ref(),
                first: false,
            };
            enter::run(&Enter {
                who,
                id: self.state.id.as_str(),
                linux: &linux,
                init: &init,
                hop: route.hop,
                namespaces: flags,
                entry: &entry,
                no_new_keyring: self.state.flags.no_new_keyring,
            })
        })?;
        drop(stdio);
        self.finish_exec(options, &process, &linux, born, route.hop).await
    }

    async fn finish_exec(
        &self,
        options: &ExecOptions,
        process: &Process,
        linux: &Linux,
        born: launch::Born,
        hop: bool,
    ) -> Result<Started> {
        let ready = Attendant {
            linux,
            answers: self,
            console_socket: options.console_socket.as_deref(),
            net_devices: &[],
            rlimits: &process.rlimits,
            // In a hop it sets that itself, while it still can.
            oom_score_adj: process.oom_score_adj.filter(|_| !hop),
            cgroup: None,
        }
        .attend(born, hop)
        .await?;
        if let Some(path) = &options.pid_file {
            super::pid_file::write(path, ready.pid)?;
        }
        if let Some(path) = &options.pidfd_socket {
            console::send_pidfd(path, &ready.pidfd, "setns")?;
        }
        if let (true, Some(master)) = (options.plain_newlines, &ready.console) {
            console::plain_newlines(master)?;
        }
        ready.release().await
    }

    fn init(&self) -> Result<OwnedFd> {
        self.state.init.pidfd()?.ok_or_else(|| Error::new(Kind::NotRunning, "container not running"))
    }

    /// The container's own cgroup, or where its init has moved to since (systemd in a container does that).
    fn exec_entry(&self, options: &ExecOptions) -> Result<Entry> {
        let cgroup = self.cgroup()?;
        if !options.cgroups.is_empty() {
            return cgroup.sub_entry(&options.cgroups);
        }
        cgroup.entry().or_else(|_| Cgroup::entry_of_init(Pid::from_raw(self.state.init.pid)))
    }

    /// The pid namespace is lent by the launcher, everything else is entered by the child.
    fn ways(&self, linux: &Linux) -> (Namespaces, Route) {
        let pid_namespace = linux.namespaces.iter().any(|n| flag(n.typ()) == PID);
        // A user has no right to come back from a pid namespace to the host's, nor, outside of the container's user
        // namespace, to go there.
        if pid_namespace && Cgroup::is_users() {
            return (Namespaces::default(), Route { hop: true, ..Route::default() });
        }
        let mut namespaces = Namespaces::default();
        if pid_namespace {
            namespaces.join.push((PID, format!("/proc/{}/ns/pid", self.state.init.pid).into()));
        }
        let route = Route { lend_pid: pid_namespace, ..Route::default() };
        (namespaces, route)
    }
}

impl Answers for Container {
    fn met(&self, _: Pid) -> Result<()> {
        Ok(())
    }

    async fn run_hooks(&self, _: Pid) -> Result<()> {
        Ok(())
    }

    async fn bring_in(&self, pid: Pid) -> Result<()> {
        self.cgroup()?.attach(pid).await
    }

    async fn map_ids(&self, _: usize, _: OwnedFd) -> Result<()> {
        Err(Error::invalid("an exec mounts nothing"))
    }

    fn state(&self, _: Pid) -> Result<Vec<u8>> {
        self.hook_state(Status::Running, self.state.init.pid).to_json()
    }
}
