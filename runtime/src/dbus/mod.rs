//! A D-Bus client as small as systemd asks for: calls, their answers, signals, one deadline for all of it. No thread, no
//! event loop: what waits is a future like every verb that does (see [`crate::wait`]). It never touches anything but its
//! socket.
//!
//! Of the crates, rustbus 0.19 waits without a deadline while it logs in, spins on a bus that hangs up, and names its own
//! user id, which is another one outside of a user namespace; zbus needs an async runtime and threads; minidbus needs a
//! newer Rust than this workspace.

mod address;
mod message;
mod value;

pub use address::Address;
pub use message::{Message, Method};
pub use value::Value;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, connect, send, socket};

use crate::error::{Error, Kind, Result};
use crate::wait;
use message::Kind as Is;

/// SASL EXTERNAL without a name: the bus takes the user from the socket, which is right also where this process's own
/// number for its user is not the bus's (a user namespace). All at once, as every bus takes it: the answers are read
/// when they are needed.
const LOGIN: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
/// A login is answered by two lines.
const LINES: u8 = 2;

/// The bus itself.
const BUS: Method<'_> = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "",
};

/// A connection.
#[derive(Debug)]
pub struct Bus {
    socket: OwnedFd,
    name: String,
    deadline: Instant,
    patience: Duration,
    /// There is no bus between: the peer knows no names, and sends all its signals unasked.
    direct: bool,
    serial: u32,
    /// Lines of the login that are still to come.
    lines: u8,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
    signals: Vec<Message>,
}

/// What came of a call.
#[derive(Debug)]
pub enum Answer {
    /// It was done.
    Done(Message),
    /// The error's name and its text.
    Refused(String, String),
}

impl Bus {
    /// Connects. Whatever is done with the connection must be done within `patience` from now.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(address: &Address, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let failed = |call: &str, errno| Error::os(call, errno, format!("connect to D-Bus at {address}"));
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)
            .map_err(|errno| failed("socket", errno))?;
        let target = address.socket().map_err(|errno| failed("connect", errno))?;
        loop {
            match connect(socket.as_raw_fd(), &target) {
                Ok(()) => break,
                Err(Errno::EINTR) => {}
                // Its queue is full (man 2 connect), which poll can't wait for.
                Err(Errno::EAGAIN) if Instant::now() < deadline => {
                    wait::sleep(Duration::from_millis(5)).await;
                }
                Err(errno) => return Err(failed("connect", errno)),
            }
        }
        let mut bus = Self {
            socket,
            name: address.to_string(),
            deadline,
            patience,
            direct: address.is_direct(),
            serial: 0,
            lines: LINES,
            outbox: LOGIN.to_vec(),
            inbox: Vec::new(),
            signals: Vec::new(),
        };
        if !bus.direct {
            bus.send(Method { member: "Hello", ..BUS }, &[]);
        }
        Ok(bus)
    }

    /// Wants to get the signals of a rule (D-Bus specification, match rules).
    pub fn subscribe(&mut self, rule: &str) {
        if !self.direct {
            self.send(Method { member: "AddMatch", ..BUS }, &[rule.into()]);
        }
    }

    /// Puts a call in line and gives its serial. It leaves with the next wait.
    pub fn send(&mut self, method: Method<'_>, arguments: &[Value]) -> u32 {
        self.serial += 1;
        self.outbox.extend(message::call(self.serial, method, arguments));
        self.serial
    }

    /// Waits for the answer to a call. That an earlier one was refused (a login, a subscription) is an error.
    pub async fn answer(&mut self, serial: u32) -> Result<Answer> {
        loop {
            let message = self.next().await?;
            match message.kind {
                Is::Signal => self.signals.push(message),
                Is::Return if message.answers == serial => return Ok(Answer::Done(message)),
                Is::Error => {
                    let text = message.arguments().into_iter().next().unwrap_or_default();
                    if message.answers == serial {
                        return Ok(Answer::Refused(message.error, text));
                    }
                    return Err(self.failed(&format!("{}: {text}", message.error)));
                }
                Is::Return | Is::Other => {}
            }
        }
    }

    /// Waits for a signal, which may have come already.
    pub async fn signal(&mut self, wanted: impl Fn(&Message) -> bool) -> Result<Message> {
        if let Some(index) = self.signals.iter().position(&wanted) {
            return Ok(self.signals.remove(index));
        }
        loop {
            let message = self.next().await?;
            if message.kind == Is::Signal && wanted(&message) {
                return Ok(message);
            }
        }
    }

    async fn next(&mut self) -> Result<Message> {
        self.flush().await?;
        loop {
            if self.lines > 0 {
                if self.login()? {
                    continue;
                }
            } else if let Some(length) =
                message::whole(&self.inbox).map_err(|()| self.failed("it sent no D-Bus message"))?
            {
                let message = Message::parse(&self.inbox[..length]);
                self.inbox.drain(..length);
                return message.ok_or_else(|| self.failed("it sent a damaged message"));
            }
            self.read().await?;
        }
    }

    /// Takes one line of the login; says whether one was there.
    fn login(&mut self) -> Result<bool> {
        let Some(end) = self.inbox.windows(2).position(|pair| pair == b"\r\n") else { return Ok(false) };
        let line: Vec<u8> = self.inbox.drain(..end + 2).take(end).collect();
        self.lines -= 1;
        let expected: &[u8] = if self.lines == 0 { b"OK" } else { b"DATA" };
        if line.starts_with(expected) {
            return Ok(true);
        }
        Err(self.failed(&format!("login: {}", String::from_utf8_lossy(&line))))
    }

    async fn flush(&mut self) -> Result<()> {
        while !self.outbox.is_empty() {
            match send(self.socket.as_raw_fd(), &self.outbox, MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT).await?,
                Err(errno) => return Err(self.broken("send", errno)),
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        let mut chunk = [0; 4096];
        loop {
            match nix::unistd::read(&self.socket, &mut chunk) {
                Ok(0) => return Err(self.failed("it hung up")),
                Ok(count) => {
                    self.inbox.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLIN).await?,
                Err(errno) => return Err(self.broken("read", errno)),
            }
        }
    }

    async fn wait(&self, events: PollFlags) -> Result<()> {
        wait::any([Some((self.socket.as_fd(), events)), None, None], Some(self.deadline)).await;
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(self.failed(&format!("no answer within {:?}", self.patience)))
    }

    fn failed(&self, why: &str) -> Error {
        Error::new(Kind::Host, format!("talk to D-Bus at {}: {why}", self.name))
    }

    fn broken(&self, call: &str, errno: Errno) -> Error {
        Error::os(call, errno, format!("talk to D-Bus at {}", self.name))
    }
}

#[cfg(test)]
#[path = "bus_test.rs"]
mod tests;
