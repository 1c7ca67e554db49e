//! The process's terminal: a pair made from the container's own devpts, its slave on /dev/console and on 0, 1 and 2.
//! Nothing in the container's /dev is trusted by name: the master is checked by descriptor, the slave comes from the
//! master, and the mount lands on a descriptor (CVE-2025-52565, CVE-2026-41579).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::fstatfs;

use crate::error::{Error, Kind, OrFail, Result};
use crate::plan::creds::Uid;
use crate::spec::oci;
use crate::sys::fs::{STRICT, open_at};
use crate::sys::{mount, pty};

/// `DEVPTS_SUPER_MAGIC` (linux/magic.h).
const DEVPTS: i64 = 0x1cd1;
/// `/dev/pts/ptmx`, as fs/devpts/inode.c makes it.
const PTMX: (u64, u64) = (5, 2);
/// UNIX98_PTY_SLAVE_MAJOR (linux/major.h); the minor is the terminal's number.
const SLAVE_MAJOR: u64 = 136;

/// A console that the container replaces can have no part of its path be a link; it may be a mount point.
const CONSOLE: ResolveFlag = ResolveFlag::RESOLVE_BENEATH
    .union(ResolveFlag::RESOLVE_NO_MAGICLINKS)
    .union(ResolveFlag::RESOLVE_NO_SYMLINKS);

/// Rows and columns of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl Size {
    /// `process.consoleSize`; none when either side is 0, as in runc.
    pub fn decide(size: &oci::Box) -> Result<Option<Self>> {
        let length_of = |name: &str, length: u64| {
            u16::try_from(length).map_err(|_| {
                Error::invalid(format!("process.consoleSize.{name} {length} is more than 65535"))
            })
        };
        let (rows, columns) = (length_of("height", size.height())?, length_of("width", size.width())?);
        Ok((rows != 0 && columns != 0).then_some(Self { rows, columns }))
    }
}

/// A new terminal.
#[derive(Debug)]
pub struct Console {
    /// For whoever shows it to the user.
    pub master: OwnedFd,
    /// For the process.
    pub slave: OwnedFd,
}

/// Makes a terminal in the devpts that `pts` (the container's /dev/pts) is a directory of.
pub fn open(pts: impl AsFd, size: Option<Size>) -> Result<Console> {
    let what = || "open /dev/pts/ptmx of the container";
    is_devpts(&pts).or_fail("fstatfs", what).map_err(|e| e.hint("mount a devpts on /dev/pts"))?;
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
    let master = open_at(&pts, Path::new("ptmx"), flags, Mode::empty(), STRICT).or_fail("openat2", what)?;
    if !pty::device(&master).is_ok_and(|device| device == PTMX) {
        return Err(Error::new(Kind::Host, "/dev/pts/ptmx of the container is not a terminal multiplexer"));
    }
    pty::unlock(&master).or_fail("ioctl(TIOCSPTLCK)", || "unlock the new terminal")?;
    let slave = pty::peer(&master).or_fail("ioctl(TIOCGPTPEER)", || "open the slave of the new terminal")?;
    is_slave(&slave, &master)?;
    if let Some(size) = size {
        pty::set_size(&master, size.rows, size.columns)
            .or_fail("ioctl(TIOCSWINSZ)", || "set the terminal's size")?;
    }
    Ok(Console { master, slave })
}

fn is_devpts(fd: impl AsFd) -> nix::Result<()> {
    // The type of the magic number differs between C libraries.
    let magic = fstatfs(fd)?.filesystem_type().0;
    if i64::try_from(magic).is_ok_and(|magic| magic == DEVPTS) { Ok(()) } else { Err(Errno::ENODEV) }
}

/// The kernel has just given us this descriptor for this master, so that this can't fail; it is here because all
/// that comes after relies on it.
fn is_slave(slave: &OwnedFd, master: &OwnedFd) -> Result<()> {
    let of = |fd: &OwnedFd| fstat(fd).or_fail("fstat", || "look at the new terminal");
    let device = pty::device(slave).or_fail("fstat", || "look at the new terminal")?;
    let number = pty::number(master).or_fail("ioctl(TIOCGPTN)", || "number the new terminal")?;
    let numbered = device == (SLAVE_MAJOR, number.into());
    if numbered && is_devpts(slave).is_ok() && of(slave)?.st_dev == of(master)?.st_dev {
        return Ok(());
    }
    Err(Error::new(Kind::Host, "the slave of the container's new terminal is not its slave"))
}

