//! The container's cgroups: where they are, what they limit, how a process gets in and how all of it ends.
//! v1, v2 and both at once (hybrid), through cgroupfs. Touches no directory but the container's own and, in making it,
//! the missing ones above it.
//!
//! The straight line: [`Cgroup::place`] decides (the paths can be written down before anything is made) →
//! [`Cgroup::create`] makes and limits → [`Cgroup::entry`] opens the doors → the child walks in by
//! `CLONE_INTO_CGROUP` (v2) and [`Entry::join`] (v1).

mod controllers;
mod convert;
mod cpuset;
mod create;
mod delegate;
mod device;
mod device_files;
mod dir;
mod entry;
mod filter;
mod freeze;
mod host;
mod kill;
mod oom;
mod place;
mod remove;
mod setting;
mod stats;
mod systemd;
mod v1;
mod v2;
mod views;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::OnceLock;

pub use entry::Entry;
pub use oom::{Oom, OomWatch};
pub use stats::{BlkioEntry, MemoryEntry, Stats};
pub use systemd::{Request, Unit};
pub use views::View;

use nix::errno::Errno;

use crate::error::Result;
use crate::spec::Resources;
use dir::Dir;
use systemd::Scope;

/// The host's cgroup layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One hierarchy for each controller.
    V1,
    /// The unified hierarchy alone, on /sys/fs/cgroup.
    V2,
    /// v1 hierarchies, and the unified one on /sys/fs/cgroup/unified.
    Hybrid,
}

/// The language that a hierarchy's files speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Documentation/admin-guide/cgroup-v1.
    V1,
    /// Documentation/admin-guide/cgroup-v2.rst.
    V2,
}

/// The container's place in one hierarchy.
#[derive(Debug)]
struct Node {
    version: Version,
    /// What is bound to the hierarchy and counts for a container; one empty name for the unified hierarchy.
    controllers: Vec<String>,
    /// The hierarchy's mount point; empty if the place came from a state file.
    mount: String,
    /// The container's directory.
    path: String,
    /// The place came from a state file: what is there is the container's. A place that was only decided may be
    /// somebody else's until [`Cgroup::create`] has made it.
    recorded: bool,
    /// What [`Cgroup::create`] made: the open directory, or nothing where a container can do without.
    made: OnceLock<Option<Dir>>,
}

/// A container's directory for the length of an operation.
#[derive(Debug)]
enum Held<'n> {
    Made(&'n Dir),
    Opened(Dir),
}

impl Deref for Held<'_> {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        match self {
            Self::Made(dir) => dir,
            Self::Opened(dir) => dir,
        }
    }
}

/// The container's place in every hierarchy of the host.
#[derive(Debug)]
pub struct Cgroup {
    nodes: Vec<Node>,
    /// The place was asked for, so the container must not run outside of it.
    given: bool,
    /// A place that can't be made is no error if nothing depends on it. None: it depends on who the caller is.
    rootless: Option<bool>,
    /// The unit of systemd whose cgroup it is.
    scope: Option<Scope>,
}

impl Cgroup {
    /// The layout of this host.
    pub fn mode() -> Mode {
        host::mode()
    }

    /// Decides where the container `id` lies. `cgroups_path` is config.json's: absolute from the root of the mounted
    /// hierarchies, relative (and the default, the id) under the caller's own cgroup, in v2 beside it. `..` never
    /// leads out of a hierarchy. Makes nothing.
    pub fn place(id: &str, cgroups_path: Option<&str>) -> Result<Self> {
        place::place(id, cgroups_path)
    }

    /// Whether systemd's manager of the caller's own units is the one to ask, not the host's.
    pub fn is_users() -> bool {
        !nix::unistd::geteuid().is_root() || host::in_user_namespace()
    }

    /// Has systemd make the scope `unit`; the container's place is in it, in the cgroup `below` (or the scope's own).
    /// The scope stands when this returns, and is gone again when it fails.
    ///
    /// # Errors
    /// systemd can't be reached or did not answer in time; what it refused, in its own words.
    pub async fn in_scope(unit: Unit, request: &Request<'_>, below: &str) -> Result<Self> {
        let (scope, path) = systemd::start(unit, request).await?;
        place::in_scope(scope, &path, below)
    }

    /// Whose cgroup it is, when it was found again by its paths.
    #[must_use]
    pub fn of_unit(mut self, unit: Unit) -> Self {
        self.scope = Some(Scope::known(unit));
        self
    }

    /// No place of its own: the container stays where the caller is, and nothing can be limited.
    pub fn none() -> Self {
        Self { nodes: Vec::new(), given: false, rootless: None, scope: None }
    }

    /// The place that [`Cgroup::paths`] once described (`cgroup_paths` of a state file).
    pub fn from_paths(paths: &BTreeMap<String, String>) -> Result<Self> {
        place::from_paths(paths)
    }

    /// Whether the caller is without privileges over cgroups (`--rootless`): then, where no place and no limit was asked
    /// for, a cgroup that can't be made is done without. Left out, that is so for every user but the host's root.
    #[must_use]
    pub fn rootless(mut self, rootless: Option<bool>) -> Self {
        self.rootless = rootless;
        self
    }

    /// The directory for each controller, by runc's keys: a v1 controller, `name=systemd`, or "" for the unified
    /// hierarchy.
    pub fn paths(&self) -> BTreeMap<String, String> {
        let there = self.nodes.iter().filter(|n| !matches!(n.made.get(), Some(None)));
        there.flat_map(|n| n.controllers.iter().map(|c| (c.clone(), n.path.clone()))).collect()
    }

