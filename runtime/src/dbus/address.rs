//! Where a bus listens (D-Bus specification, server addresses). Understands unix sockets; connects to nothing itself.

use std::fmt;
use std::path::PathBuf;

use nix::sys::socket::UnixAddr;

/// A unix socket, and who answers there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A bus on a socket in the file system.
    Path(PathBuf),
    /// A bus on a socket with an abstract name.
    Abstract(Vec<u8>),
    /// The service itself, with no bus between: it knows no names and sends all its signals.
    Direct(PathBuf),
}

impl Address {
    /// The first unix socket of a list as in DBUS_SESSION_BUS_ADDRESS: `unix:path=/run/user/1000/bus;…`.
    pub fn parse(list: &str) -> Option<Self> {
        list.split(';').filter_map(|address| address.strip_prefix("unix:")).find_map(|keys| {
            keys.split(',').filter_map(|pair| pair.split_once('=')).find_map(|(key, value)| match key {
                "path" => Some(Self::Path(String::from_utf8(plain(value)?).ok()?.into())),
                "abstract" => Some(Self::Abstract(plain(value)?)),
                _ => None,
            })
        })
    }

    /// Whether there is no bus between.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self, Self::Direct(_))
    }

    pub(super) fn socket(&self) -> nix::Result<UnixAddr> {
        match self {
            Self::Path(path) | Self::Direct(path) => UnixAddr::new(path),
            Self::Abstract(name) => UnixAddr::new_abstract(name),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) | Self::Direct(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

/// Without `%2f` and its like.
fn plain(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, tail) = tail.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
        rest = tail;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        for (list, expected) in [
            ("unix:path=/run/user/1000/bus", Some(Address::Path("/run/user/1000/bus".into()))),
            ("unix:path=/a%20b,guid=0", Some(Address::Path("/a b".into()))),
            ("tcp:host=x;unix:guid=1,abstract=/tmp/x", Some(Address::Abstract(b"/tmp/x".to_vec()))),
            ("unix:path=/a%2", None),
            ("unix:runtime=yes", None),
            ("", None),
        ] {
            assert_eq!(Address::parse(list), expected, "{list}");
        }
    }
}
