//! A mount of type "cgroup": what the container may see of its own cgroups. v1: a tmpfs with a directory for each
//! hierarchy; v2: the unified hierarchy. In a cgroup namespace these are mounts of their own, else binds of the
//! container's own cgroup, so that it never sees its neighbours.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::symlinkat;

use super::mounts::finish;
use super::root::{Make, Root};
use crate::cgroup::{Version, View};
use crate::error::{Error, OrFail, Result};
use crate::plan::mounts::Mount;
use crate::sys::mount::{
    Attr, attach, clone_tree, fsconfig_create, fsconfig_flag, fsconfig_string, fsmount, fsopen, set_attr,
};

const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;

/// Mounts the container's view; `private` says that it has a cgroup namespace.
pub fn mount(root: &Root, mount: &Mount, views: &[View], private: bool) -> Result<()> {
    let (target, _) = root.ensure(&mount.target, Make::Directory)?;
    // Without any (see `Cgroup::views`) it is an empty directory.
    let done = if views.is_empty() || views.iter().any(|view| view.version == Version::V1) {
        legacy(mount, &target, views, private)
    } else {
        unified(mount, &target, views)
    };
    done.map_err(|e| e.within(format!("error mounting \"cgroup\" to \"/{}\"", mount.target.display())))
}

fn legacy(mount: &Mount, target: &OwnedFd, views: &[View], private: bool) -> Result<()> {
    let failed = || "make the directory of cgroup hierarchies";
    let fs = fsopen("tmpfs").or_fail("fsopen", failed)?;
    for (key, value) in [("source", "tmpfs"), ("mode", "755")] {
        fsconfig_string(&fs, key, value).or_fail("fsconfig", failed)?;
    }
    fsconfig_create(&fs).or_fail("fsconfig", failed)?;
    let tmpfs = fsmount(&fs, mount.options.set & !RDONLY).or_fail("fsmount", failed)?;
    finish(&tmpfs, target, mount)?;
    for view in views.iter().filter(|view| view.version == Version::V1) {
        let what = || format!("mount cgroup hierarchy {}", view.name);
        match mkdirat(&tmpfs, view.name.as_str(), Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(Error::os("mkdirat", errno, what())),
        }
        let place = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let place = openat(&tmpfs, view.name.as_str(), place, Mode::empty()).or_fail("openat", what)?;
        let hierarchy = if private { instance(view, mount)? } else { own_cgroup(view, mount)? };
        attach(hierarchy.as_fd(), place.as_fd()).or_fail("move_mount", what)?;
        for link in view.links.iter().filter(|link| **link != view.name) {
            match symlinkat(view.name.as_str(), &tmpfs, link.as_str()) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(Error::os("symlinkat", errno, what())),
            }
        }
    }
    if mount.options.set & RDONLY != 0 {
        let attr = Attr { set: RDONLY, ..Attr::default() };
        set_attr(&tmpfs, attr, false).or_fail("mount_setattr", failed)?;
    }
    Ok(())
}

/// A mount of the hierarchy itself: inside a cgroup namespace its root is the container's cgroup.
fn instance(view: &View, mount: &Mount) -> Result<OwnedFd> {
    let v1 = view.version == Version::V1;
    let name = if v1 { "cgroup" } else { "cgroup2" };
    let failed = || format!("mount {name} {}", view.name);
    let fs = fsopen(name).or_fail("fsopen", failed)?;
    fsconfig_string(&fs, "source", "cgroup").or_fail("fsconfig", failed)?;
    for word in view.data.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some((key, value)) => fsconfig_string(&fs, key, value),
            None => fsconfig_flag(&fs, word),
        }
        .or_fail("fsconfig", failed)?;
    }
    fsconfig_create(&fs).or_fail("fsconfig", failed)?;
    fsmount(&fs, mount.options.set).or_fail("fsmount", failed)
}

/// A bind of the container's own cgroup.
fn own_cgroup(view: &View, mount: &Mount) -> Result<OwnedFd> {
    let failed = || format!("bind cgroup {}", view.path);
    let tree = clone_tree(AT_FDCWD, Path::new(&view.path), false).or_fail("open_tree", failed)?;
    let set = if mutant!("cgroup-readonly") { 0 } else { mount.options.set };
    let attr = Attr { set, clear: mount.options.clear, propagation: 0 };
    set_attr(&tree, attr, false).or_fail("mount_setattr", failed)?;
    Ok(tree)
}

fn unified(mount: &Mount, target: &OwnedFd, views: &[View]) -> Result<()> {
    let Some(view) = views.first() else {
        return Err(Error::invalid("the host has no cgroups mounted").hint("mount cgroup2 on /sys/fs/cgroup"));
    };
    let tree = match instance(view, mount) {
        // A user namespace that does not own the cgroup namespace may not mount it: its own part is bound instead.
        Err(error) if matches!(error.errno(), Some(Errno::EPERM | Errno::EBUSY)) => own_cgroup(view, mount)?,
        other => other?,
    };
    finish(&tree, target, mount)
}
