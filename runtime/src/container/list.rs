//! All containers below one root. One that cannot be read is a warning, never the end of the list.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{Uid, User};

use super::Runtime;
use super::id::Id;
use super::state::{Container, Dir, OciState};
use crate::error::{Kind, OrFail, Result};

/// The state of every container, by name of its directory.
///
/// # Errors
/// The root cannot be read. If it is not there, the kind is [`Kind::NotFound`]; whether that means "none" is for the
/// caller to say, who knows if the user named it.
pub fn list(runtime: &Runtime) -> Result<Vec<OciState>> {
    let root = &runtime.root;
    let entries = std::fs::read_dir(root)
        .or_fail("open", || format!("read state root {}", root.display()))
        .map_err(|e| {
        if e.errno() == Some(nix::errno::Errno::ENOENT) { e.of_kind(Kind::NotFound) } else { e }
    })?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.or_fail("getdents64", || format!("read state root {}", root.display()))?;
        if entry.file_type().is_ok_and(|typ| typ.is_dir()) {
            names.push(entry.file_name());
        }
    }
    names.sort();
    let mut owners = Owners::default();
    let mut states = Vec::with_capacity(names.len());
    for name in names {
        // What is not named like a container is not ours.
        let Some(id) = name.to_str().and_then(|name| Id::parse(name).ok()) else { continue };
        match one(runtime, &id, &mut owners) {
            Ok(Some(state)) => states.push(state),
            Ok(None) => {}
            Err(error) => log::warn!("load container {id}: {error}"),
        }
    }
    Ok(states)
}

/// One container; `None` if it is being made or was deleted meanwhile.
fn one(runtime: &Runtime, id: &Id, owners: &mut Owners) -> Result<Option<OciState>> {
    let container = match Container::load(runtime, id) {
        Err(error) if error.kind() == Kind::NotFound => {
            return if is_left_over(runtime, id) { Err(error) } else { Ok(None) };
        }
        other => other?,
    };
    let mut state = container.oci_state()?;
    let path = container.dir.path();
    match std::fs::symlink_metadata(path) {
        Ok(meta) => state.owner = owners.name(meta.uid()),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        Err(error) => return Err(error).or_fail("lstat", || format!("find the owner of {}", path.display())),
    }
    Ok(Some(state))
}

/// A directory without state.json whose creator is gone.
fn is_left_over(runtime: &Runtime, id: &Id) -> bool {
    let Ok(dir) = Dir::open(runtime, id) else { return false };
    match dir.intent() {
        Ok(Some(intent)) => !intent.creator.is_alive().unwrap_or(true),
        Ok(None) | Err(_) => true,
    }
}

/// User names by id; each is looked up once.
#[derive(Default)]
struct Owners(HashMap<u32, String>);

impl Owners {
    fn name(&mut self, uid: u32) -> String {
        let look_up = || match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => user.name,
            Ok(None) | Err(_) => format!("#{uid}"),
        };
        self.0.entry(uid).or_insert_with(look_up).clone()
    }
}
