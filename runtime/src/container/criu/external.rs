//! The mounts of a container that CRIU leaves to the runtime, since what is mounted there lies outside: bind mounts,
//! cgroups, covers of masked paths. An image knows each by a name, by which a restore says what is to be mounted.
//! Only names; nothing is mounted here.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::cgroup::{Version, View};
use crate::error::{Error, OrFail, Result};
use crate::init::root::{Root, is_directory};
use crate::plan::Plan;
use crate::plan::mounts::{Kind, clean};
use crate::plan::namespaces::{CGROUP, USER};
use crate::sys::fs::fd_path;

/// The names of every masked file and directory.
const MASKED: [&str; 2] = ["masked-file", "masked-directory"];

/// What runc calls every masked file, after what it covers them with.
const MASKED_BY_RUNC: &str = "/dev/null";

/// What masked paths are covered with in a restored container.
#[derive(Clone, Copy, Debug)]
pub struct Covers<'a> {
    /// An empty file.
    pub file: &'a Path,
    /// An empty directory.
    pub directory: &'a Path,
}

/// One mount: where it is in the container, as config.json says it, and what is there.
struct Place {
    target: PathBuf,
    source: PathBuf,
}

/// All but the masked ones. Both sides name them by their target.
fn places(plan: &Plan, views: &[View]) -> Vec<Place> {
    let mut places = Vec::new();
    for mount in &plan.mounts {
        match &mount.kind {
            Kind::Bind { source, .. } => {
                places.push(Place { target: mount.target.clone(), source: source.clone() });
            }
            // In a cgroup namespace, and with v2, these are mounts of their own, which CRIU makes anew.
            Kind::Cgroup if !plan.namespaces.private(CGROUP) => {
                places.extend(views.iter().filter(|view| view.version == Version::V1).map(|view| Place {
                    target: mount.target.join(&view.name),
                    source: PathBuf::from(&view.path),
                }));
            }
            Kind::Cgroup | Kind::Fs { .. } => {}
        }
    }
    if plan.namespaces.private(USER) {
        let devices = plan.devices.iter().flatten();
        places.extend(
            devices.map(|device| Place {
                target: device.path.clone(),
                source: Path::new("/").join(&device.path),
            }),
        );
    }
    places
}

/// Refuses a container with a mount that can't come back as it was.
pub fn check(plan: &Plan) -> Result<()> {
    match plan.mounts.iter().find(|mount| mount.is_idmapped()) {
        None => Ok(()),
        Some(mount) => Err(Error::invalid(format!(
            "mount \"/{}\" has its ids mapped, which CRIU can't restore",
            mount.target.display()
        ))),
    }
}

/// For a dump: `mnt[where it is]:name` of each, with links on the way resolved in the container whose root is `root`.
pub fn of_dump(plan: &Plan, views: &[View], root: &Root) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for Place { target, .. } in places(plan, views) {
        if let Some(found) = find(root, &target)? {
            all.push(word(&mount_point(&found)?, &name(&target)));
        }
    }
    for path in &plan.linux().masked_paths {
        let path = clean(Path::new(path));
        if let Some(found) = find(root, &path)? {
            let name = MASKED[usize::from(is_directory(&found, &path)?)];
            all.push(word(&mount_point(&found)?, Path::new(name)));
        }
    }
    Ok(all)
}

/// For a restore: `mnt[name]:what is to be mounted` of each.
pub fn of_restore(plan: &Plan, views: &[View], covers: Covers<'_>) -> Vec<Vec<u8>> {
    let mut all: Vec<_> =
        places(plan, views).iter().map(|place| word(&name(&place.target), &place.source)).collect();
    let [file, directory] = MASKED.map(Path::new);
    all.extend([word(file, covers.file), word(directory, covers.directory)]);
    // In a user namespace that is a device, and runc's masks are covered with it.
    if !plan.namespaces.private(USER) {
        all.push(word(Path::new(MASKED_BY_RUNC), covers.file));
    }
    all
}

fn name(target: &Path) -> PathBuf {
    Path::new("/").join(target)
}

fn word(key: &Path, value: &Path) -> Vec<u8> {
    [b"mnt[", key.as_os_str().as_bytes(), b"]:", value.as_os_str().as_bytes()].concat()
}

/// What is there in the container, if something is.
fn find(root: &Root, path: &Path) -> Result<Option<OwnedFd>> {
    match root.open(path, OFlag::O_PATH) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(errno) => {
            Err(Error::os("openat2", errno, format!("find \"/{}\" in the container", path.display())))
        }
    }
}

/// Where an open file is in its own mount namespace: the kernel shows paths of other namespaces from their own root.
fn mount_point(fd: &OwnedFd) -> Result<PathBuf> {
    std::fs::read_link(fd_path(fd)).or_fail("readlink", || "find a mount in the container")
}
