//! The words between the launcher and the process it has cloned: one packet a word, on a SOCK_SEQPACKET pair.
//!
//! ```text
//!   child                     parent
//!   Hop(pidfd)   -->          the real process, when a hop was needed; it waits until it is known
//!             <-- Go
//!   Map          -->          uid_map and gid_map, written for the process that the pidfd before named
//!             <-- Go(pid)
//!   Cgroup       -->          moved into its cgroup, which it can't be born in (see `cgroup/entry.rs`)
//!             <-- Go
//!   Network      -->          network devices, moved into the namespace (only if config.json has any)
//!             <-- Go
//!   Time         -->          the offsets of the new time namespace, written by whoever owns this process's files
//!             <-- Go
//!   Idmap(n, fd) -->          the ids of mount n are mapped, by whom the file system belongs to
//!             <-- Go
//!   Hooks        -->          prestart, createRuntime (only if config.json has any)
//!             <-- Go
//!   Console(fd)  -->          to --console-socket, or kept by the caller
//!   Listener(n)  -->          descriptor n of the child, to seccomp's listenerPath
//!   Ready        -->          limits set, pid file written; create returns
//!             <-- Go          (only exec waits for it)
//!   Log(line)    -->          at any time: a line for the runtime's log
//!   Fail(error)  -->          at any time, the last word
//! ```
//! End of file before Ready: the child was killed. End of file after it: the program runs.

pub mod voice;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::error::{Error, Kind, OrFail, Result};
use crate::sys::socket;
use crate::wait;

/// What the child says.
#[derive(Debug)]
pub enum Word {
    /// Here is the process that matters from now on.
    Hop(OwnedFd),
    /// A user namespace waits for its maps.
    Map,
    /// It stands outside of its cgroup and waits to be moved.
    Cgroup,
    /// The network namespace waits for its devices.
    Network,
    /// A new time namespace waits for its offsets; nobody is in it yet.
    Time,
    /// The detached bind mount with this index in config.json is to show its files' owners through a user namespace.
    Idmap(usize, OwnedFd),
    /// The mounts stand, the root is not yet pivoted: time for the runtime's hooks.
    Hooks,
    /// The master of the container's terminal.
    Console(OwnedFd),
    /// Under this number the child is about to have its seccomp listener.
    Listener(i32),
    /// Everything is set up and dropped; the child waits for its gate.
    Ready,
    /// It did not work.
    Fail(Error),
    /// The child is gone.
    End,
}

/// Longest packet: an error with the output of a hook in it.
const LONGEST: usize = 16 * 1024;

const HOP: u8 = b'P';
const MAP: u8 = b'M';
const CGROUP: u8 = b'J';
const NETWORK: u8 = b'N';
const TIME: u8 = b'T';
const IDMAP: u8 = b'I';
const HOOKS: u8 = b'H';
const CONSOLE: u8 = b'C';
const LISTENER: u8 = b'L';
const READY: u8 = b'R';
const FAIL: u8 = b'F';
const LOG: u8 = b'D';
const GO: u8 = b'G';

/// The child's end.
#[derive(Debug)]
pub struct Child(OwnedFd);

/// The parent's end.
#[derive(Debug)]
pub struct Parent(OwnedFd);

/// A connected pair of ends.
pub fn pair() -> Result<(Parent, Child)> {
    let (parent, child) =
        socket::packet_pair().or_fail("socketpair", || "make the wire to the container's init")?;
    Ok((Parent(parent), Child(child)))
}