/// Mounts the slave on `console` in `dev` (the container's /dev), which is made if it is not there and refused if it
/// is a link. In the container's mount namespace, after the mounts of config.json.
pub fn mount_on_dev_console(dev: impl AsFd, slave: impl AsFd) -> Result<()> {
    let what = || "mount the terminal on /dev/console";
    let target = console_file(dev.as_fd())?;
    let terminal = mount::clone_tree(slave, Path::new(""), false).or_fail("open_tree", what)?;
    mount::attach(terminal, target).or_fail("move_mount", what)
}

fn console_file(dev: BorrowedFd<'_>) -> Result<OwnedFd> {
    let path = Path::new("console");
    // Without O_NOFOLLOW, with which openat2 would open a link itself.
    let how = if mutant!("console-link") { ResolveFlag::empty() } else { CONSOLE };
    let look = || open_at(dev, path, OFlag::O_PATH, Mode::empty(), how);
    let found = match look() {
        Err(Errno::ENOENT) => {
            let mut flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_RDONLY;
            flags.set(OFlag::O_EXCL | OFlag::O_NOFOLLOW, !mutant!("console-link"));
            match open_at(dev, path, flags, Mode::from_bits_truncate(0o666), how) {
                Ok(_) | Err(Errno::EEXIST) => look(),
                Err(errno) => Err(errno),
            }
        }
        other => other,
    };
    found.map_err(|errno| {
        let error = Error::os("openat2", errno, "create /dev/console mount target");
        match errno {
            Errno::ELOOP => error.hint("remove the symbolic link /dev/console from the image"),
            Errno::EROFS => {
                error.hint("mount a tmpfs on /dev or put an empty file dev/console into the image")
            }
            _ => error,
        }
    })
}

/// Makes the slave standard input, output and error and the controlling terminal. The caller leads its session.
pub fn adopt(slave: impl AsFd) -> Result<()> {
    let what = || "make the terminal standard input, output and error";
    nix::unistd::dup2_stdin(&slave).or_fail("dup2", what)?;
    nix::unistd::dup2_stdout(&slave).or_fail("dup2", what)?;
    nix::unistd::dup2_stderr(&slave).or_fail("dup2", what)?;
    pty::set_controlling(&slave).or_fail("ioctl(TIOCSCTTY)", || "set the controlling terminal")
}

/// Gives 0, 1 and 2 to the user the process will be, so that it can open them again (`/dev/stderr`). Only the uid: a
/// devpts may want its own gid. What can't be given (a host file that is not mapped, a read-only mount) stays as is.
pub fn own_stdio(uid: Uid) -> Result<()> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for (number, fd) in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].into_iter().enumerate() {
        let what = || format!("give descriptor {number} to uid {uid}");
        let stat = match fstat(fd) {
            Err(Errno::EBADF) => continue,
            other => other.or_fail("fstat", what)?,
        };
        if stat.st_uid == uid.get() || pty::device(fd) == Ok((1, 3)) {
            continue;
        }
        match nix::unistd::fchown(fd, Some(uid.get().into()), None) {
            // EINVAL: the owner's id has no meaning in this user namespace. ENOSYS: a file system without owners.
            Ok(()) | Err(Errno::EPERM | Errno::EROFS | Errno::EINVAL | Errno::ENOSYS) => {}
            Err(errno) => return Err(Error::os("fchown", errno, what())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(height: u64, width: u64) -> oci::Box {
        serde_json::from_value(serde_json::json!({ "height": height, "width": width })).unwrap()
    }

    #[test]
    fn sizes() {
        assert_eq!(Size::decide(&sized(10, 110)).unwrap(), Some(Size { rows: 10, columns: 110 }));
        assert_eq!(Size::decide(&sized(0, 110)).unwrap(), None);
        assert_eq!(Size::decide(&sized(10, 0)).unwrap(), None);
        assert!(Size::decide(&sized(65_536, 1)).unwrap_err().to_string().contains("height 65536"));
        assert!(Size::decide(&sized(1, u64::MAX)).is_err());
    }

    #[test]
    fn a_directory_that_is_no_devpts_is_refused() {
        let dir = std::fs::File::open("/").unwrap();
        assert_eq!(open(&dir, None).unwrap_err().errno(), Some(Errno::ENODEV));
    }
}
