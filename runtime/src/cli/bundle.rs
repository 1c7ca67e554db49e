//! Which bundle, and which paths beside it. It only looks; it never changes the current directory, as runc does.

use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::Call;
use super::root::absolute;
use crate::container::id::Id;
use crate::error::{Error, OrFail, Result};
use crate::sys::fs::fd_path;

/// The bundle that `--bundle` names, or the current directory; absolute and without symbolic links, since it is what
/// `state` tells to whoever looks later.
pub(crate) fn named(call: &Call) -> Result<PathBuf> {
    let path = Path::new(call.matches.path("bundle").unwrap_or("."));
    let what = || format!("find the bundle {}", path.display());
    // What the kernel calls it: musl's realpath would ask for every part of the path, and for a heap of its own.
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let bundle = nix::fcntl::open(path, flags, Mode::empty()).or_fail("open", what)?;
    nix::fcntl::readlink(&fd_path(&bundle)).map(PathBuf::from).or_fail("readlink", what)
}

/// A flag's path. Sockets are named relative to the bundle, which is where runc has gone by the time it opens them.
pub(crate) fn beside(bundle: &Path, path: Option<&str>) -> Option<PathBuf> {
    path.map(|path| bundle.join(path))
}

/// The flag `--pid-file`, which is relative to the current directory whatever the bundle is.
pub(crate) fn pid_file(call: &Call) -> Result<Option<PathBuf>> {
    call.matches.path("pid-file").map(|path| absolute(Path::new(path))).transpose()
}

/// The bundle and the container's name for `run`'s operand when that is a path: a name can't hold a slash.
pub(crate) fn run_directly(operand: &str) -> Result<Option<(PathBuf, Id)>> {
    if !operand.contains('/') {
        return Ok(None);
    }
    let path = absolute(Path::new(operand))?;
    if !path.is_dir() {
        return Err(Error::invalid(format!("invalid container ID format: {operand:?}"))
            .hint("it has a slash, and there is no such bundle either"));
    }
    // "." and "x/.." have no name of their own.
    let path = path.canonicalize().unwrap_or(path);
    let id = Id::parse(&name(&path, std::process::id()))?;
    Ok(Some((path, id)))
}

fn name(bundle: &Path, number: u32) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_+.-".contains(c) { c } else { '-' };
    let last = bundle.file_name().map(std::ffi::OsStr::to_string_lossy).unwrap_or_default();
    // Names of cgroups and directories end at 255 bytes.
    let name: String = last.chars().map(allowed).take(200).collect();
    format!("{}-{number}", if name.is_empty() { "bundle" } else { &name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_bundles_are_valid_ids() {
        for (bundle, expected) in [
            ("/srv/web", "web-7"),
            ("/srv/my web", "my-web-7"),
            ("/srv/..web", "..web-7"),
            ("/srv/größe", "gr--e-7"),
            ("/", "bundle-7"),
        ] {
            let name = name(Path::new(bundle), 7);
            assert_eq!(name, expected);
            assert!(Id::parse(&name).is_ok());
        }
        let long = format!("/{}", "x".repeat(255));
        assert!(Id::parse(&name(Path::new(&long), u32::MAX)).is_ok());
    }

    #[test]
    fn only_a_path_to_a_directory_is_a_bundle() {
        assert!(run_directly("web").unwrap().is_none());
        let text = run_directly("/nonexistent/web").unwrap_err().to_string();
        assert!(text.starts_with("invalid container ID format"), "{text}");
        let (path, id) = run_directly("/proc/self/..").unwrap().unwrap();
        assert_eq!(path, Path::new("/proc"));
        assert!(id.as_str().starts_with("proc-"));
    }
}
