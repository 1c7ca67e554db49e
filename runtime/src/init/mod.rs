//! The child's side of create: from the clone to the gate, as one visible table of steps. A step that fails tells the
//! runtime over the wire, and the process ends; nothing here ever returns to the parent's code.

pub mod console;
pub mod creds;
pub mod criu;
pub mod labels;
pub mod limits;
pub mod procfs;
pub mod program;
mod refusal;
pub mod schedule;
pub mod session;

mod cgroupfs;
mod copy_up;
mod devices;
pub mod enter;
mod filesystem;
mod gate;
pub mod hide;
mod hooks;
mod identity;
mod join;
mod mounts;
mod names;
pub mod root;
mod rootfs;
mod tree;
mod verify;

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use crate::cgroup::{Entry, View};
use crate::error::{Error, Result};
use crate::hook::{Files, Status};
use crate::net;
use crate::net::devices::Device;
use crate::plan::Plan;
use crate::plan::creds::{CapSets, Credentials};
use crate::plan::namespaces::{NET, USER};
use crate::seccomp::Filter;
use crate::spec::Process;
use crate::trace;
use crate::wire;
use procfs::Proc;
use root::Root;
use verify::Mirror;

pub use mounts::open_source;

/// What the parent has prepared for the child, in memory that the child gets a copy of.
pub struct Init<'a> {
    /// What is to be done.
    pub plan: &'a Plan,
    /// The container's id.
    pub id: &'a str,
    /// The process that it is to become.
    pub who: Who<'a>,
    /// What `start` opens.
    pub gate: &'a OwnedFd,
    /// Way into the cgroups.
    pub entry: &'a Entry,
    /// The container's place in each hierarchy, for cgroup mounts.
    pub views: &'a [View],
    /// Bind sources that the parent has opened, by index of the mount.
    pub sources: &'a mut [Option<OwnedFd>],
    /// The host's network devices that it gets.
    pub net_devices: &'a [Device],
    /// Makes the state that hooks read, from a status and a pid.
    pub hook_state: &'a dyn Fn(Status, i32) -> Result<Vec<u8>>,
    /// Where hooks print.
    pub hook_files: &'a Files,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// What the steps hand to one another.
    pub made: Made,
}

/// Who a process is to be, of a container's first process and of an exec alike.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// What config.json or exec says of it.
    pub process: &'a Process,
    /// Ids and capabilities.
    pub credentials: &'a Credentials,
    /// The compiled filter.
    pub filter: Option<&'a Filter>,
    /// Way to the runtime.
    pub wire: &'a wire::Child,
    /// How many descriptors from 3 up belong to it.
    pub preserve_fds: i32,
    /// Its standard input, output and error; none: those that are there.
    pub stdio: Option<&'a [OwnedFd; 3]>,
    /// A container's first process: its terminal is also the container's console.
    pub first: bool,
}

/// The program that a process becomes.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    env: Vec<String>,
}

impl Program {
    /// Its path, for a message.
    fn shown(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}

impl Who<'_> {
    /// Looks the program up as the user finds it.
    fn program(&self) -> Result<Program> {
        let env = program::environment(&self.process.env, self.credentials.uid)?;
        let name = self.process.args.first().map_or("", String::as_str);
        Ok(Program { path: program::find(name, &env)?, env })
    }

    /// Becomes the program; comes back only when that fails.
    fn execute(&self, program: &Program) -> Error {
        program::execute(&program.path, &self.process.args, &program.env)
    }
}

/// A step needs what an earlier one makes, which the table says otherwise.
const TOO_EARLY: &str = "a step of init came before one that it needs";

/// What steps leave for later ones.
#[derive(Debug, Default)]
pub struct Made {
    /// The root mount.
    pub root: Option<Root>,
    /// A procfs of our own.
    pub proc: Option<Proc>,
    /// Mounts that become read-only when all is in place.
    pub readonly_later: Vec<OwnedFd>,
    /// The device of what covers masked paths.
    pub cover: Option<u64>,
    /// The process's view of itself, until it is verified.
    pub mirror: Option<Mirror>,
    /// What capabilities it was given.
    pub granted: Option<CapSets>,
    /// This process's pid as the runtime sees it.
    pub pid: i32,
    /// The program, looked up.
    pub program: Option<Program>,
}

/// One step: its name in errors and traces, and what it does.
type Step = (&'static str, fn(&mut Init<'_>) -> Result<()>);

