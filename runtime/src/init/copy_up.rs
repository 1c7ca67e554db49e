//! tmpcopyup: fills a new tmpfs with what lies at its mount point before it is attached there. Everything is read and
//! written by descriptor; links are copied as links and never followed.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, fstatat, mkdirat, mknodat,
};
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use super::mounts::finish;
use super::root::{Root, shown};
use crate::error::{OrFail, Result};
use crate::plan::mounts::Mount;

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

/// Copies the directory at the mount point into the detached tmpfs, then attaches it.
pub fn copy_up(root: &Root, mount: &Mount, tmpfs: &OwnedFd, target: &OwnedFd) -> Result<()> {
    let failed = || shown("copy up", &mount.target);
    let from = root.open(&mount.target, OFlag::O_RDONLY | OFlag::O_DIRECTORY).or_fail("openat2", failed)?;
    let to = openat(tmpfs, c".", DIRECTORY, Mode::empty()).or_fail("openat", failed)?;
    copy_directory(&from, &to).or_fail("copy", failed)?;
    let stat = fstat(&from).or_fail("fstat", failed)?;
    own(&to, &stat).or_fail("fchown", failed)?;
    finish(tmpfs, target, mount)
}

fn own(fd: &OwnedFd, stat: &FileStat) -> nix::Result<()> {
    fchown(fd, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(fd, Mode::from_bits_truncate(stat.st_mode))
}

fn copy_directory(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let mut entries = Dir::from_fd(from.try_clone()?)?;
    let names: Vec<CString> =
        entries.iter().map(|entry| entry.map(|e| e.file_name().to_owned())).collect::<nix::Result<_>>()?;
    for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
        copy_entry(from, to, name)?;
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> io::Result<()> {
    let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT);
    match kind {
        SFlag::S_IFDIR => {
            mkdirat(to, name, Mode::from_bits_truncate(0o700))?;
            let (inner_from, inner_to) =
                (openat(from, name, DIRECTORY, Mode::empty())?, openat(to, name, DIRECTORY, Mode::empty())?);
            copy_directory(&inner_from, &inner_to)?;
            own(&inner_to, &stat)?;
        }
        SFlag::S_IFREG => {
            let flags = OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
            let source = openat(from, name, flags | OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty())?;
            let copy =
                openat(to, name, flags | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL, Mode::S_IRUSR)?;
            io::copy(&mut File::from(source), &mut File::from(copy.try_clone()?))?;
            own(&copy, &stat)?;
        }
        SFlag::S_IFLNK => {
            symlinkat(readlinkat(from, name)?.as_os_str(), to, name)?;
            chown_entry(to, name, &stat)?;
        }
        other => {
            mknodat(to, name, other, Mode::from_bits_truncate(stat.st_mode), stat.st_rdev)?;
            chown_entry(to, name, &stat)?;
            fchmodat(to, name, Mode::from_bits_truncate(stat.st_mode), FchmodatFlags::FollowSymlink)?;
        }
    }
    Ok(())
}

fn chown_entry(dir: impl AsFd, name: &CStr, stat: &FileStat) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fchownat(dir, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
}
