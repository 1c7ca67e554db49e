//! A container that is there: what is on disk, and the status that follows from the world as it is now. The status is
//! never stored, and nothing here changes the container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use super::dir::{Dir, Intent};
pub use super::record::{Flags, LaterHooks, State};
pub use crate::hook::{HookState, Status};

use super::Runtime;
use super::id::Id;
use crate::error::{OrFail, Result};
use crate::spec::{OCI_VERSION, Spec};

/// A container with its state as it was read.
#[derive(Clone, Debug)]
pub struct Container {
    /// Where it is kept.
    pub dir: Dir,
    /// What state.json says.
    pub state: State,
}

impl Container {
    /// Finds a container.
    ///
    /// # Errors
    /// [`crate::error::Kind::NotFound`] if there is none, or it is not made yet; [`crate::error::Kind::State`] if its
    /// state.json is damaged.
    pub fn load(runtime: &Runtime, id: &Id) -> Result<Self> {
        let dir = Dir::open(runtime, id)?;
        let state = dir.state()?;
        Ok(Self { dir, state })
    }

    /// What it is doing now.
    ///
    /// # Errors
    /// /proc or the cgroup cannot be read.
    pub fn status(&self) -> Result<Status> {
        // Before the freezer: a cgroup v2 stays "frozen" when all in it were killed.
        if !self.state.init.is_alive()? {
            return Ok(Status::Stopped);
        }
        if is_frozen(&self.state.cgroup_paths)? {
            return Ok(Status::Paused);
        }
        let fifo = self.dir.fifo();
        let waits = fifo.try_exists().or_fail("stat", || format!("find {}", fifo.display()))?;
        Ok(if waits { Status::Created } else { Status::Running })
    }

    /// What `state` prints.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn oci_state(&self) -> Result<OciState> {
        let status = self.status()?;
        let state = &self.state;
        Ok(OciState {
            oci_version: OCI_VERSION,
            id: state.id.as_str().to_owned(),
            pid: if status == Status::Stopped { 0 } else { state.init.pid },
            status,
            bundle: state.bundle.clone(),
            rootfs: state.rootfs.clone(),
            created: state.created.clone(),
            annotations: state.annotations.clone(),
            owner: String::new(),
        })
    }

    /// The configuration it was made with, or last updated to.
    ///
    /// # Errors
    /// As [`Dir::config`].
    pub fn config(&self) -> Result<Spec> {
        self.dir.config()
    }

    /// Keeps a changed configuration (`update`).
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn replace_config(&self, spec: &Spec) -> Result<()> {
        let json = serde_json::to_vec(spec).map_err(|e| {
            crate::error::Error::invalid(format!("write config of container {:?}: {e}", self.state.id))
        })?;
        self.dir.write_config(&json)?;
        self.dir.write_state(&self.state, spec)
    }

    /// What a hook of this container gets on its standard input.
    pub fn hook_state(&self, status: Status, pid: i32) -> HookState<'_> {
        let State { id, bundle, annotations, .. } = &self.state;
        HookState::new(id.as_str(), status, pid, bundle, annotations)
    }
}

/// What `state` and `list` print: the runtime-spec's state and runc's additions, in runc's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OciState {
    /// The runtime-spec that this follows, not the bundle's.
    #[serde(rename = "ociVersion")]
    pub oci_version: &'static str,
    /// The container.
    pub id: String,
    /// Its init; 0 when stopped.
    pub pid: i32,
    /// What it is doing.
    pub status: Status,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// The root file system.
    pub rootfs: PathBuf,
    /// When it was made.
    pub created: String,
    /// config.json's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Whose it is; only `list` fills it in.
    pub owner: String,
}

/// Whether the container's cgroup is frozen or about to be. A cgroup that is gone is not.
fn is_frozen(cgroups: &BTreeMap<String, String>) -> Result<bool> {
    let file = match (cgroups.get("freezer"), cgroups.get("")) {
        (Some(v1), _) => Path::new(v1).join("freezer.state"),
        (None, Some(v2)) => Path::new(v2).join("cgroup.freeze"),
        (None, None) => return Ok(false),
    };
    match std::fs::read(&file) {
        Ok(word) => Ok(matches!(word.trim_ascii(), b"FROZEN" | b"FREEZING" | b"1")),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(false),
        Err(error) => Err(error).or_fail("read", || format!("read {}", file.display())),
    }
}

#[cfg(test)]
#[path = "state_test.rs"]
mod tests;
