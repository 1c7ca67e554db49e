//! The file-descriptor mount API (kernel 5.2; mount_setattr 5.12): fsopen, fsmount, open_tree, move_mount, and the
//! calls on mounts that nix lacks. man 2 fsopen, mount_setattr.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;

use super::{check, fs::owned};

const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// Attributes of mount_setattr(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attr {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// One of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, or 0.
    pub propagation: u64,
}

/// `struct mount_attr` of linux/mount.h, version 0.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

fn c_path(path: &Path) -> nix::Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

fn c_str(text: &str) -> nix::Result<CString> {
    CString::new(text).map_err(|_| Errno::EINVAL)
}

/// fsopen(2): a context for a new super block of file system `name`.
pub fn fsopen(name: &str) -> nix::Result<OwnedFd> {
    let name = c_str(name)?;
    // SAFETY: `name` is a valid C string for the duration of the call.
    owned(check(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), 1) })?)
}

fn fsconfig(fs: &OwnedFd, cmd: libc::c_uint, key: Option<&str>, value: Option<&str>) -> nix::Result<()> {
    let key = key.map(c_str).transpose()?;
    let value = value.map(c_str).transpose()?;
    let key = key.as_ref().map_or(std::ptr::null(), |k| k.as_ptr());
    let value = value.as_ref().map_or(std::ptr::null(), |v| v.as_ptr());
    // SAFETY: key and value are null or valid C strings that outlive the call.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), cmd, key, value, 0) })?;
    Ok(())
}

/// fsconfig(2): sets option `key` to `value`.
pub fn fsconfig_string(fs: &OwnedFd, key: &str, value: &str) -> nix::Result<()> {
    fsconfig(fs, FSCONFIG_SET_STRING, Some(key), Some(value))
}

/// fsconfig(2): sets the option `key` that has no value.
pub fn fsconfig_flag(fs: &OwnedFd, key: &str) -> nix::Result<()> {
    fsconfig(fs, FSCONFIG_SET_FLAG, Some(key), None)
}

/// fsconfig(2): makes the super block.
pub fn fsconfig_create(fs: &OwnedFd) -> nix::Result<()> {
    fsconfig(fs, FSCONFIG_CMD_CREATE, None, None)
}

/// What the kernel has to say about the last failure on an fsopen context (man 2 fsopen, "message retrieval").
pub fn fs_message(fs: &OwnedFd) -> Option<String> {
    let mut text = [0u8; 512];
    let n = nix::unistd::read(fs, &mut text).ok()?;
    let line = String::from_utf8_lossy(text.get(..n)?).trim_end().to_owned();
    Some(line.split_once(' ').map_or(line.clone(), |(_, message)| message.to_owned()))
}

/// fsmount(2): a detached mount of the super block with `MOUNT_ATTR_*` attributes.
pub fn fsmount(fs: &OwnedFd, attr: u64) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    owned(check(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), 1, attr) })?)
}

/// open_tree(2) with CLONE: a detached copy of the mount at `path`, with all mounts below it when `recursive`.
pub fn clone_tree(dir: impl AsFd, path: &Path, recursive: bool) -> nix::Result<OwnedFd> {
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= libc::AT_RECURSIVE.unsigned_abs();
    }
    open_tree(dir, path, flags)
}

fn open_tree(dir: impl AsFd, path: &Path, mut flags: libc::c_uint) -> nix::Result<OwnedFd> {
    if path.as_os_str().is_empty() {
        flags |= libc::AT_EMPTY_PATH.unsigned_abs();
    }
    let path = c_path(path)?;
    // SAFETY: `path` is a valid C string for the duration of the call.
    owned(check(unsafe {
        libc::syscall(libc::SYS_open_tree, dir.as_fd().as_raw_fd(), path.as_ptr(), flags)
    })?)
}

/// mount_setattr(2) on the mount of `mount` itself, and on all below it when `recursive`.
pub fn set_attr(mount: impl AsFd, attr: Attr, recursive: bool) -> nix::Result<()> {
    setattr(
        mount,
        &MountAttr { set: attr.set, clear: attr.clear, propagation: attr.propagation, userns_fd: 0 },
        recursive,
    )
}

/// mount_setattr(2) with MOUNT_ATTR_IDMAP: the detached `mount` shows ids as mapped in the user namespace `userns`.
pub fn set_idmap(mount: impl AsFd, userns: impl AsFd, recursive: bool) -> nix::Result<()> {
    let userns_fd = u64::try_from(userns.as_fd().as_raw_fd()).map_err(|_| Errno::EBADF)?;
    setattr(mount, &MountAttr { set: libc::MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns_fd }, recursive)
}

fn setattr(mount: impl AsFd, attr: &MountAttr, recursive: bool) -> nix::Result<()> {
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is an empty C string and `attr` a struct mount_attr of the size given; both outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}

/// move_mount(2): attaches the detached `mount` on the object that `target` is open on.
pub fn attach(mount: impl AsFd, target: impl AsFd) -> nix::Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are empty C strings.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            target.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
        )
    })?;
    Ok(())
}

/// pivot_root(2) onto the current directory, then drops the old root: `pivot_root(".", ".")` (man 2 pivot_root, NOTES).
pub fn pivot_here() -> nix::Result<()> {
    nix::unistd::pivot_root(".", ".")
}
