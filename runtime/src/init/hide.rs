//! Masked and read-only paths. A masked path is covered by an object of our own on a sealed, read-only tmpfs, never by
//! the container's /dev/null (CVE-2025-31133); everything is attached by descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};

use super::root::{Root, is_directory, shown, stat};
use super::rootfs::host_directory;
use crate::error::{Error, OrFail, Result};
use crate::plan::mounts::clean;
use crate::sys::mount::{
    Attr, attach, clone_tree, fsconfig_create, fsconfig_string, fsmount, fsopen, set_attr,
};

/// Makes each path read-only, with everything below it. A path that is not there is passed over, as the spec wants.
pub fn readonly(root: &Root, paths: &[String]) -> Result<()> {
    let attr = Attr { set: libc::MOUNT_ATTR_RDONLY, ..Attr::default() };
    for path in paths {
        let path = clean(Path::new(path));
        let failed = || shown("make read-only", &path);
        let Some(target) = found(root, &path)? else { continue };
        let copy = clone_tree(&target, Path::new(""), true).or_fail("open_tree", failed)?;
        if !mutant!("readonly") {
            set_attr(&copy, attr, true).or_fail("mount_setattr", failed)?;
        }
        attach(&copy, &target).or_fail("move_mount", failed)?;
    }
    Ok(())
}

fn found(root: &Root, path: &Path) -> Result<Option<OwnedFd>> {
    match root.open(path, OFlag::O_PATH) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(errno) => Err(Error::os("openat2", errno, shown("open", path))),
    }
}

/// Covers each path: a file with an empty file, a directory with an empty directory. Gives the device of what covers
/// them, by which it is known; none if nothing is covered.
pub fn mask(root: &Root, paths: &[String]) -> Result<Option<u64>> {
    let mut cover: Option<Cover> = None;
    for path in paths {
        let path = clean(Path::new(path));
        let Some(target) = found(root, &path)? else { continue };
        let directory = is_directory(&target, &path)?;
        if cover.is_none() {
            cover = Some(Cover::make()?);
        }
        let Some(cover) = &cover else { continue };
        let failed = || shown("mask", &path);
        // A path that is named twice is covered already.
        if stat(&target).or_fail("fstat", failed)?.st_dev == cover.device {
            continue;
        }
        let name = if directory { DIRECTORY } else { FILE };
        let copy = if mutant!("mask") && !directory {
            clone_tree(root.fd(), Path::new("dev/null"), false)
        } else {
            clone_tree(&cover.mount, Path::new(name), false)
        }
        .or_fail("open_tree", failed)?;
        attach(&copy, &target).or_fail("move_mount", failed)?;
    }
    Ok(cover.map(|cover| cover.device))
}

/// The empty file among the covers.
pub const FILE: &str = "file";
/// The empty directory.
pub const DIRECTORY: &str = "directory";

/// Mounts the covers on `place`: for CRIU, which wants a path to what it mounts.
pub fn covers_at(place: &OwnedFd) -> Result<()> {
    let mount = make_covers()?;
    attach(&mount, place).or_fail("move_mount", || "mount the covers for masked paths")
}

/// A tmpfs with one empty file and one empty directory, read-only.
///
/// Before kernel 6.15 only an attached mount can be cloned, so it is attached in the copy of the host's tree that this
/// process is about to drop, where only this process can see it.
struct Cover {
    mount: OwnedFd,
    /// By which what it covers is known.
    device: u64,
}

impl Cover {
    fn make() -> Result<Self> {
        let failed = || "make the cover for masked paths";
        let mount = make_covers()?;
        let place = ["/sys", "/dev", "/tmp"].iter().find_map(|path| host_directory(Path::new(path)).ok());
        let place = place.ok_or_else(|| {
            Error::new(crate::error::Kind::Host, "mask paths: the host has neither /sys nor /dev nor /tmp")
        })?;
        attach(mount.as_fd(), place.as_fd()).or_fail("move_mount", failed)?;
        let device = stat(&mount).or_fail("fstat", failed)?.st_dev;
        Ok(Self { mount, device })
    }
}

/// The sealed tmpfs, detached.
fn make_covers() -> Result<OwnedFd> {
    let failed = || "make the cover for masked paths";
    let fs = fsopen("tmpfs").or_fail("fsopen", failed)?;
    for (key, value) in [("source", "pinnace-mask"), ("mode", "555"), ("nr_blocks", "1"), ("nr_inodes", "3")]
    {
        fsconfig_string(&fs, key, value).or_fail("fsconfig", failed)?;
    }
    fsconfig_create(&fs).or_fail("fsconfig", failed)?;
    let locked = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    let mount = fsmount(&fs, locked).or_fail("fsmount", failed)?;
    let new = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    nix::fcntl::openat(&mount, FILE, new, Mode::from_bits_truncate(0o444)).or_fail("openat", failed)?;
    mkdirat(&mount, DIRECTORY, Mode::from_bits_truncate(0o555)).or_fail("mkdirat", failed)?;
    let sealed = Attr {
        set: if mutant!("cover") { 0 } else { libc::MOUNT_ATTR_RDONLY },
        propagation: nix::mount::MsFlags::MS_PRIVATE.bits(),
        ..Attr::default()
    };
    set_attr(&mount, sealed, false).or_fail("mount_setattr", failed)?;
    Ok(mount)
}