    /// Whether the container has a directory in any hierarchy.
    pub fn is_anywhere(&self) -> bool {
        self.nodes.iter().any(|n| !matches!(n.made.get(), Some(None)))
    }

    /// Refuses a place where processes are, or that is frozen. [`Cgroup::create`] does so too; asked before anything is
    /// written down, nobody will ever take what is there for the container's.
    pub fn refuse_in_use(&self) -> Result<()> {
        create::refuse_in_use(self)
    }

    /// Makes the cgroups and applies every limit and the device rules. On failure, what it made is gone again, and what
    /// was there before is left alone by everything that this value is asked to do later.
    ///
    /// # Errors
    /// A cgroup of that path with processes in it or frozen; a limit whose controller this host does not offer (the
    /// container never runs without it); what the kernel refused, with the file, the value and the errno.
    pub fn create(&self, resources: &Resources) -> Result<()> {
        create::create(self, resources)
    }

    /// Opens the doors for the container's first process. After [`Cgroup::create`], or on a container that runs.
    pub fn entry(&self) -> Result<Entry> {
        entry::entry(self)
    }

    /// Opens the doors for a process of `exec --cgroup`: each word is a path below the container's cgroup, or
    /// `controller[,controller]:path`.
    pub fn sub_entry(&self, specs: &[String]) -> Result<Entry> {
        entry::sub_entry(self, specs)
    }

    /// Opens the door to where the container's init is now (cgroup v2). An init that moved itself, or turned controllers
    /// on below its first cgroup, has shut that one: clone3 answers EBUSY, or the directory is gone.
    pub fn entry_of_init(init: nix::unistd::Pid) -> Result<Entry> {
        entry::entry_of_init(init)
    }

    /// Brings a process in that said it could not come by itself ([`Entry::asks`]).
    pub async fn attach(&self, pid: nix::unistd::Pid) -> Result<()> {
        entry::attach(self, pid).await
    }

    /// The container has a process of its own: what kept its place until then goes.
    pub fn settled(&self) {
        if let Some(scope) = &self.scope {
            scope.release();
        }
    }

    /// Applies limits to a container that runs. Never touches device rules: plugins add their own after the start.
    pub async fn update(&self, resources: &Resources) -> Result<()> {
        create::update(self, resources).await
    }

    /// Stops every process of the container where it is; returns when they all stand.
    pub async fn freeze(&self) -> Result<()> {
        freeze::freeze(self, freeze::PATIENCE).await
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        freeze::thaw(self)
    }

    /// Whether the container's own cgroup is frozen (not one above it). A cgroup that is gone is not frozen.
    pub fn frozen(&self) -> Result<bool> {
        freeze::is_frozen(self)
    }

    /// The processes in the container's cgroup and all below it. None if the cgroup is gone.
    pub fn pids(&self) -> Result<Vec<i32>> {
        kill::pids(self)
    }

    /// Signals every process of the container. SIGKILL also reaches what is frozen and what forks meanwhile. No error
    /// if the cgroup is gone.
    pub async fn signal_all(&self, signal: i32) -> Result<()> {
        kill::signal_all(self, signal).await
    }

    /// Kills every process of the container and removes its cgroups.
    pub async fn end(&self) -> Result<()> {
        self.signal_all(libc::SIGKILL).await?;
        self.remove().await
    }

    /// Removes the cgroups with all below them, and waits (bounded) for processes that are about to be gone. What is
    /// gone already is fine.
    ///
    /// # Errors
    /// Something is left.
    pub async fn remove(&self) -> Result<()> {
        remove::remove(self).await
    }

    /// What the container uses and used.
    pub fn stats(&self) -> Result<Stats> {
        stats::stats(self)
    }

    /// How many processes the kernel has killed in this cgroup because memory ran out; None if nobody counts.
    pub fn oom_kills(&self) -> Option<u64> {
        oom::kills(self)
    }

    /// A descriptor that becomes readable when the kernel kills for memory.
    pub fn oom_watch(&self) -> Result<OomWatch> {
        oom::watch(self)
    }

    /// What a "cgroup" mount in the container consists of: every hierarchy with the container's place in it.
    pub fn views(&self) -> Vec<View> {
        views::views(self)
    }

    /// Gives the cgroup to a user (where all of it is cgroup v2): the directory and the files that the kernel lists in
    /// /sys/kernel/cgroup/delegate.
    pub fn delegate(&self, uid: u32) -> Result<()> {
        delegate::delegate(self, uid)
    }

    fn is_rootless(&self) -> bool {
        self.rootless.unwrap_or_else(Self::is_users)
    }

    /// The node of a v1 controller.
    fn node(&self, controller: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.version == Version::V1 && n.has(controller))
    }

    /// The node in the unified hierarchy.
    fn unified(&self) -> Option<&Node> {
        self.nodes.iter().find(|n| n.version == Version::V2)
    }
}

impl Node {
    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }

    /// Whether what is at the place is the container's.
    fn is_ours(&self) -> bool {
        self.recorded || matches!(self.made.get(), Some(Some(_)))
    }

    /// The container's directory, open. ENOENT where it was not made, or done without.
    fn open(&self) -> nix::Result<Held<'_>> {
        match self.made.get() {
            Some(Some(dir)) => Ok(Held::Made(dir)),
            None if self.recorded => Dir::open(&self.path).map(Held::Opened),
            _ => Err(Errno::ENOENT),
        }
    }
}
