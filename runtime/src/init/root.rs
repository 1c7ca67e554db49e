//! The one way to name anything in a container's root file system: a descriptor and a relative path, resolved by the
//! kernel inside the root (openat2). No path string of the container is ever handed to a call that would follow it out.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat};
use nix::sys::statfs::fstatfs;

use crate::error::{Error, OrFail, Result};
use crate::sys::fs::{IN_ROOT, open_at};

/// What to make where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// A directory, 0755.
    Directory,
    /// An empty file, 0755 directories above it.
    File,
}

/// As many links as the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// The root of a container's file system.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Takes the mount that becomes the container's `/`.
    pub fn new(mount: OwnedFd) -> Self {
        Self(mount)
    }

    /// The mount itself.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Opens what is there: links are followed inside the root, magic links are refused.
    pub fn open(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        self.resolve(path, flags, IN_ROOT)
    }

    /// Opens what is there if no part of the path is a link.
    pub fn open_plain(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        self.resolve(path, flags, IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS)
    }

    fn resolve(&self, path: &Path, flags: OFlag, how: ResolveFlag) -> nix::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = if mutant!("in-root") { ResolveFlag::empty() } else { how };
        open_at(&self.0, path, flags, Mode::empty(), how)
    }

    /// O_PATH of `path`, made if nothing is there; what is missing above it becomes directories. Links are followed
    /// inside the root, also those that point at nothing yet. Gives true when it was made.
    pub fn ensure(&self, path: &Path, make: Make) -> Result<(OwnedFd, bool)> {
        match self.open(path, OFlag::O_PATH) {
            Ok(fd) => Ok((fd, false)),
            Err(Errno::ENOENT) => self.build(path, make).map(|fd| (fd, true)),
            Err(errno) => Err(open_error(errno, path)),
        }
    }

    /// Walks component by component with `done` free of links, so that each `mkdirat` lands in a directory that was
    /// itself resolved inside the root.
    fn build(&self, path: &Path, make: Make) -> Result<OwnedFd> {
        let mut todo: VecDeque<OsString> = names(path).collect();
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&name);
            match self.open(&next, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
                Ok(fd) if file_type(&fd, &next)? == SFlag::S_IFLNK => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(open_error(Errno::ELOOP, path));
                    }
                    let link = nix::fcntl::readlinkat(&fd, c"")
                        .or_fail("readlinkat", || shown("read link", &next))?;
                    let link = Path::new(&link);
                    if link.is_absolute() {
                        done.clear();
                    }
                    for name in names(link).collect::<Vec<_>>().into_iter().rev() {
                        todo.push_front(name);
                    }
                }
                Ok(_) => done = next,
                Err(Errno::ENOENT) => {
                    let parent = self
                        .open(&done, OFlag::O_PATH | OFlag::O_DIRECTORY)
                        .map_err(|errno| open_error(errno, &done))?;
                    let name = Path::new(&name);
                    if todo.is_empty() && make == Make::File {
                        create_file(&parent, name, &next)?;
                    } else {
                        let (parent, name) =
                            if mutant!("mkdir") { (&self.0, &*next) } else { (&parent, name) };
                        match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
                            Ok(()) | Err(Errno::EEXIST) => {}
                            Err(errno) => {
                                return Err(Error::os("mkdirat", errno, shown("make directory", &next)));
                            }
                        }
                    }
                    done = next;
                }
                Err(errno) => return Err(open_error(errno, &next)),
            }
        }
        self.open(&done, OFlag::O_PATH).map_err(|errno| open_error(errno, &done))
    }

    /// The directory that `path` lies in, made if need be, and the last name of the path.
    pub fn parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p Path)> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::invalid(format!("{} names no file in the container", shown("", path))));
        };
        let (fd, _) = self.ensure(dir, Make::Directory)?;
        Ok((fd, Path::new(name)))
    }
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn create_file(parent: &OwnedFd, name: &Path, whole: &Path) -> Result<()> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match nix::fcntl::openat(parent, name, flags, Mode::from_bits_truncate(0o755)) {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Error::os("openat", errno, shown("make file", whole))),
    }
}

/// `verb "/path"`, the path as the container sees it.
pub fn shown(verb: &str, path: &Path) -> String {
    format!("{verb} \"/{}\" in the container", path.display())
}

fn open_error(errno: Errno, path: &Path) -> Error {
    let error = Error::os("openat2", errno, shown("open", path));
    match errno {
        Errno::ELOOP => error.hint("links into /proc or around in a circle are refused: use another path"),
        Errno::ENOSYS => error.hint("pinnace needs kernel 5.12 or newer"),
        _ => error,
    }
}

/// stat(2) of an open descriptor, O_PATH ones included.
pub fn stat(fd: impl AsFd) -> nix::Result<FileStat> {
    fstatat(fd, c"", AtFlags::AT_EMPTY_PATH)
}

/// The type bits of an open file.
pub fn file_type(fd: &OwnedFd, path: &Path) -> Result<SFlag> {
    let stat = stat(fd).or_fail("fstat", || shown("look at", path))?;
    Ok(SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT))
}

/// Whether an open file is a directory.
pub fn is_directory(fd: &OwnedFd, path: &Path) -> Result<bool> {
    Ok(file_type(fd, path)? == SFlag::S_IFDIR)
}

/// Whether an open file lies on a procfs.
pub fn on_proc(fd: impl AsFd) -> nix::Result<bool> {
    Ok(fstatfs(fd)?.filesystem_type() == nix::sys::statfs::PROC_SUPER_MAGIC)
}
