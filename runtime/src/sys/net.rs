//! Network devices by ioctl (man 7 netdevice).

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

use super::check;

const SIOCGIFFLAGS: libc::c_ulong = 0x8913;
const SIOCSIFFLAGS: libc::c_ulong = 0x8914;

/// `struct ifreq` with its flags: a name, the flags, and what makes it 40 bytes.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>(), "the layout of struct ifreq");

fn flags_request(socket: impl AsFd, request: libc::c_ulong, ifreq: &mut Request) -> nix::Result<()> {
    // SAFETY: both requests of this file read and write no more than a struct ifreq.
    check(unsafe {
        libc::syscall(libc::SYS_ioctl, socket.as_fd().as_raw_fd(), request, std::ptr::from_mut(ifreq))
    })?;
    Ok(())
}

/// Sets IFF_UP on a device of the network namespace that `socket` was made in. Any socket will do.
pub fn set_up(socket: impl AsFd, name: &str) -> nix::Result<()> {
    let mut ifreq = Request { name: [0; 16], flags: 0, rest: [0; 22] };
    // One byte stays for the NUL.
    ifreq
        .name
        .get_mut(..name.len())
        .filter(|_| name.len() < 16)
        .ok_or(Errno::ENAMETOOLONG)?
        .copy_from_slice(name.as_bytes());
    flags_request(&socket, SIOCGIFFLAGS, &mut ifreq)?;
    ifreq.flags |= u16::try_from(libc::IFF_UP).map_err(|_| Errno::EOVERFLOW)?;
    flags_request(&socket, SIOCSIFFLAGS, &mut ifreq)
}
