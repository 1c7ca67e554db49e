//! The one handle by which procfs is read and written: of a procfs that the runtime has mounted itself, seen to be one.
//! It never goes through the container's /proc, which can be anything (CVE-2019-16884, CVE-2025-52881).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use crate::error::{OrFail, Result};
use crate::sys::fs::{STRICT, open_at};
use crate::sys::mount::{fsconfig_create, fsmount, fsopen};

/// Longest file that is read; what is read here is a word or a number.
const LONGEST: u64 = 64 * 1024;

/// The root of a procfs. What is mounted on top of it, or of anything in it, is never seen through it.
#[derive(Debug)]
pub struct Proc(OwnedFd);

impl Proc {
    /// A new one of the caller's pid namespace, which nobody else can reach.
    pub fn private() -> Result<Self> {
        let failed = || "open an own procfs";
        let fs = fsopen("proc").or_fail("fsopen", failed)?;
        fsconfig_create(&fs).or_fail("fsconfig", failed)?;
        Self::verified(fsmount(&fs, 0).or_fail("fsmount", failed)?).or_fail("fstatfs", failed)
    }

    /// Takes the root of a mount. ENODEV: it is no procfs.
    pub fn verified(mount: OwnedFd) -> nix::Result<Self> {
        if fstatfs(&mount)?.filesystem_type() == PROC_SUPER_MAGIC {
            Ok(Self(mount))
        } else {
            Err(Errno::ENODEV)
        }
    }

    /// Reads a file of this thread: `read_own("setgroups")`.
    pub(super) fn read_own(&self, name: &str) -> nix::Result<String> {
        let mut text = String::new();
        self.open_own(name, OFlag::O_RDONLY)?
            .take(LONGEST)
            .read_to_string(&mut text)
            .map_err(|error| errno(&error))?;
        Ok(text)
    }

    /// Writes a file of this thread by one write(2), as the kernel wants it for attributes.
    pub(super) fn write_own(&self, name: &str, text: &str) -> nix::Result<()> {
        let mut file = self.open_own(name, OFlag::O_WRONLY)?;
        let written = file.write(text.as_bytes()).map_err(|error| errno(&error))?;
        if written == text.len() { Ok(()) } else { Err(Errno::EIO) }
    }

    /// Opens the kernel parameter at `path` below /proc/sys for writing.
    pub(super) fn parameter(&self, path: &Path) -> nix::Result<OwnedFd> {
        self.open(&Path::new("sys").join(path), OFlag::O_WRONLY)
    }

    /// `thread-self` is the one link that is followed, and only as text of the form `N/task/N`: the rest is resolved
    /// without links and without leaving this mount.
    fn open_own(&self, name: &str, flags: OFlag) -> nix::Result<File> {
        let link = readlinkat(&self.0, "thread-self")?;
        let path = own(&link).ok_or(Errno::ESRCH)?.join(name);
        self.open(&path, flags).map(File::from)
    }

    fn open(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        open_at(&self.0, path, flags | OFlag::O_NOCTTY, Mode::empty(), STRICT)
    }
}

impl AsFd for Proc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Proc {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

impl IntoRawFd for Proc {
    fn into_raw_fd(self) -> i32 {
        self.0.into_raw_fd()
    }
}

fn own(link: &OsStr) -> Option<PathBuf> {
    let parts: Vec<&[u8]> = link.as_bytes().split(|byte| *byte == b'/').collect();
    let number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    match parts[..] {
        [pid, b"task", tid] if number(pid) && number(tid) => Some(link.into()),
        _ => None,
    }
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_own_form_of_the_link() {
        assert_eq!(own(OsStr::new("12/task/13")), Some("12/task/13".into()));
        for link in
            ["", "12", "12/task/", "/12/task/13", "12/task/13/..", "self/task/1", "12/fd/13", "../task/1"]
        {
            assert_eq!(own(OsStr::new(link)), None, "{link}");
        }
    }

    #[test]
    fn own_files_of_the_real_procfs_and_of_nothing_else() {
        let proc = Proc::verified(File::open("/proc").unwrap().into()).unwrap();
        assert!(proc.read_own("comm").unwrap().ends_with('\n'));
        assert_eq!(proc.read_own("../../../../etc/passwd"), Err(Errno::EXDEV));
        assert_eq!(proc.read_own("cwd"), Err(Errno::ELOOP));
        assert_eq!(proc.parameter(Path::new("../../etc/passwd")).unwrap_err(), Errno::EXDEV);
        assert_eq!(Proc::verified(File::open("/").unwrap().into()).unwrap_err(), Errno::ENODEV);
    }
}
