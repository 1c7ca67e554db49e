//! rtnetlink, as much of it as moving a device takes (man 7 netlink, man 7 rtnetlink): messages as bytes, and a socket
//! that asks one question at a time. What the kernel answers is parsed with every length checked.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR.
pub(super) const NEW_LINK: u16 = 16;
pub(super) const GET_LINK: u16 = 18;
pub(super) const NEW_ADDRESS: u16 = 20;
pub(super) const GET_ADDRESS: u16 = 22;

/// NLM_F_*.
const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const DUMP_INTERRUPTED: u16 = 0x10;
pub(super) const CREATE_ONLY: u16 = 0x600;
const DUMP: u16 = 0x300;

/// NLMSG_ERROR, NLMSG_DONE.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Bytes of struct nlmsghdr.
const HEADER: usize = 16;

/// The kernel never sends more at once (NLMSG_GOODSIZE and dumps of up to 32 KiB).
const LARGEST: usize = 64 * 1024;

/// A request that is being written.
#[derive(Debug)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A request of type `kind` with the fixed part that the type has.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        let mut message = Self { bytes };
        message.pad();
        message
    }

    /// Adds an attribute.
    pub(super) fn with(mut self, kind: u16, data: &[u8]) -> nix::Result<Self> {
        let length = u16::try_from(data.len() + 4).map_err(|_| Errno::EMSGSIZE)?;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(data);
        self.pad();
        Ok(self)
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The finished bytes, with the number that the answer will carry.
    fn finish(mut self, sequence: u32) -> nix::Result<Vec<u8>> {
        let length = u32::try_from(self.bytes.len()).map_err(|_| Errno::EMSGSIZE)?;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        Ok(self.bytes)
    }
}

/// struct ifinfomsg.
pub(super) fn link(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    fixed
}

/// A number in what the kernel sent.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_ne_bytes)
}

/// The attributes in `bytes`: kind and data. Stops at the first that is broken.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(half(bytes, 0)?);
        let kind = half(bytes, 2)?;
        let data = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    })
}

/// One message of an answer.
struct Part<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

/// The messages in a packet. Stops at the first that is broken.
fn parts(mut packet: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(number(packet, 0)?).ok()?;
        let payload = packet.get(HEADER..length)?;
        let part =
            Part { kind: half(packet, 4)?, flags: half(packet, 6)?, sequence: number(packet, 8)?, payload };
        packet = packet.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(part)
    })
}

/// A socket to the network namespace that it was made in.
#[derive(Debug)]
pub(super) struct Route {
    socket: OwnedFd,
    sequence: u32,
}

impl Route {
    pub(super) fn open() -> nix::Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Asks for something to be done, or for one object: what was sent back before the acknowledgement.
    pub(super) fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        fixed: &[u8],
        attributes: &[(u16, &[u8])],
    ) -> nix::Result<Vec<Vec<u8>>> {
        let mut message = Message::new(kind, flags | ACKNOWLEDGE, fixed);
        for (kind, data) in attributes {
            message = message.with(*kind, data)?;
        }
        self.exchange(message).map(|(answers, _)| answers)
    }

    /// Asks for all objects. A list that changed meanwhile is asked for again.
    pub(super) fn dump(&mut self, kind: u16, fixed: &[u8]) -> nix::Result<Vec<Vec<u8>>> {
        for _ in 0..8 {
            let (answers, interrupted) = self.exchange(Message::new(kind, DUMP, fixed))?;
            if !interrupted {
                return Ok(answers);
            }
        }
        Err(Errno::EBUSY)
    }

    fn exchange(&mut self, message: Message) -> nix::Result<(Vec<Vec<u8>>, bool)> {
        self.sequence += 1;
        let bytes = message.finish(self.sequence)?;
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let (mut answers, mut interrupted) = (Vec::new(), false);
        let mut buffer = vec![0; LARGEST];
        loop {
            let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            let packet = buffer.get(..length).ok_or(Errno::EMSGSIZE)?;
            for part in parts(packet).filter(|part| part.sequence == self.sequence) {
                interrupted |= part.flags & DUMP_INTERRUPTED != 0;
                match part.kind {
                    DONE => return Ok((answers, interrupted)),
                    ERROR => {
                        // 0, or a negative errno.
                        let code = number(part.payload, 0).ok_or(Errno::EBADMSG)?.cast_signed();
                        return match code.checked_neg() {
                            Some(0) => Ok((answers, interrupted)),
                            Some(errno) => Err(Errno::from_raw(errno)),
                            None => Err(Errno::EBADMSG),
                        };
                    }
                    _ => answers.push(part.payload.to_vec()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_laid_out_as_the_kernel_reads_it() {
        let bytes = Message::new(NEW_LINK, ACKNOWLEDGE, &link(7, 1, 1))
            .with(3, b"eth0\0")
            .unwrap()
            .finish(9)
            .unwrap();
        assert_eq!(bytes.len(), 16 + 16 + 12);
        assert_eq!(number(&bytes, 0), Some(44));
        assert_eq!((half(&bytes, 4), half(&bytes, 6)), (Some(16), Some(5)));
        assert_eq!(number(&bytes, 8), Some(9));
        assert_eq!(number(&bytes, 20), Some(7));
        let attributes: Vec<_> = attributes(&bytes[32..]).collect();
        assert_eq!(attributes, [(3, &b"eth0\0"[..])]);
        assert!(Message::new(0, 0, &[]).with(1, &vec![0; 70_000]).is_err());
    }

    proptest! {
        /// Whatever comes, it is taken apart without a panic, and no part is larger than the whole.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for part in parts(&bytes) {
                prop_assert!(part.payload.len() <= bytes.len());
            }
            for (_, data) in attributes(&bytes) {
                prop_assert!(data.len() <= bytes.len());
            }
        }

        #[test]
        fn attributes_are_read_back(list in proptest::collection::vec((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..6)) {
            let mut message = Message::new(NEW_LINK, 0, &[]);
            for (kind, data) in &list {
                message = message.with(*kind, data).unwrap();
            }
            let bytes = message.finish(1).unwrap();
            let part = parts(&bytes).next().unwrap();
            let read: Vec<_> = attributes(part.payload).map(|(kind, data)| (kind, data.to_vec())).collect();
            prop_assert_eq!(read, list);
        }
    }
}
