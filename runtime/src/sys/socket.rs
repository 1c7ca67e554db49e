//! Descriptors over unix sockets (SCM_RIGHTS), one packet a message.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, recvmsg,
    sendmsg, socketpair,
};

/// A connected pair that keeps packets apart and tells when the other end is gone.
pub fn packet_pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Sends one packet, with a descriptor if there is one. A peer that is gone gives EPIPE and no signal.
pub fn send(socket: impl AsFd, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> nix::Result<()> {
    let fds: Vec<RawFd> = fd.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
    loop {
        match sendmsg::<UnixAddr>(
            socket.as_fd().as_raw_fd(),
            &[IoSlice::new(bytes)],
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        ) {
            Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Writes one packet to the descriptor with this number: for a process that does not own it any more, or does not yet
/// know who does. One that is closed gives EBADF.
pub fn write_to_number(fd: RawFd, bytes: &[u8]) -> nix::Result<usize> {
    // SAFETY: the number is used for this one call; write(2) checks it.
    nix::unistd::write(unsafe { BorrowedFd::borrow_raw(fd) }, bytes)
}

/// Receives one packet into `buffer`: its length (0: the peer is gone) and the descriptor that came with it.
pub fn recv(socket: impl AsFd, buffer: &mut [u8]) -> nix::Result<(usize, Option<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; 4]);
    let mut slices = [IoSliceMut::new(buffer)];
    loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<UnixAddr>(socket.as_fd().as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(message) => {
                let mut first = None;
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(fds) = control {
                        for fd in fds {
                            // SAFETY: the kernel has just installed this descriptor for us.
                            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                            first.get_or_insert(fd);
                        }
                    }
                }
                return Ok((message.bytes, first));
            }
        }
    }
}
