//! CRIU (man 8 criu), by which checkpoint and restore are done: what both of them say to it. Knows nothing of the one
//! container or of the state directory.

mod directories;
pub mod external;
pub mod message;
pub mod request;
mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::plan::namespaces::{NET, PID};
pub use directories::Directories;
pub use session::{Criu, Notice, Progress, Start};

/// The file that CRIU takes more options from; it overrides all others (criu.conf, runc's name for it).
const CONFIG_FILE: &str = "/etc/criu/runc.conf";

/// The annotation that names another file, or with no value none.
const CONFIG_ANNOTATION: &str = "org.criu.config";

/// Joined namespaces that a checkpoint leaves out and a restore hands to CRIU: the flag, CRIU's name for the kind, and
/// the key by which both mean the same (runc's).
pub const EXTERNAL_NAMESPACES: [(u64, &str, &str); 2] =
    [(NET, "net", "extRootNetNS"), (PID, "pid", "extRootPidNS")];

/// What checkpoint and restore both let CRIU know.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of CRIU's own")]
pub struct CriuOptions {
    /// The program; else `criu` is looked for in $PATH.
    pub program: Option<PathBuf>,
    /// The directory of the images.
    pub image_path: PathBuf,
    /// The directory of logs and other files; else that of the images.
    pub work_path: Option<PathBuf>,
    /// Established TCP connections are kept.
    pub tcp_established: bool,
    /// Unix sockets whose other end is outside are allowed.
    pub ext_unix_sk: bool,
    /// The session's leader may be outside.
    pub shell_job: bool,
    /// File locks are kept.
    pub file_locks: bool,
    /// Images of memory are freed of what a later one has too.
    pub auto_dedup: bool,
    /// Memory is copied when it is used.
    pub lazy_pages: bool,
    /// What CRIU does about cgroups.
    pub cgroups_mode: CgroupsMode,
}

/// What CRIU does about cgroups (man 8 criu, `--manage-cgroups`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupsMode {
    /// As CRIU thinks best: soft.
    #[default]
    Default,
    /// Nothing.
    Ignore,
    /// Properties are set where CRIU has made the cgroup.
    Soft,
    /// Properties are always set.
    Full,
    /// As soft, and a cgroup that is there already is an error.
    Strict,
}

/// The file of an annotation or the default one.
pub fn config_file(annotations: &BTreeMap<String, String>) -> Option<&str> {
    match annotations.get(CONFIG_ANNOTATION) {
        Some(file) => Some(file.as_str()).filter(|file| !file.is_empty()),
        None => Some(CONFIG_FILE),
    }
}
