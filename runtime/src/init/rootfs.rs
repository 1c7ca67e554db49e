//! The root mount: made from the bundle's directory, entered by pivot_root, made read-only last. Nothing here touches
//! the host's mount namespace: the process already has its own.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;

use super::root::Root;
use crate::error::{Error, OrFail, Result};
use crate::plan::Rootfs;
use crate::sys::mount::{Attr, attach, clone_tree, pivot_here, set_attr};

const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;

/// Cuts the copied mount tree off from the host's and attaches the container's root in it, all by descriptor.
pub fn enter(rootfs: &Rootfs) -> Result<Root> {
    // Whatever the container asks for its own root, what happens in here must not travel to the host: the host's tree
    // becomes a slave, or private where that was asked for.
    if !mutant!("slave") {
        set_propagation("/", rootfs.old_root_propagation())?;
    }
    let tree = clone_tree(AT_FDCWD, &rootfs.path, true).map_err(|errno| {
        let error = Error::os("open_tree", errno, format!("open root file system {}", rootfs.path.display()));
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => error.hint("check root.path in config.json"),
            _ => error,
        }
    })?;
    // A slave still takes what the host mounts below it, which only a container that asks for it is to have.
    if !rootfs.propagation.is_some_and(|flags| flags.contains(MsFlags::MS_SLAVE)) {
        let private = Attr { propagation: MsFlags::MS_PRIVATE.bits(), ..Attr::default() };
        set_attr(&tree, private, false).or_fail("mount_setattr", || "make the root mount private")?;
    }
    let place =
        nix::fcntl::open(&rootfs.path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .or_fail("open", || format!("open root file system {}", rootfs.path.display()))?;
    attach(&tree, &place).or_fail("move_mount", || format!("attach {}", rootfs.path.display()))?;
    Ok(Root::new(tree))
}

pub fn set_propagation(path: &str, flags: MsFlags) -> Result<()> {
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
        .or_fail("mount", || format!("set the propagation of {path}"))
}

/// Makes `root` the process's root and drops the old one.
pub fn pivot(root: &Root, rootfs: &Rootfs) -> Result<()> {
    let failed = || format!("pivot into {}", rootfs.path.display());
    nix::unistd::fchdir(root.fd()).or_fail("fchdir", failed)?;
    if rootfs.no_pivot {
        cover_kernel_views(rootfs)?;
        mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>).or_fail("mount", failed)?;
        nix::unistd::chroot(".").or_fail("chroot", failed)?;
    } else {
        let old = host_directory(Path::new("/")).or_fail("open", failed)?;
        pivot_here().map_err(|errno| {
            Error::os("pivot_root", errno, failed())
                .hint("on an initramfs (rootfs) use --no-pivot, which is less safe")
        })?;
        // The old root lies on top of the new one now. It must not tell the host of its end; "." is it, and not the
        // new root, only from inside.
        nix::unistd::fchdir(&old).or_fail("fchdir", || "find the old root")?;
        set_propagation(".", MsFlags::MS_SLAVE | MsFlags::MS_REC)?;
        umount2(".", MntFlags::MNT_DETACH).or_fail("umount2", || "drop the old root")?;
    }
    nix::unistd::chdir("/").or_fail("chdir", || "enter the container's root")?;
    if let Some(flags) = rootfs.propagation {
        set_propagation("/", flags)?;
    }
    Ok(())
}

/// Below a root that was only moved, the host's tree stays mounted, out of reach. A procfs or sysfs in it that nothing
/// covers would still give every user namespace in the container the right to mount a bare one
/// (mount_too_revealing in fs/namespace.c).
fn cover_kernel_views(rootfs: &Rootfs) -> Result<()> {
    let what = || "take the host's /proc and /sys away";
    let table = std::fs::read_to_string("/proc/self/mountinfo").or_fail("read", what)?;
    for line in table.lines() {
        // man 5 proc: the mount point is field 5, the type follows a single "-".
        let Some((fields, kind)) = line.split_once(" - ") else { continue };
        let Some(point) = fields.split(' ').nth(4) else { continue };
        if !(kind.starts_with("proc ") || kind.starts_with("sysfs ")) {
            continue;
        }
        let point = Path::new(point);
        // The container's own. A path with an escape in it (a blank, a newline) is no place where a host has them.
        if point.starts_with(&rootfs.path) {
            continue;
        }
        match umount2(point, MntFlags::MNT_DETACH) {
            Ok(()) | Err(Errno::ENOENT) => {}
            // Locked, as it came from another user namespace: then it is covered.
            Err(Errno::EINVAL | Errno::EPERM) => {
                mount(Some("tmpfs"), point, Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>)
                    .or_fail("mount", what)?;
            }
            Err(errno) => return Err(Error::os("umount2", errno, what())),
        }
    }
    Ok(())
}

/// Makes the root mount or another read-only; what is mounted below stays as it is.
pub fn make_readonly(mount: impl AsFd) -> Result<()> {
    if mutant!("rootfs-readonly") {
        return Ok(());
    }
    let attr = Attr { set: RDONLY, ..Attr::default() };
    set_attr(mount, attr, false).or_fail("mount_setattr", || "make a mount of the container read-only")
}

/// O_PATH of a host directory, for the calls that need a place in the copied tree.
pub fn host_directory(path: &Path) -> nix::Result<OwnedFd> {
    nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}