/// From the clone to the program, in order.
const CREATE: &[Step] = &[
    ("join", join::join),
    ("session", session),
    ("network", network),
    ("rootfs", tree::build),
    ("hooks", hooks::before_pivot),
    // Before /proc/sys is made read-only, through the same procfs.
    ("names", tree::names),
    ("hide", tree::hide),
    ("console", |init| identity::terminal(&init.who, init.root()?)),
    ("pivot", tree::pivot),
    ("purge", purge),
    // While there are the rights to see all of it.
    ("inspect", |init| verify::mounts(init.plan, init.made.cover)),
    ("schedule", scheduling),
    ("identity", become_user),
    ("program", program),
    ("verify", verified),
    ("ready", gate::ready),
    ("gate", gate::wait),
    ("exec", gate::exec),
];

/// Runs the table. Comes back only when a step has failed, which the runtime has been told.
pub fn run(mut init: Init<'_>) -> Error {
    for (name, step) in CREATE {
        log::debug!("init: {name}");
        let _span = trace::span(name);
        if let Err(error) = step(&mut init) {
            gate::report(&init, &error);
            // The descriptors behind the plan may be closed by now: nothing may be dropped.
            std::mem::forget(init);
            return error;
        }
    }
    Error::invalid("the table of init ends without an exec")
}

/// A session and a keyring of its own, and all CPUs.
fn session(init: &mut Init<'_>) -> Result<()> {
    // The wording is runc's: scripts look for it.
    log::debug!("child process in init(), in its namespaces and cgroups");
    init.who.stdio.map_or(Ok(()), session::take_stdio)?;
    session::new_session()?;
    schedule::reset_affinity();
    if !init.no_new_keyring {
        if let Some(label) = &init.who.process.selinux_label {
            labels::selinux_key(init.proc()?, label)?;
        }
        let user_namespace = init.plan.namespaces.private(USER);
        session::join_keyring(init.id, session::Keyring::Init { user_namespace })?;
    }
    Ok(())
}

/// Limits, and what the process asks of the scheduler: after the last fork, while there are rights.
fn scheduling(init: &mut Init<'_>) -> Result<()> {
    limits::set_own(&init.who.process.rlimits, init.plan.namespaces.private(USER))?;
    schedule::apply(init.who.process, &init.plan.linux())
}

/// The loopback device of a new network namespace, and the devices that the runtime moves in.
fn network(init: &mut Init<'_>) -> Result<()> {
    if init.plan.namespaces.new & NET != 0 {
        net::loopback_up()?;
    }
    if !init.net_devices.is_empty() {
        init.who.wire.network()?;
        net::devices::set_up(init.net_devices)?;
    }
    Ok(())
}

/// Closes everything of the runtime's before a path of the container is walked by name.
fn purge(init: &mut Init<'_>) -> Result<()> {
    if identity::needs_proc(&init.who) {
        init.proc()?;
    }
    let mut keep = vec![init.who.wire.fd().as_raw_fd(), init.gate.as_raw_fd()];
    let Some(mirror) = &mut init.made.mirror else { return Err(Error::invalid(TOO_EARLY)) };
    keep.extend(init.made.proc.iter().map(AsRawFd::as_raw_fd));
    if init.plan.spec.hooks.as_ref().is_some_and(|hooks| hooks.start_container().is_some()) {
        keep.extend(init.hook_files.numbers());
    }
    // Closed below: its owner must not close the number again when it may be somebody else's.
    std::mem::forget(init.made.root.take());
    identity::purge(&init.who, mirror, keep)
}

/// Takes rights away; what is left of them is known from here on.
fn become_user(init: &mut Init<'_>) -> Result<()> {
    init.made.granted = Some(identity::become_user(&init.who, init.made.proc.as_ref())?);
    Ok(())
}

/// Sees that the process is who it was to become.
fn verified(init: &mut Init<'_>) -> Result<()> {
    match (init.made.mirror.take(), &init.made.granted) {
        (Some(mirror), Some(granted)) => identity::verify(&init.who, mirror, granted),
        _ => Err(Error::invalid(TOO_EARLY)),
    }
}

/// Looks the program up as the user will find it.
fn program(init: &mut Init<'_>) -> Result<()> {
    init.made.program = Some(init.who.program()?);
    Ok(())
}

impl Init<'_> {
    /// The root mount; there from the rootfs step on.
    fn root(&self) -> Result<&Root> {
        self.made.root.as_ref().ok_or_else(|| Error::invalid(TOO_EARLY))
    }

    /// A procfs of our own that nothing of the container can cover: the container's first, else a private one.
    fn proc(&mut self) -> Result<&Proc> {
        if self.made.proc.is_none() {
            self.made.proc = Some(Proc::private()?);
        }
        self.made.proc.as_ref().ok_or_else(|| Error::invalid("no procfs"))
    }
}
