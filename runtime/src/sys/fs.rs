//! Files by descriptor: openat2 and what lies around it. Nothing here follows a symbolic link out of its root.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::Mode;

use super::check;

/// Resolution for a path inside a container's root: absolute links and `..` stay inside, magic links are refused.
pub const IN_ROOT: ResolveFlag = ResolveFlag::RESOLVE_IN_ROOT.union(ResolveFlag::RESOLVE_NO_MAGICLINKS);

/// Resolution for a path that must not contain any link nor leave the mount of its root.
pub const STRICT: ResolveFlag = ResolveFlag::RESOLVE_BENEATH
    .union(ResolveFlag::RESOLVE_NO_MAGICLINKS)
    .union(ResolveFlag::RESOLVE_NO_SYMLINKS)
    .union(ResolveFlag::RESOLVE_NO_XDEV);

/// openat2(2): opens `path` relative to `dir`. The descriptor is close-on-exec. EAGAIN, which the kernel gives when a
/// rename races with `..`, is retried.
pub fn open_at(
    dir: impl AsFd,
    path: &Path,
    flags: OFlag,
    mode: Mode,
    resolve: ResolveFlag,
) -> nix::Result<OwnedFd> {
    let mode = if flags.intersects(OFlag::O_CREAT | OFlag::O_TMPFILE) { mode } else { Mode::empty() };
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(resolve);
    for _ in 0..128 {
        match nix::fcntl::openat2(dir.as_fd(), path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            other => return other,
        }
    }
    Err(Errno::EAGAIN)
}

/// close_range(2) with CLOEXEC: marks every descriptor from `first` up as close-on-exec.
pub fn cloexec_from(first: RawFd) -> nix::Result<()> {
    // SAFETY: close_range with CLOSE_RANGE_CLOEXEC takes no pointer and closes nothing.
    check(unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    })?;
    Ok(())
}

/// `/proc/self/fd/N`: the path by which calls that take only a path reach an open descriptor.
pub fn fd_path(fd: impl AsFd) -> std::path::PathBuf {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()).into()
}

/// memfd_create(2), close-on-exec, sealable.
pub fn memfd(name: &str) -> nix::Result<OwnedFd> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `name` is a valid C string for the duration of the call.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_memfd_create, name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
    })?;
    owned(fd)
}

/// Takes ownership of a descriptor that the kernel has just returned.
pub(crate) fn owned(fd: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just returned this descriptor to this call alone; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
