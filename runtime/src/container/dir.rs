//! A container's state directory, `<root>/<id>/`: made by mkdir, which is the lock, and filled file by file, each by
//! rename. Readers see a whole file or none; nothing here waits for a disk, since the root lies on tmpfs and dies with
//! the boot.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::UnlinkatFlags;
use serde::{Deserialize, Serialize};

use super::Runtime;
use super::id::Id;
use super::process::ProcessId;
use super::record::State;
use crate::cgroup::Unit;
use crate::error::{Error, Kind, OrFail, Result};
use crate::resctrl;
use crate::spec::{self, Spec};

const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
const INTENT: &str = "intent.json";
const FIFO: &str = "exec.fifo";

/// No file of ours is larger; a larger one is not ours.
const MAX_FILE: u64 = 64 << 20;

/// A container's state directory.
#[derive(Clone, Debug)]
pub struct Dir {
    path: PathBuf,
    id: Id,
}

/// What is about to be done for a container, written before any of it is done: from this alone everything can be
/// cleaned up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Intent {
    /// The process that makes the container.
    pub creator: ProcessId,
    /// The container's init, once it is born.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<ProcessId>,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// Controller → cgroup that is going to be made, absolute; "" is the unified hierarchy.
    pub cgroup_paths: BTreeMap<String, String>,
    /// The cgroup is going to be a systemd unit of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd_unit: Option<String>,
    /// The manager of that unit is the user's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub systemd_user: bool,
    /// The resctrl group that is going to be made, for this container alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt_path: Option<PathBuf>,
    /// The resctrl monitoring group that is going to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intel_rdt_mon_path: Option<PathBuf>,
}

impl Intent {
    /// What this process is about to make.
    pub fn now(bundle: &Path, cgroup_paths: BTreeMap<String, String>, unit: Option<&Unit>) -> Result<Self> {
        Ok(Self {
            creator: ProcessId::own()?,
            init: None,
            bundle: bundle.to_owned(),
            cgroup_paths,
            systemd_unit: unit.map(|unit| unit.name.clone()),
            systemd_user: unit.is_some_and(|unit| unit.user),
            intel_rdt_path: None,
            intel_rdt_mon_path: None,
        })
    }

    /// Removes the resctrl groups that were made for the container.
    pub fn remove_resctrl(&self) -> Result<()> {
        [&self.intel_rdt_mon_path, &self.intel_rdt_path]
            .into_iter()
            .flatten()
            .try_for_each(|path| resctrl::remove(path))
    }

    /// The unit of systemd that the cgroup belongs to.
    pub fn unit(&self) -> Option<Unit> {
        self.systemd_unit.clone().map(|name| Unit::known(name, self.systemd_user))
    }
}

