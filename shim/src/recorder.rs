//! A program that records a process's output: `binary://PATH?key=value` and `binary-v2://`, by containerd's contract for
//! log programs. It gets the output as descriptors 3 and 4 and says by 5 that it is ready; it is waited for when the
//! output has ended. Must never outlive its container's deletion.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use pinnace::error::{Error, Kind, OrFail, Result};
use pinnace::sys::process::pidfd_signal;
use pinnace::sys::spawn::{Program, spawn};
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::container::SIGKILL;
use crate::polled::readable;
use crate::pump::{DRAIN, ready};

/// How long it may take to get ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);

/// SIGTERM, the same number on every processor.
const SIGTERM: i32 = 15;

/// What the URI says.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    /// It must write a byte when it is ready; else closing the descriptor is enough.
    says_ready: bool,
    /// The file and its arguments.
    words: Vec<String>,
}

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Recorder {
    pidfd: AsyncFd<OwnedFd>,
}

/// Whether a program is to record.
pub(crate) fn is_one(uri: &str) -> bool {
    uri.starts_with("binary://") || uri.starts_with("binary-v2://")
}

impl Recorder {
    /// Starts it for the output of a process and waits until it is ready.
    pub async fn start(uri: &str, id: &str, namespace: &str, outputs: [OwnedFd; 2]) -> Result<Self> {
        let command = parse(uri);
        let what = || format!("start log program {}", command.words.join(" "));
        let text = |text: String| CString::new(text).map_err(|_| Error::invalid(format!("{}: nul", what())));
        let args = command.words.iter().cloned().map(text).collect::<Result<Vec<_>>>()?;
        let env = [text(format!("CONTAINER_ID={id}"))?, text(format!("CONTAINER_NAMESPACE={namespace}"))?];
        let Some(path) = args.first() else { return Err(Error::invalid(what())) };
        let (told, tells) = nix::unistd::pipe2(OFlag::O_CLOEXEC).or_fail("pipe2", what)?;
        let null = File::open("/dev/null").or_fail("open", what)?;
        let (_, pidfd) = spawn(&Program {
            path,
            args: &args,
            env: &env,
            dir: None,
            stdio: [null.as_fd(), null.as_fd(), null.as_fd()],
            more: &[outputs[0].as_fd(), outputs[1].as_fd(), tells.as_fd()],
        })
        .map_err(|errno| Error::os("execve", errno, what()))?;
        drop((outputs, tells));
        let recorder = Self { pidfd: readable(pidfd).or_fail("epoll_ctl", what)? };
        let told = readable(told).or_fail("epoll_ctl", what)?;
        let outcome = match timeout(PATIENCE, ready(&told, PollFlags::POLLIN)).await {
            Err(_) => Err(Error::new(Kind::Host, format!("{}: not ready after 10 s", what()))
                .hint("it must close descriptor 5 when it is")),
            Ok(_) => match nix::unistd::read(told.get_ref(), &mut [0]) {
                Ok(0) if command.says_ready => Err(Error::new(Kind::Host, format!("{}: it gave up", what()))),
                Ok(_) => Ok(()),
                Err(errno) => Err(Error::os("read", errno, what())),
            },
        };
        match outcome {
            Ok(()) => Ok(recorder),
            Err(error) => {
                recorder.signal(SIGKILL);
                Err(error)
            }
        }
    }

    /// Waits until it has ended by itself, its input being at its end, and ends it if it does not.
    pub async fn end(&self) {
        for (patience, signal) in [(DRAIN, SIGTERM), (GRACE, SIGKILL)] {
            if timeout(patience, ready(&self.pidfd, PollFlags::POLLIN)).await.is_ok() {
                return;
            }
            self.signal(signal);
        }
    }

    fn signal(&self, signal: i32) {
        match pidfd_signal(self.pidfd.get_ref(), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => log::warn!("end a log program: {errno}"),
        }
    }
}

fn parse(uri: &str) -> Command {
    let (scheme, rest) = uri.split_once("://").unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut words = vec![decode(path, false)];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        words.push(decode(key, true));
        words.push(decode(value, true));
    }
    Command { says_ready: scheme == "binary-v2", words }
}

/// Without the escapes of an URI (RFC 3986, section 2.1); in a query a plus is a space.
fn decode(text: &str, query: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%');
        let code = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        let (byte, after) = match code {
            Some(code) => (code, &after[2..]),
            None if query && *first == b'+' => (b' ', after),
            None => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_uri_says() {
        let words = |uri: &str| parse(uri).words;
        assert_eq!(words("binary:///bin/log"), ["/bin/log"]);
        assert_eq!(words("binary:///a%20b?k=v&x=1+2%2B"), ["/a b", "k", "v", "x", "1 2+"]);
        assert_eq!(words("binary-v2:///l?flag&=&100%"), ["/l", "flag", "", "", "", "100%", ""]);
        assert!(parse("binary-v2:///l").says_ready && !parse("binary:///l").says_ready);
        assert!(is_one("binary:///l") && is_one("binary-v2:///l") && !is_one("file:///l"));
    }
}
