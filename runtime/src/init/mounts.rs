//! config.json's mounts: each made detached, given its attributes, then attached by descriptor inside the root.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};

use super::copy_up::copy_up;
use super::filesystem::FileSystem;
use super::root::{Make, Root, is_directory, on_proc, shown, stat};
use crate::error::{Error, OrFail, Result};
use crate::plan::mounts::{Kind, Mount};
use crate::plan::options::MountOptions;
use crate::spec::BELOW_PROC;
use crate::sys::mount::{Attr, attach, clone_tree, set_attr};

/// What a bind mount's options decide, beside its access times; other attributes are the kernel's own.
const PLAIN_ATTRS: u64 = libc::MOUNT_ATTR_RDONLY
    | libc::MOUNT_ATTR_NOSUID
    | libc::MOUNT_ATTR_NODEV
    | libc::MOUNT_ATTR_NOEXEC
    | libc::MOUNT_ATTR_NOSYMFOLLOW;

/// Mounts one entry that is no cgroup view; `open` gives a detached copy of a bind mount's source. Gives the mount.
pub fn mount(root: &Root, mount: &Mount, open: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
    perform(root, mount, open).map_err(|e| e.within(format!("error mounting {}", described(mount))))
}

fn described(mount: &Mount) -> String {
    let source = match &mount.kind {
        Kind::Bind { source, .. } => source.display().to_string(),
        Kind::Fs { source: Some(source), .. } => source.clone(),
        Kind::Fs { name, .. } => name.clone(),
        Kind::Cgroup => "cgroup".to_owned(),
    };
    format!("\"{source}\" to \"/{}\"", mount.target.display())
}

fn perform(root: &Root, mount: &Mount, open: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
    match &mount.kind {
        Kind::Fs { name, source } => filesystem(root, mount, name, source.as_deref()),
        Kind::Bind { .. } => {
            let tree = open()?;
            bind(root, mount, &tree)?;
            Ok(tree)
        }
        Kind::Cgroup => Err(Error::invalid("a cgroup mount is no plain mount")),
    }
}

/// A detached copy of a bind mount's source.
pub fn open_source(path: &Path, recursive: bool) -> Result<OwnedFd> {
    clone_tree(AT_FDCWD, path, recursive).map_err(|errno| {
        let error = Error::os("open_tree", errno, format!("open bind source {}", path.display()));
        match errno {
            Errno::ENOENT => error.hint("create it on the host or correct mounts[].source in config.json"),
            _ => error,
        }
    })
}

fn bind(root: &Root, mount: &Mount, tree: &OwnedFd) -> Result<()> {
    let make = if is_directory(tree, &mount.target)? { Make::Directory } else { Make::File };
    let (target, _) = root.ensure(&mount.target, make)?;
    if is_directory(&target, &mount.target)? != (make == Make::Directory) {
        let (errno, kinds) = match make {
            Make::Directory => (Errno::ENOTDIR, "a directory can't be mounted on a file"),
            Make::File => (Errno::EISDIR, "a file can't be mounted on a directory"),
        };
        return Err(Error::os("move_mount", errno, shown("mount on", &mount.target)).hint(kinds));
    }
    refuse_below_proc(&target, mount, is_whole_proc(tree, mount)?)?;
    if mount.options.changes_attributes() {
        bind_attributes(tree, &mount.options)?;
    }
    finish(tree, &target, mount)
}

/// A bind mount with any attribute word has exactly those attributes, as mount(8)'s remount gives, but it keeps its
/// access times unless a word chooses others. Flags that the source's owner has locked (mount_namespaces(7)) stay,
/// unless a word asks to clear them: that is an error.
fn bind_attributes(tree: &OwnedFd, options: &MountOptions) -> Result<()> {
    let mut times = libc::MOUNT_ATTR__ATIME | libc::MOUNT_ATTR_NODIRATIME;
    let set = if options.chooses_atime { options.set } else { options.set & !times };
    if options.chooses_atime {
        // The modes are one field, which is cleared as a whole.
        times &= !set | libc::MOUNT_ATTR__ATIME;
    } else {
        times = 0;
    }
    let exact = Attr { set, clear: (PLAIN_ATTRS & !set) | times, propagation: 0 };
    match set_attr(tree, exact, false) {
        Err(Errno::EPERM) => {
            let unlocked = libc::MOUNT_ATTR_NOSYMFOLLOW & !set;
            let clear = (options.clear & PLAIN_ATTRS) | unlocked | times;
            set_attr(tree, Attr { set, clear, propagation: 0 }, false)
        }
        done => done,
    }
    .or_fail("mount_setattr", || "set the attributes of the bind mount")
}