impl Child {
    fn say(&self, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<()> {
        // A word without a descriptor may be said behind a seccomp filter, where only what every program needs is sure
        // to be allowed.
        match fd {
            Some(fd) => socket::send(&self.0, bytes, Some(fd)).or_fail("sendmsg", || "speak to the runtime"),
            None => nix::unistd::write(&self.0, bytes).map(drop).or_fail("write", || "speak to the runtime"),
        }
    }

    /// Hands over the process that the hop has cloned.
    pub fn hop(&self, pidfd: &OwnedFd) -> Result<()> {
        self.say(&[HOP], Some(pidfd.as_fd()))
    }

    /// Asks for the maps of a new user namespace and waits until they are written.
    pub fn map(&self) -> Result<i32> {
        self.say(&[MAP], None)?;
        self.go()
    }

    /// Asks to be moved into its cgroup and waits for it.
    pub fn cgroup(&self) -> Result<()> {
        self.say(&[CGROUP], None)?;
        self.go().map(drop)
    }

    /// Waits for the network devices that the parent moves.
    pub fn network(&self) -> Result<i32> {
        self.say(&[NETWORK], None)?;
        self.go()
    }

    /// Asks for the offsets of a new time namespace and waits until they are written.
    pub fn time(&self) -> Result<()> {
        self.say(&[TIME], None)?;
        self.go().map(drop)
    }

    /// Lets the parent map the ids of a mount and waits for it.
    pub fn idmap(&self, index: usize, tree: &OwnedFd) -> Result<()> {
        let mut bytes = vec![IDMAP];
        bytes.extend(index.to_le_bytes());
        self.say(&bytes, Some(tree.as_fd()))?;
        self.go().map(drop)
    }

    /// Lets the parent run its hooks and waits for them. Gives this process's pid as the runtime sees it.
    pub fn hooks(&self) -> Result<i32> {
        self.say(&[HOOKS], None)?;
        self.go()
    }

    /// Hands over the terminal's master.
    pub fn console(&self, master: &OwnedFd) -> Result<()> {
        self.say(&[CONSOLE], Some(master.as_fd()))
    }

    /// Announces the number that the seccomp listener will have.
    pub fn listener(&self, fd: i32) -> Result<()> {
        let [a, b, c, d] = fd.to_le_bytes();
        self.say(&[LISTENER, a, b, c, d], None)
    }

    /// What this process logs from now on is said here: it was cloned, and the log belongs to the runtime.
    pub fn give_voice(&self) {
        voice::give(self.0.as_raw_fd());
    }

    /// What this process logs from now on is lost: the wire is about to be closed.
    pub fn take_voice(&self) {
        voice::take();
    }

    /// The last word of a child that succeeded.
    pub fn ready(&self) -> Result<()> {
        self.say(&[READY], None)
    }

    /// The last word of a child that did not. Nothing more can be done when even this fails.
    pub fn fail(&self, error: &Error) {
        let mut bytes = vec![FAIL, kind_byte(error.kind())];
        bytes.extend(shortened(&error.to_string()).into_bytes());
        let _ = self.say(&bytes, None);
    }

    /// Waits for the parent; a parent that is gone ends the child (no orphan outlives a killed runtime).
    pub fn go(&self) -> Result<i32> {
        let mut bytes = [0; 5];
        loop {
            match (nix::unistd::read(&self.0, &mut bytes), bytes) {
                (Ok(5), [GO, a, b, c, d]) => return Ok(i32::from_le_bytes([a, b, c, d])),
                (Ok(_), _) => return Err(Error::new(Kind::Host, "the runtime is gone")),
                (Err(Errno::EINTR), _) => {}
                (Err(errno), _) => return Err(Error::os("read", errno, "wait for the runtime")),
            }
        }
    }

    /// The descriptor, for those who keep it open over a purge.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Parent {
    /// The next word. Lines for the log are logged on the way.
    pub async fn hear(&self) -> Result<Word> {
        let mut buffer = vec![0; LONGEST];
        let (length, fd) = loop {
            wait::readable(self.0.as_fd()).await;
            let heard = match socket::recv(&self.0, &mut buffer) {
                // The child is gone and has not read what it was told last. The socket says so once, before the words
                // that it still holds.
                Err(Errno::ECONNRESET) => socket::recv(&self.0, &mut buffer),
                heard => heard,
            };
            let (length, fd) = match heard {
                Ok(packet) => packet,
                Err(Errno::ECONNRESET) => return Ok(Word::End),
                Err(errno) => return Err(Error::os("recvmsg", errno, "listen to the container's init")),
            };
            match buffer.get(..length) {
                Some([LOG, line @ ..]) if voice::log(line) => {}
                _ => break (length, fd),
            }
        };
        let odd = || Error::new(Kind::Host, "the container's init said something that is no word");
        match (buffer.get(..length).unwrap_or_default(), fd) {
            ([], _) => Ok(Word::End),
            ([HOP], Some(fd)) => Ok(Word::Hop(fd)),
            ([MAP], _) => Ok(Word::Map),
            ([CGROUP], _) => Ok(Word::Cgroup),
            ([NETWORK], _) => Ok(Word::Network),
            ([TIME], _) => Ok(Word::Time),
            ([IDMAP, index @ ..], Some(fd)) => {
                Ok(Word::Idmap(usize::from_le_bytes(index.try_into().map_err(|_| odd())?), fd))
            }
            ([HOOKS], _) => Ok(Word::Hooks),
            ([CONSOLE], Some(fd)) => Ok(Word::Console(fd)),
            ([LISTENER, number @ ..], _) => {
                Ok(Word::Listener(i32::from_le_bytes(number.try_into().map_err(|_| odd())?)))
            }
            ([READY], _) => Ok(Word::Ready),
            ([FAIL, kind, text @ ..], _) => {
                Ok(Word::Fail(Error::new(byte_kind(*kind), String::from_utf8_lossy(text).into_owned())))
            }
            _ => Err(odd()),
        }
    }

    /// Lets the child go on and tells it its pid here.
    pub fn go(&self, pid: Pid) -> Result<()> {
        let [a, b, c, d] = pid.as_raw().to_le_bytes();
        match socket::send(&self.0, &[GO, a, b, c, d], None) {
            // The child is gone: what it said last, or the end of file, tells why.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(Error::os("sendmsg", errno, "speak to the container's init")),
        }
    }

    /// The descriptor, for an event loop.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A text that fits into a packet: of one that is too long (a path of 66 KB), the beginning says what, the end why.
fn shortened(text: &str) -> String {
    let half = LONGEST / 4;
    if text.len() <= 2 * half {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let lossy = String::from_utf8_lossy;
    format!("{} ... {}", lossy(&bytes[..half]), lossy(&bytes[bytes.len() - half..]))
}

const KINDS: [(Kind, u8); 7] = [
    (Kind::Host, b'h'),
    (Kind::Invalid, b'i'),
    (Kind::NotFound, b'n'),
    (Kind::Exists, b'e'),
    (Kind::State, b's'),
    (Kind::NotRunning, b'r'),
    (Kind::Program, b'p'),
];

/// A kind of error as one letter.
pub fn kind_byte(kind: Kind) -> u8 {
    KINDS.iter().find(|(k, _)| *k == kind).map_or(b'h', |(_, byte)| *byte)
}

/// The kind of error that a letter stands for.
pub fn byte_kind(byte: u8) -> Kind {
    KINDS.iter().find(|(_, b)| *b == byte).map_or(Kind::Host, |(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_as_they_were_said() {
        let (parent, child) = pair().unwrap();
        child.ready().unwrap();
        child.listener(-7).unwrap();
        child.hop(&std::fs::File::open("/dev/null").unwrap().into()).unwrap();
        child.fail(&Error::os("open", Errno::ENOENT, "open /x").of_kind(Kind::Invalid));
        assert!(matches!(wait::block(parent.hear()).unwrap(), Word::Ready));
        assert!(matches!(wait::block(parent.hear()).unwrap(), Word::Listener(-7)));
        assert!(matches!(wait::block(parent.hear()).unwrap(), Word::Hop(_)));
        let Word::Fail(error) = wait::block(parent.hear()).unwrap() else { panic!("not a failure") };
        assert_eq!(error.to_string(), "open /x: open: no such file or directory");
        assert_eq!(error.kind(), Kind::Invalid);
        child.fail(&Error::invalid(format!("open {}: file name too long", "é".repeat(66_000))));
        let Word::Fail(error) = wait::block(parent.hear()).unwrap() else { panic!("not a failure") };
        let text = error.to_string();
        assert!(text.starts_with("open é") && text.ends_with(": file name too long"), "{text}");
        drop(child);
        assert!(matches!(wait::block(parent.hear()).unwrap(), Word::End));
    }

    #[test]
    fn the_last_word_of_a_child_that_did_not_listen_is_heard() {
        let (parent, child) = pair().unwrap();
        parent.go(Pid::from_raw(1)).unwrap();
        child.fail(&Error::invalid("no"));
        drop(child);
        let hear = || wait::block(parent.hear()).unwrap();
        assert!(matches!(hear(), Word::Fail(_)));
        assert!(matches!(hear(), Word::End));
    }

    #[test]
    fn a_parent_that_is_gone_stops_the_child() {
        let (parent, child) = pair().unwrap();
        parent.go(Pid::from_raw(70_000)).unwrap();
        assert_eq!(child.go().unwrap(), 70_000);
        drop(parent);
        assert!(child.go().is_err());
    }
}
