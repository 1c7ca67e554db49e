//! What a hook reads: the moment of the container's life that it runs in, and the state as JSON. It knows nothing of
//! where a container is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::spec::OCI_VERSION;

/// A moment of a container's life (runtime-spec, runtime.md#state, and "paused").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made; only hooks get to see this.
    Creating,
    /// Its init waits for `start`.
    Created,
    /// Its process runs.
    Running,
    /// All its processes are frozen.
    Paused,
    /// Its init is gone.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// The state as hooks and seccomp agents get it (runtime-spec, runtime.md#state).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HookState<'a> {
    #[serde(rename = "ociVersion")]
    oci_version: &'static str,
    id: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_empty(map: &&BTreeMap<String, String>) -> bool {
    map.is_empty()
}

impl<'a> HookState<'a> {
    /// The state at one moment. A `pid` of 0 is left out: there is no process.
    pub fn new(
        id: &'a str,
        status: Status,
        pid: i32,
        bundle: &'a Path,
        annotations: &'a BTreeMap<String, String>,
    ) -> Self {
        let pid = (pid != 0).then_some(pid);
        Self { oci_version: OCI_VERSION, id, status, pid, bundle, annotations }
    }

    /// As JSON, one line.
    ///
    /// # Errors
    /// The bundle's path is not UTF-8.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|e| Error::invalid(format!("write state of container {:?}: {e}", self.id)))
    }
}
