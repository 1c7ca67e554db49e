//! A container's id: the one place where a name from outside becomes a file name. It never lets through a name that
//! could leave the state directory.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Longest id in bytes: it is the name of a directory and of a cgroup (NAME_MAX).
const MAX: usize = 255;

/// A valid container id: one file name of `[A-Za-z0-9_+.-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// Checks a name given by a user, an engine or a directory.
    ///
    /// # Errors
    /// The name is empty, too long, or has a byte that is not allowed; the texts are those of runc.
    pub fn parse(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::invalid("container id cannot be empty"));
        }
        if name.len() > MAX {
            return Err(Error::invalid(format!("invalid container ID format: {} bytes", name.len()))
                .hint(format!("use at most {MAX}")));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'.' | b'-');
        if name == "." || name == ".." || !name.bytes().all(allowed) {
            return Err(Error::invalid(format!("invalid container ID format: {name:?}"))
                .hint("use letters, digits, _ + . and -"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::parse(name)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_of_the_allowed_letters() {
        for name in ["a", "A-b_c+d.1", "...", ".a", "-", "a..b", &"x".repeat(MAX)] {
            assert_eq!(Id::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for name in
            [".", "..", "../x", "a/b", "/abs", "a b", "a\n", "a\0b", "é", "a:b", "%2e", &"x".repeat(MAX + 1)]
        {
            let text = Id::parse(name).unwrap_err().to_string();
            assert!(text.starts_with("invalid container ID format"), "{text}");
            assert!(!text.contains('\n'));
        }
        assert_eq!(Id::parse("").unwrap_err().to_string(), "container id cannot be empty");
    }
}
