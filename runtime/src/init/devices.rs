//! Device nodes and the usual links of /dev. Every node is made, or opened and seen by descriptor to be the device that
//! was asked for, whatever its name; what is changed of one is changed through that descriptor.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, makedev, mknodat, umask};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};

use super::root::{Make, Root, shown, stat};
use crate::cgroup::Cgroup;
use crate::error::{Error, OrFail, Result};
use crate::plan::devices::{Device, LINKS};
use crate::sys::fs::fd_path;
use crate::sys::mount::{attach, clone_tree};

/// Makes all devices; `bind` takes the host's nodes where mknod is not allowed (in a user namespace).
pub fn make(root: &Root, devices: &[Device], bind: bool) -> Result<()> {
    // The modes of the nodes are exact whatever the caller's umask is.
    let callers = umask(Mode::empty());
    let made = make_all(root, devices, bind);
    umask(callers);
    made
}

fn make_all(root: &Root, devices: &[Device], bind: bool) -> Result<()> {
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
            match make_node(parent, Path::new(name), device) {
                // The runtime itself is in a user namespace: a user's podman.
                Err(error) if error.errno() == Some(Errno::EPERM) && Cgroup::is_users() => {
                    bind_node(root, device)?;
                }
                made => made?,
            }
        }
    }
    Ok(())
}

/// A device node by descriptor, which is what was asked for.
struct Node(OwnedFd);

impl Node {
    /// Opens `name` without following it, and without waking the device. Gives none when it is something else.
    fn open(parent: &OwnedFd, name: &Path, kind: SFlag, number: u64) -> nix::Result<Option<Self>> {
        let fd = openat(parent, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Self::is(&fd, kind, number)?.then_some(Self(fd)))
    }

    /// The type counts as much as the number: of a pipe or a file the number is 0 (crun CVE-2026-88265).
    fn is(fd: &OwnedFd, kind: SFlag, number: u64) -> nix::Result<bool> {
        let there = stat(fd)?;
        if mutant!("device") {
            return Ok(true);
        }
        let same_kind = there.st_mode & libc::S_IFMT == kind.bits();
        Ok(same_kind && (kind == SFlag::S_IFIFO || there.st_rdev == number))
    }
}

/// `umask` is 0 by now: the mode is exact.
fn make_node(parent: &OwnedFd, name: &Path, device: &Device) -> Result<()> {
    let failed = || shown("make device", &device.path);
    let kind = SFlag::from_bits_truncate(device.typ);
    let number = makedev(u64::from(device.major), u64::from(device.minor));
    let mode = Mode::from_bits_truncate(device.mode);
    let is_new = match mknodat(parent, name, kind, mode, number) {
        Ok(()) => true,
        Err(Errno::EEXIST) => false,
        Err(errno) => {
            let error = Error::os("mknodat", errno, failed());
            return Err(if errno == Errno::EPERM {
                error.hint("allow m (mknod) for it in linux.resources.devices, or run with CAP_MKNOD")
            } else {
                error
            });
        }
    };
    let owned = device.uid != 0 || device.gid != 0;
    if is_new && !owned {
        return Ok(());
    }
    // Somebody who shares the directory may have put something else there in the meantime.
    let Some(Node(node)) = Node::open(parent, name, kind, number).or_fail("openat", failed)? else {
        return Err(Error::invalid(format!("{}: something else is there already", failed()))
            .hint("remove it from the image"));
    };
    if owned {
        let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        fchownat(&node, c"", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH).or_fail("fchownat", failed)?;
    }
    if is_new {
        return Ok(());
    }
    // Before fchmodat2 (kernel 6.6) the mode of an O_PATH descriptor can be set by its link in procfs alone, which here
    // is still the host's.
    if mutant!("device-name") {
        return fchmodat(parent, name, mode, FchmodatFlags::FollowSymlink).or_fail("fchmodat", failed);
    }
    fchmodat(AT_FDCWD, &fd_path(&node), mode, FchmodatFlags::FollowSymlink).or_fail("fchmodat", failed)
}

fn bind_node(root: &Root, device: &Device) -> Result<()> {
    let host = Path::new("/").join(&device.path);
    let failed = || shown("bind the host's device to", &device.path);
    let node = clone_tree(AT_FDCWD, &host, false)
        .map_err(|errno| Error::os("open_tree", errno, failed()).hint("the host must have that device"))?;
    let number = makedev(u64::from(device.major), u64::from(device.minor));
    if !Node::is(&node, SFlag::from_bits_truncate(device.typ), number).or_fail("fstat", failed)? {
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

/// Opens the container's /dev/null for real: a character device 1:3 and nothing that only looks like it, neither when it
/// is looked at nor, since it may change in between, when it is open.
pub fn null(root: &Root) -> Result<OwnedFd> {
    let path = Path::new("dev/null");
    let (number, failed) = (makedev(1, 3), || shown("open", path));
    let other =
        || Error::invalid("/dev/null in the container is no null device").hint("remove it from the image");
    let dev =
        root.open_plain(Path::new("dev"), OFlag::O_PATH | OFlag::O_DIRECTORY).or_fail("openat2", failed)?;
    let name = Path::new("null");
    Node::open(&dev, name, SFlag::S_IFCHR, number).or_fail("openat", failed)?.ok_or_else(other)?;
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let null = openat(&dev, name, flags, Mode::empty()).or_fail("openat", failed)?;
    if !mutant!("null") && !Node::is(&null, SFlag::S_IFCHR, number).or_fail("fstat", failed)? {
        return Err(other());
    }
    fcntl(&null, FcntlArg::F_SETFL(OFlag::empty())).or_fail("fcntl", failed)?;
    Ok(null)
}
