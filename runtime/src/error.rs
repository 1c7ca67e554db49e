//! The one error: made once, where it fails, with its operand. It never knows other modules.
//!
//! Display is one line, lower case: what was attempted and on which object, the call, the errno's text, and what to
//! do about it. Engines show only this line to their users.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// What callers decide on; everything else about an error is in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// config.json, an id, a flag or an option is wrong: nothing was done.
    Invalid,
    /// There is no such container.
    NotFound,
    /// A container with that id is there already.
    Exists,
    /// The container is in a state that forbids the operation.
    State,
    /// The container (or the process in it) does not run.
    NotRunning,
    /// The kernel would not execute the process's program.
    Program,
    /// The host refused: a system call failed, a peer did not answer.
    Host,
}

/// An error with the place, the cause and the cure in one line.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    text: String,
    errno: Option<Errno>,
    hint: Option<String>,
}

/// The result of everything in this library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that no system call caused. `text` is verb, object and cause in lower case.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), errno: None, hint: None }
    }

    /// Shorthand for [`Kind::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, text)
    }

    /// A failed system call: `what` is verb and object ("open /etc/passwd"), `call` its name.
    pub fn os(call: &str, errno: Errno, what: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Host,
            text: format!("{what}: {call}: {}", errno_text(errno)),
            errno: Some(errno),
            hint: None,
        }
    }

    /// Adds what the user can do about it, after a semicolon.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts a larger frame around the text: `frame: text`.
    #[must_use]
    pub fn within(mut self, frame: impl fmt::Display) -> Self {
        self.text = format!("{frame}: {}", self.text);
        self
    }

    /// The same error with another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The text without the hint.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What a caller may decide on.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The errno of the call that failed, if one did.
    pub fn errno(&self) -> Option<Errno> {
        self.errno
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The text of an errno as runc prints it (Go's table: the C library's text in lower case), because engines match
/// "permission denied" and "no such file or directory".
pub fn errno_text(errno: Errno) -> String {
    // Where nix has words of its own.
    let text = match errno {
        Errno::UnknownErrno => "unknown error",
        Errno::EIO => "input/output error",
        Errno::EBADF => "bad file descriptor",
        Errno::EAGAIN => "resource temporarily unavailable",
        Errno::ENOMEM => "cannot allocate memory",
        Errno::EXDEV => "invalid cross-device link",
        Errno::ENFILE => "too many open files in system",
        Errno::ENOTTY => "inappropriate ioctl for device",
        Errno::EDOM => "numerical argument out of domain",
        Errno::ERANGE => "numerical result out of range",
        Errno::EDEADLK => "resource deadlock avoided",
        Errno::ENOLCK => "no locks available",
        Errno::ELOOP => "too many levels of symbolic links",
        Errno::ENETRESET => "network dropped connection on reset",
        Errno::EBADMSG => "bad message",
        Errno::EILSEQ => "invalid or incomplete multibyte or wide character",
        Errno::EOPNOTSUPP => "operation not supported",
        Errno::EDQUOT => "disk quota exceeded",
        other => return other.desc().to_lowercase(),
    };
    text.to_owned()
}

/// Gives a failed call its operand: `.or_fail("openat2", || format!("open {path}"))?`.
pub trait OrFail<T> {
    /// Turns the errno into an [`Error`]; `what` is only built when the call failed.
    fn or_fail<D: fmt::Display>(self, call: &str, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T> OrFail<T> for nix::Result<T> {
    fn or_fail<D: fmt::Display>(self, call: &str, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|errno| Error::os(call, errno, what()))
    }
}

impl<T> OrFail<T> for io::Result<T> {
    fn or_fail<D: fmt::Display>(self, call: &str, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| match error.raw_os_error() {
            Some(code) => Error::os(call, Errno::from_raw(code), what()),
            None => Error::new(Kind::Host, format!("{}: {call}: {error}", what())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_call_cause_and_cure() {
        let error = Error::os("openat2", Errno::ENOENT, "open /a").hint("create /a").within("mount \"/a\"");
        assert_eq!(error.to_string(), "mount \"/a\": open /a: openat2: no such file or directory; create /a");
        assert_eq!(error.errno(), Some(Errno::ENOENT));
    }

    #[test]
    fn texts_that_engines_match() {
        assert_eq!(errno_text(Errno::EACCES), "permission denied");
        assert_eq!(errno_text(Errno::EPERM), "operation not permitted");
        assert_eq!(errno_text(Errno::EBUSY), "device or resource busy");
        assert_eq!(errno_text(Errno::EBADF), "bad file descriptor");
        assert_eq!(errno_text(Errno::EDQUOT), "disk quota exceeded");
    }
}