impl Dir {
    /// Makes the directory of a new container, and the root if it is not there yet.
    ///
    /// # Errors
    /// [`Kind::Exists`] if there is a container of that id, or what is left of one.
    pub fn create(runtime: &Runtime, id: &Id) -> Result<Self> {
        let dir = Self { path: runtime.root.join(id.as_str()), id: id.clone() };
        // 0711 as in runc: with a user namespace, the container's root walks through it to its own files.
        let mkdir = || DirBuilder::new().mode(0o711).create(&dir.path);
        let made = match mkdir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new()
                    .mode(if mutant!("state-mode") { 0o755 } else { 0o700 })
                    .recursive(true)
                    .create(&runtime.root)
                    .or_fail("mkdir", || format!("create state root {}", runtime.root.display()))?;
                mkdir()
            }
            other => other,
        };
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::new(Kind::Exists, "container with given ID already exists")
                    .hint(format!("delete {id} or use another id")))
            }
            other => other
                .or_fail("mkdir", || format!("create state directory {}", dir.path.display()))
                .map(|()| dir),
        }
    }

    /// The directory of a container that is there, complete or not.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if it is not.
    pub fn open(runtime: &Runtime, id: &Id) -> Result<Self> {
        let dir = Self { path: runtime.root.join(id.as_str()), id: id.clone() };
        match std::fs::symlink_metadata(&dir.path) {
            Ok(meta) if meta.is_dir() => Ok(dir),
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => {
                Err(error).or_fail("lstat", || format!("find state directory {}", dir.path.display()))
            }
            _ => Err(not_found()),
        }
    }

    /// The container.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The gate that a created container waits at. It is there as long as the container has not been started.
    pub fn fifo(&self) -> PathBuf {
        self.path.join(FIFO)
    }

    /// Writes what is going to be done.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_intent(&self, intent: &Intent) -> Result<()> {
        let json = serde_json::to_vec(intent).map_err(|e| Error::invalid(format!("write intent: {e}")))?;
        self.write(INTENT, &json)
    }

    /// What was going to be done; `None` if nothing was.
    ///
    /// # Errors
    /// The file is there and cannot be understood.
    pub fn intent(&self) -> Result<Option<Intent>> {
        let Some(json) = self.read(INTENT)? else { return Ok(None) };
        serde_json::from_slice(&json).map(Some).map_err(|e| self.damaged(INTENT, &e.to_string()))
    }

    /// Keeps config.json, byte for byte.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_config(&self, json: &[u8]) -> Result<()> {
        self.write(CONFIG, json)
    }

    /// The configuration that the container was made with, or that it was last updated to.
    ///
    /// # Errors
    /// It is not there (another runtime made the container), or cannot be understood.
    pub fn config(&self) -> Result<Spec> {
        match self.read(CONFIG)? {
            Some(json) => spec::parse(&json).map_err(|e| self.damaged(CONFIG, &e.to_string())),
            None => Err(self.damaged(CONFIG, "not there: the container was made by another runtime")),
        }
    }

    /// Writes state.json.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_state(&self, state: &State, spec: &Spec) -> Result<()> {
        self.write(STATE, &state.to_json(spec)?)
    }

    /// Whether there is a state.json, whatever is in it.
    pub fn has_state(&self) -> bool {
        self.path.join(STATE).symlink_metadata().is_ok()
    }

    /// Reads state.json.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if it is not there (yet), [`Kind::State`] if it is damaged or another container's.
    pub fn state(&self) -> Result<State> {
        let json = self.read(STATE)?.ok_or_else(not_found)?;
        let state = State::from_json(&json).map_err(|e| self.damaged(STATE, &e.to_string()))?;
        if state.id != self.id {
            return Err(self.damaged(STATE, &format!("it is the state of {:?}", state.id.as_str())));
        }
        Ok(state)
    }

    /// Removes the directory and all in it. The id is free when this returns.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn remove(&self) -> Result<()> {
        // What is always there goes by name; then there is most often nothing left to look for.
        for name in [STATE, CONFIG, INTENT] {
            let _ = nix::unistd::unlink(&self.path.join(name));
        }
        if nix::unistd::unlinkat(nix::fcntl::AT_FDCWD, &self.path, UnlinkatFlags::RemoveDir).is_ok() {
            return Ok(());
        }
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.or_fail("unlink", || format!("remove state directory {}", self.path.display())),
        }
    }

    /// Puts a whole file in the place of another by rename. Its temporary name has our pid, so that two writers never
    /// write into one file.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let target = self.path.join(name);
        let temporary = self.path.join(format!(".{name}.{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(bytes)?;
            drop(file);
            std::fs::rename(&temporary, &target)
        };
        write()
            .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
            .or_fail("write", || format!("write {}", target.display()))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        let read = || -> io::Result<Vec<u8>> {
            let file = File::open(&path)?;
            let size = usize::try_from(file.metadata()?.len().min(MAX_FILE)).unwrap_or(0);
            let mut bytes = Vec::with_capacity(size + 1);
            file.take(MAX_FILE).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
            Err(error) => Err(error).or_fail("read", || format!("read {}", path.display())),
        }
    }

    fn damaged(&self, name: &str, why: &str) -> Error {
        Error::new(Kind::State, format!("read {}: {why}", self.path.join(name).display()))
            .hint(format!("delete --force {} removes what is left of the container", self.id))
    }
}

fn not_found() -> Error {
    Error::new(Kind::NotFound, "container does not exist")
}
