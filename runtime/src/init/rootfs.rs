//! The root mount: made from the bundle's directory, entered by pivot_root, made read-only last. Nothing here touches
//! the host's mount namespace, since the process has its own already; only where config.json asks for the host's
//! own is the tree attached there, as one private mount on root.path, and entered by chroot.

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
    if rootfs.own_namespace {
        set_propagation("/", rootfs.old_root_propagation())?;
    }
    let tree = clone_tree(AT_FDCWD, &rootfs.path, true).map_err(|errno| {
        let error = Error::os("open_tree", errno, format!("open root file system {}", rootfs.path.display()));
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => error.hint("check root.path in config.json"),
            _ => error,
        }
    })?;
    // A new mount below a shared one would be shared with the host again.
    let private = Attr { propagation: MsFlags::MS_PRIVATE.bits(), ..Attr::default() };
    set_attr(&tree, private, false).or_fail("mount_setattr", || "make the root mount private")?;
    let place =
        nix::fcntl::open(&rootfs.path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .or_fail("open", || format!("open root file system {}", rootfs.path.display()))?;
    attach(&tree, &place).or_fail("move_mount", || format!("attach {}", rootfs.path.display()))?;
    Ok(Root::new(tree))
}

fn set_propagation(path: &str, flags: MsFlags) -> Result<()> {
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
        .or_fail("mount", || format!("set the propagation of {path}"))
}

/// Makes `root` the process's root and drops the old one.
pub fn pivot(root: &Root, rootfs: &Rootfs) -> Result<()> {
    let failed = || format!("pivot into {}", rootfs.path.display());
    nix::unistd::fchdir(root.fd()).or_fail("fchdir", failed)?;
    if !rootfs.own_namespace {
        // The host's own tree can't be left behind by a pivot, which would take everybody along.
        nix::unistd::chroot(".").or_fail("chroot", failed)?;
    } else if rootfs.no_pivot {
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

/// Makes the root mount or another read-only; what is mounted below stays as it is.
pub fn make_readonly(mount: impl AsFd) -> Result<()> {
    let attr = Attr { set: RDONLY, ..Attr::default() };
    set_attr(mount, attr, false).or_fail("mount_setattr", || "make a mount of the container read-only")
}

/// O_PATH of a host directory, for the calls that need a place in the copied tree.
pub fn host_directory(path: &Path) -> nix::Result<OwnedFd> {
    nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}
