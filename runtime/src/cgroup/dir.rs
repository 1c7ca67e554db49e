//! One cgroup directory, held open: files and sub-cgroups are reached from its descriptor. Never opens anything that
//! is not on a cgroup file system, and never follows a link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::Type;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag, openat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, fstatfs};
use nix::unistd::{UnlinkatFlags, read, unlinkat, write};

use crate::error::{Error, OrFail, Result};
use crate::sys::fs::open_at;

const NO_LINKS: ResolveFlag = ResolveFlag::RESOLVE_NO_SYMLINKS.union(ResolveFlag::RESOLVE_NO_MAGICLINKS);

/// An open cgroup directory.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    path: String,
}

impl Dir {
    /// Opens the cgroup at an absolute path. ENODEV if what is there is no cgroup.
    pub(super) fn open(path: &str) -> nix::Result<Self> {
        let fd =
            open_at(AT_FDCWD, Path::new(path), OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty(), NO_LINKS)?;
        match fstatfs(&fd)?.filesystem_type() {
            CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC => Ok(Self { fd, path: path.to_owned() }),
            _ => Err(Errno::ENODEV),
        }
    }

    /// Opens a cgroup below this one; `inside` has no `..` in it.
    pub(super) fn open_below(&self, inside: &str) -> nix::Result<Self> {
        let how = NO_LINKS.union(ResolveFlag::RESOLVE_BENEATH).union(ResolveFlag::RESOLVE_NO_XDEV);
        let fd =
            open_at(&self.fd, Path::new(inside), OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty(), how)?;
        Ok(Self { fd, path: format!("{}/{inside}", self.path) })
    }

    /// Makes the cgroup at an absolute path; its parent must be there.
    pub(super) fn make(path: &str) -> nix::Result<()> {
        mkdirat(AT_FDCWD, path, Mode::from_bits_truncate(0o755))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Another descriptor of the same directory.
    pub(super) fn descriptor(&self) -> nix::Result<OwnedFd> {
        self.fd.try_clone().map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }

    /// Opens one of its files.
    pub(super) fn file(&self, name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        // A name from config.json (a huge page size, a key of `unified`) must stay a name.
        if name.contains('/') || name == ".." {
            return Err(Errno::EINVAL);
        }
        openat(&self.fd, name, flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())
    }

    /// Whether it has a file of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        nix::unistd::faccessat(&self.fd, name, nix::unistd::AccessFlags::F_OK, nix::fcntl::AtFlags::empty())
            .is_ok()
    }

    /// Reads a file whole.
    pub(super) fn read(&self, name: &str) -> nix::Result<String> {
        let file = self.file(name, OFlag::O_RDONLY)?;
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match read(&file, &mut chunk) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads a file of one short value, without its newline.
    pub(super) fn value(&self, name: &str) -> nix::Result<String> {
        let file = self.file(name, OFlag::O_RDONLY)?;
        let mut chunk = [0; 1024];
        let count = read(&file, &mut chunk)?;
        Ok(String::from_utf8_lossy(&chunk[..count]).trim().to_owned())
    }

    /// Writes a value, each line by a call of its own, as cgroup files want it.
    pub(super) fn write(&self, name: &str, value: &str) -> nix::Result<()> {
        let file = self.file(name, OFlag::O_WRONLY)?;
        value.split_inclusive('\n').try_for_each(|line| write_line(&file, line))
    }

    /// Writes a value; the error names the file and the value.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<()> {
        self.write(name, value).or_fail("write", || self.attempt(name, value))
    }

    /// `write "20" to /sys/fs/cgroup/pids/x/pids.max`: the operand of an error.
    pub(super) fn attempt(&self, name: &str, value: &str) -> String {
        format!("write {value:?} to {}/{name}", self.path)
    }

    /// The error of a file that could not be read.
    pub(super) fn unread(&self, name: &str, errno: Errno) -> Error {
        Error::os("read", errno, format!("read {}/{name}", self.path))
    }

    /// The names of its sub-cgroups.
    pub(super) fn children(&self) -> nix::Result<Vec<String>> {
        // kernfs counts a directory's links as 2 and one for each directory in it: most have none, and need not be read.
        if fstat(&self.fd)?.st_nlink == 2 {
            return Ok(Vec::new());
        }
        let fd =
            openat(&self.fd, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let mut names = Vec::new();
        for entry in nix::dir::Dir::from_fd(fd)?.iter() {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            if entry.file_type() == Some(Type::Directory) && name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    /// Removes an empty sub-cgroup.
    pub(super) fn remove_below(&self, name: &str) -> nix::Result<()> {
        unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Writes all of `line` by one call: a cgroup file takes a line whole or not at all.
pub(super) fn write_line(file: &OwnedFd, line: &str) -> nix::Result<()> {
    loop {
        match write(file, line.as_bytes()) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
