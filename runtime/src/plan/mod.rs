//! config.json → what will be done. Pure: no system call, so that every decision can be tested as a table.

pub mod annotations;
mod caps;
pub mod devices;
pub mod mounts;
pub mod namespaces;
pub mod options;
mod owner;
pub mod schedule;

use std::path::{Path, PathBuf};

use nix::mount::MsFlags;

use crate::error::{Error, Result};
use crate::spec::{Linux, Process, Spec, oci};

/// A container, decided.
#[derive(Debug)]
pub struct Plan {
    /// config.json, for what needs no decision.
    pub spec: Spec,
    /// The process; config.json must have one.
    pub process: Process,
    /// Namespaces to make and to join.
    pub namespaces: namespaces::Namespaces,
    /// How the process gets there.
    pub route: namespaces::Route,
    /// The root mount.
    pub rootfs: Rootfs,
    /// Mounts, in order.
    pub mounts: Vec<mounts::Mount>,
    /// Device nodes; none when a mount brings the whole /dev.
    pub devices: Option<Vec<devices::Device>>,
    /// Who the process is.
    pub credentials: creds::Credentials,
}

pub mod creds;

/// The root mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rootfs {
    /// Absolute path on the host.
    pub path: PathBuf,
    /// Make it read-only at the end.
    pub readonly: bool,
    /// What config.json asks of the container's root.
    pub propagation: Option<MsFlags>,
    /// MS_MOVE and chroot instead of pivot_root.
    pub no_pivot: bool,
}

impl Rootfs {
    /// What the copied host tree becomes before anything is mounted in it: a slave, so that the host's later mounts
    /// still arrive where the container wants them, unless the container asked to be cut off.
    pub fn old_root_propagation(&self) -> MsFlags {
        let private = self.propagation.is_some_and(|flags| flags.contains(MsFlags::MS_PRIVATE));
        (if private { MsFlags::MS_PRIVATE } else { MsFlags::MS_SLAVE }) | MsFlags::MS_REC
    }
}

impl Plan {
    /// Decides everything that follows from config.json and the caller's options. `bundle` is absolute.
    pub fn decide(spec: Spec, bundle: &Path, no_pivot: bool) -> Result<Self> {
        let none = Linux::default();
        let linux = spec.linux.as_ref().unwrap_or(&none);
        let namespaces = namespaces::Namespaces::decide(&linux.namespaces);
        let label = linux.mount_label.as_deref();
        let rootfs = decide_rootfs(spec.root.as_ref(), linux, bundle, no_pivot)?;
        let mounts = spec
            .mounts
            .iter()
            .map(|m| mounts::Mount::decide(m, bundle, &rootfs.path, label))
            .collect::<Result<Vec<_>>>()?;
        let devices = if mounts.iter().any(mounts::Mount::replaces_dev) {
            None
        } else {
            Some(devices::decide(&linux.devices)?)
        };
        let route = namespaces::Route::decide(&namespaces);
        let process = spec
            .process
            .clone()
            .ok_or_else(|| Error::invalid("process: is missing").hint("add it to config.json"))?;
        let mut credentials = creds::Credentials::decide(&process)?;
        credentials.keep_groups = annotations::keeps_groups(&spec.annotations);
        schedule::Schedule::decide(&process, linux)?;
        Ok(Self { spec, process, namespaces, route, rootfs, mounts, devices, credentials })
    }

    /// `linux` of config.json, empty if it has none.
    pub fn linux(&self) -> std::borrow::Cow<'_, Linux> {
        match &self.spec.linux {
            Some(linux) => std::borrow::Cow::Borrowed(linux),
            None => std::borrow::Cow::Owned(Linux::default()),
        }
    }
}

fn decide_rootfs(root: Option<&oci::Root>, linux: &Linux, bundle: &Path, no_pivot: bool) -> Result<Rootfs> {
    let root = root.ok_or_else(|| Error::invalid("root: is missing").hint("add root.path to config.json"))?;
    let propagation = match linux.rootfs_propagation.as_deref() {
        None | Some("") => None,
        Some(word) => Some(options::propagation(word).map(MsFlags::from_bits_truncate).ok_or_else(|| {
            Error::invalid(format!("linux.rootfsPropagation: unknown word {word:?}"))
                .hint("use one of private, rprivate, slave, rslave, shared, rshared, unbindable, runbindable")
        })?),
    };
    Ok(Rootfs {
        path: bundle.join(root.path()),
        readonly: root.readonly().unwrap_or(false),
        propagation,
        no_pivot,
    })
}
