//! Pseudo terminals by descriptor (man 4 pts, man 2 ioctl_tty). Never by the path of a slave: what stands at
//! /dev/pts/N is the container's to choose.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;

use super::{check, fs::owned};

// asm-generic/ioctls.h; x86_64 and aarch64 have no others. libc's are signed in one C library and not in the other.
const TIOCSCTTY: libc::c_ulong = 0x540e;
const TIOCGWINSZ: libc::c_ulong = 0x5413;
const TIOCSWINSZ: libc::c_ulong = 0x5414;
const TIOCGPTN: libc::c_ulong = 0x8004_5430;
const TIOCSPTLCK: libc::c_ulong = 0x4004_5431;
const TIOCGPTPEER: libc::c_ulong = 0x5441;

fn ioctl<T>(fd: impl AsFd, request: libc::c_ulong, argument: *mut T) -> nix::Result<libc::c_long> {
    // SAFETY: every caller in this file passes a pointer to the type that the request reads or writes, valid for the
    // duration of the call.
    check(unsafe { libc::syscall(libc::SYS_ioctl, fd.as_fd().as_raw_fd(), request, argument) })
}

/// `TIOCSPTLCK` 0: the slave may be opened.
pub fn unlock(master: impl AsFd) -> nix::Result<()> {
    let mut locked: libc::c_int = 0;
    ioctl(master, TIOCSPTLCK, &raw mut locked).map(drop)
}

/// `TIOCGPTN`: the slave's number in its devpts.
pub fn number(master: impl AsFd) -> nix::Result<u32> {
    let mut number: libc::c_uint = 0;
    ioctl(master, TIOCGPTN, &raw mut number)?;
    Ok(number)
}

/// `TIOCGPTPEER`: the slave itself (kernel 4.13), not as controlling terminal.
pub fn peer(master: impl AsFd) -> nix::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument of this request is a number.
    owned(check(unsafe { libc::syscall(libc::SYS_ioctl, master.as_fd().as_raw_fd(), TIOCGPTPEER, flags) })?)
}

/// `TIOCGWINSZ`: rows and columns.
pub fn size(terminal: impl AsFd) -> nix::Result<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    ioctl(terminal, TIOCGWINSZ, &raw mut size)?;
    Ok((size.ws_row, size.ws_col))
}

/// `TIOCSWINSZ`; a change sends SIGWINCH to the foreground processes of the terminal.
pub fn set_size(terminal: impl AsFd, rows: u16, columns: u16) -> nix::Result<()> {
    let mut size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    ioctl(terminal, TIOCSWINSZ, &raw mut size).map(drop)
}

/// `TIOCSCTTY`: the controlling terminal of this session, whose leader must be the caller.
pub fn set_controlling(terminal: impl AsFd) -> nix::Result<()> {
    // SAFETY: the argument of this request is a number: 0, don't steal it from another session.
    check(unsafe { libc::syscall(libc::SYS_ioctl, terminal.as_fd().as_raw_fd(), TIOCSCTTY, 0) })?;
    Ok(())
}

/// Major and minor number of the character device that `fd` is open on.
pub fn device(fd: impl AsFd) -> nix::Result<(u64, u64)> {
    let stat = nix::sys::stat::fstat(fd)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFCHR {
        return Err(Errno::ENOTTY);
    }
    Ok((nix::sys::stat::major(stat.st_rdev), nix::sys::stat::minor(stat.st_rdev)))
}