fn filesystem(root: &Root, mount: &Mount, name: &str, source: Option<&str>) -> Result<OwnedFd> {
    let options = &mount.options;
    let (target, made) = if mount.needs_plain_directory() && !mutant!("plain-proc") {
        plain_directory(root, mount)?
    } else {
        root.ensure(&mount.target, Make::Directory)?
    };
    refuse_below_proc(&target, mount, name == "proc")?;
    let mut data = Cow::Borrowed(&options.data[..]);
    if name == "tmpfs" && !made && !data.iter().any(|(key, _)| key == "mode") {
        // A tmpfs over a directory of the image keeps that directory's mode.
        let bits = stat(&target).or_fail("fstat", || shown("look at", &mount.target))?.st_mode & 0o7777;
        data.to_mut().push(("mode".to_owned(), Some(format!("{bits:o}"))));
    }
    let source = source.filter(|source| !source.is_empty());
    let detached = FileSystem { name, source, options, data }.mount()?;
    if options.copy_up {
        copy_up(root, mount, &detached, &target)?;
    } else {
        finish(&detached, &target, mount)?;
    }
    Ok(detached)
}

fn plain_directory(root: &Root, mount: &Mount) -> Result<(OwnedFd, bool)> {
    let open = || root.open_plain(&mount.target, OFlag::O_PATH | OFlag::O_DIRECTORY);
    let found = match open() {
        Err(Errno::ENOENT) => {
            root.ensure(&mount.target, Make::Directory)?;
            open().map(|fd| (fd, true))
        }
        other => other.map(|fd| (fd, false)),
    };
    found.map_err(|errno| {
        Error::os(
            "openat2",
            errno,
            format!("\"/{}\" must be mounted on ordinary directory", mount.target.display()),
        )
        .hint("remove the link or file at that place from the image")
    })
}

/// A container that could cover its /proc, or parts of it, could lie to whatever reads and writes there
/// (CVE-2019-16884, CVE-2025-52881). `whole` says that the mount is a procfs itself,
/// from its root on.
fn refuse_below_proc(target: &OwnedFd, mount: &Mount, whole: bool) -> Result<()> {
    let path = &mount.target;
    let is_proc = whole && path == Path::new("proc") || mutant!("below-proc");
    if is_proc || BELOW_PROC.iter().any(|allowed| path == Path::new(allowed)) {
        return Ok(());
    }
    if !path.starts_with("proc") && !on_proc(target).or_fail("fstatfs", || shown("look at", path))? {
        return Ok(());
    }
    let text = if path == Path::new("proc") {
        "\"/proc\" cannot be mounted because it is not of type proc".to_owned()
    } else {
        format!("\"/{}\" cannot be mounted because it is inside /proc", path.display())
    };
    Err(Error::invalid(text).hint("mount it elsewhere, or use sysctl, maskedPaths or readonlyPaths"))
}

/// Whether a bind's source is the root of a procfs, which has the inode number 1 (PROC_ROOT_INO of linux/proc_ns.h).
fn is_whole_proc(tree: &OwnedFd, mount: &Mount) -> Result<bool> {
    let failed = || shown("look at the source of", &mount.target);
    if mount.target != Path::new("proc") {
        return Ok(false);
    }
    Ok(on_proc(tree).or_fail("fstatfs", failed)?
        && (mutant!("whole-proc") || stat(tree).or_fail("fstat", failed)?.st_ino == 1))
}

/// Gives the detached mount its propagation and recursive attributes and attaches it.
pub fn finish(detached: &OwnedFd, target: &OwnedFd, mount: &Mount) -> Result<()> {
    let options = &mount.options;
    for &propagation in &options.propagation {
        let recursive = propagation & nix::mount::MsFlags::MS_REC.bits() != 0;
        let attr = Attr { propagation: propagation & !nix::mount::MsFlags::MS_REC.bits(), ..Attr::default() };
        set_attr(detached, attr, recursive).or_fail("mount_setattr", || "set the mount's propagation")?;
    }
    if options.recursive_set != 0 || options.recursive_clear != 0 {
        let attr = Attr { set: options.recursive_set, clear: options.recursive_clear, propagation: 0 };
        set_attr(detached, attr, true).or_fail("mount_setattr", || "set recursive mount attributes")?;
    }
    attach(detached, target).or_fail("move_mount", || "attach the mount")
}
