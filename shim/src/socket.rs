//! The socket that a shim serves on: its name, its making, and whether somebody serves there already. Must never be
//! reachable for another user.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use pinnace::error::{Error, Kind, OrFail, Result};
use sha2::{Digest, Sha256};

/// Where sockets are unless containerd says otherwise: short, since a socket's path can't have more than 107 bytes.
const DIR: &str = "/run/containerd/s";

/// Longest path of a socket (unix(7), without the zero byte).
const LONGEST: usize = 106;

/// What was found where the socket is to be.
#[derive(Debug)]
pub(crate) enum Socket {
    /// Nobody served: it is ours.
    Ours(UnixListener),
    /// A shim of the group serves.
    Served,
}

/// The socket's path: the same for all containers of a group, as containerd's own tools compute it.
pub(crate) fn path(dir: Option<&str>, address: &str, namespace: &str, group: &str) -> Result<PathBuf> {
    let name = Path::new(address).join(namespace).join(group);
    let digest = Sha256::digest(name.to_string_lossy().as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in digest {
        use std::fmt::Write;
        let _ = write!(hex, "{byte:02x}");
    }
    let path = Path::new(dir.filter(|dir| !dir.is_empty()).unwrap_or(DIR)).join(hex);
    if path.as_os_str().len() > LONGEST {
        return Err(Error::invalid(format!("socket path {} is too long", path.display()))
            .hint(format!("the directory may have {} bytes", LONGEST - 65)));
    }
    Ok(path)
}

/// Listens at `path`, unless a shim does. What a dead shim has left is taken away.
pub(crate) fn listen(path: &Path) -> Result<Socket> {
    let what = || format!("listen on {}", path.display());
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).or_fail("mkdir", what)?;
    }
    for _ in 0..3 {
        match UnixListener::bind(path) {
            Ok(listener) => {
                fs::set_permissions(path, Permissions::from_mode(0o600)).or_fail("chmod", what)?;
                return Ok(Socket::Ours(listener));
            }
            Err(error) if error.raw_os_error() == Some(code(Errno::EADDRINUSE)) => {
                if UnixStream::connect(path).is_ok() {
                    return Ok(Socket::Served);
                }
                remove(path);
            }
            Err(error) => return Err(error).or_fail("bind", what),
        }
    }
    Err(Error::new(Kind::Host, format!("{}: somebody else takes it again and again", what())))
}

/// Takes the socket's file away if nobody serves there any more.
pub(crate) fn remove_dead(path: &Path) {
    if matches!(UnixStream::connect(path), Err(e) if e.raw_os_error() == Some(code(Errno::ECONNREFUSED))) {
        remove(path);
    }
}

/// Takes the socket's file away.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        log::debug!("remove {}: {error}", path.display());
    }
}

fn code(errno: Errno) -> i32 {
    std::io::Error::from(errno).raw_os_error().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_one_that_ctr_computes() {
        // printf /run/containerd/containerd.sock/default/c | sha256sum
        let path = path(None, "/run/containerd/containerd.sock", "default", "c").unwrap();
        assert_eq!(
            path,
            Path::new(DIR).join("9cb583b155a36d5eb6ede9fb14dbf6eb7e8a23b3e803e95a337ba133e3043d85")
        );
    }

    #[test]
    fn a_path_that_the_kernel_would_cut_is_refused() {
        assert!(path(Some(&"d".repeat(41)), "/a", "n", "g").is_ok());
        assert!(path(Some(&"d".repeat(42)), "/a", "n", "g").is_err());
    }

    #[test]
    fn one_serves_and_a_dead_one_s_place_is_taken() {
        let path = std::env::temp_dir().join(format!("pinnace-socket-{}", std::process::id()));
        let Socket::Ours(first) = listen(&path).unwrap() else { panic!("somebody serves") };
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(listen(&path).unwrap(), Socket::Served));
        remove_dead(&path);
        assert!(path.exists());
        drop(first);
        let Socket::Ours(second) = listen(&path).unwrap() else { panic!("a dead one serves") };
        drop(second);
        remove_dead(&path);
        assert!(!path.exists());
    }
}
