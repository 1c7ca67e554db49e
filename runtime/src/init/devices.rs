//! Device nodes and the usual links of /dev. Every node is made or verified by descriptor: one that is there already
//! must be the device that was asked for, whatever its name.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat, makedev, mknodat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};

use super::root::{Make, Root, file_type, shown, stat};
use crate::error::{Error, OrFail, Result};
use crate::plan::devices::{Device, LINKS};
use crate::sys::mount::{attach, clone_tree};

/// Makes all devices; `bind` takes the host's nodes where mknod is not allowed (in a user namespace).
pub fn make(root: &Root, devices: &[Device], bind: bool) -> Result<()> {
    // Nearly all lie in one directory: resolve it once.
    let mut last: Option<(&Path, OwnedFd)> = None;
    for device in devices {
        let (Some(dir), Some(name)) = (device.path.parent(), device.path.file_name()) else {
            return Err(
                Error::invalid("a device without a path").hint("set linux.devices[].path in config.json")
            );
        };
        if last.as_ref().is_none_or(|(path, _)| *path != dir) {
            last = Some((dir, root.ensure(dir, Make::Directory)?.0));
        }
        let Some((_, parent)) = &last else { continue };
        if bind {
            bind_node(root, device)?;
        } else {
            make_node(parent, Path::new(name), device)?;
        }
    }
    Ok(())
}

fn make_node(parent: &OwnedFd, name: &Path, device: &Device) -> Result<()> {
    let failed = || shown("make device", &device.path);
    let kind = SFlag::from_bits_truncate(device.typ);
    let number = makedev(u64::from(device.major), u64::from(device.minor));
    match mknodat(parent, name, kind, Mode::from_bits_truncate(device.mode), number) {
        Ok(()) => {}
        Err(Errno::EEXIST) => {
            let there = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).or_fail("fstatat", failed)?;
            let same_kind = there.st_mode & libc::S_IFMT == device.typ;
            if !same_kind || (kind != SFlag::S_IFIFO && there.st_rdev != number) {
                return Err(Error::invalid(format!("{}: something else is there already", failed()))
                    .hint("remove it from the image"));
            }
        }
        Err(errno) => {
            let error = Error::os("mknodat", errno, failed());
            return Err(if errno == Errno::EPERM {
                error.hint("allow m (mknod) for it in linux.resources.devices, or run with CAP_MKNOD")
            } else {
                error
            });
        }
    }
    // The umask took bits away.
    fchmodat(parent, name, Mode::from_bits_truncate(device.mode), FchmodatFlags::FollowSymlink)
        .or_fail("fchmodat", failed)?;
    if device.uid != 0 || device.gid != 0 {
        let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        fchownat(parent, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .or_fail("fchownat", failed)?;
    }
    Ok(())
}

fn bind_node(root: &Root, device: &Device) -> Result<()> {
    let host = Path::new("/").join(&device.path);
    let failed = || shown("bind the host's device to", &device.path);
    let node = clone_tree(AT_FDCWD, &host, false)
        .map_err(|errno| Error::os("open_tree", errno, failed()).hint("the host must have that device"))?;
    let there = stat(&node).or_fail("fstat", failed)?;
    let number = makedev(u64::from(device.major), u64::from(device.minor));
    if there.st_mode & libc::S_IFMT != device.typ || there.st_rdev != number {
        return Err(Error::invalid(format!("{}: the host's {} is another device", failed(), host.display())));
    }
    let (target, _) = root.ensure(&device.path, Make::File)?;
    attach(&node, &target).or_fail("move_mount", failed)
}

/// The links of /dev. What the image brought is left alone, but for ptmx, which must be the container's own.
pub fn link(root: &Root) -> Result<()> {
    let (dev, _) = root.ensure(Path::new("dev"), Make::Directory)?;
    for (name, target) in LINKS {
        make_link(&dev, name, target)?;
    }
    if Path::new("/proc/kcore").exists() {
        make_link(&dev, "core", "/proc/kcore")?;
    }
    Ok(())
}

fn make_link(dev: &OwnedFd, name: &str, target: &str) -> Result<()> {
    let failed = || format!("link /dev/{name} to {target} in the container");
    match symlinkat(target, dev, name) {
        Err(Errno::EEXIST) if name == "ptmx" => {
            unlinkat(dev, name, UnlinkatFlags::NoRemoveDir).or_fail("unlinkat", failed)?;
            symlinkat(target, dev, name).or_fail("symlinkat", failed)
        }
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Error::os("symlinkat", errno, failed())),
    }
}

/// Opens the container's /dev/null for real: a character device 1:3 and nothing that only looks like it.
pub fn null(root: &Root) -> Result<OwnedFd> {
    let path = Path::new("dev/null");
    let node = root
        .open_plain(path, OFlag::O_PATH | OFlag::O_NOFOLLOW)
        .or_fail("openat2", || shown("open", path))?;
    let device = stat(&node).or_fail("fstat", || shown("look at", path))?;
    if file_type(&node, path)? != SFlag::S_IFCHR || device.st_rdev != makedev(1, 3) {
        return Err(
            Error::invalid("/dev/null in the container is no null device").hint("remove it from the image")
        );
    }
    let (parent, name) = root.parent(path)?;
    openat(&parent, name, OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())
        .or_fail("openat", || shown("open", path))
}
