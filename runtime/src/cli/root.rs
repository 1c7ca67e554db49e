//! Where the containers' state lies when `--root` does not say, and what `--root` may not say.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::unistd::Uid;

use crate::error::{Error, OrFail, Result};

const DEFAULT: &str = "/run/pinnace";

/// The state directory: `given` made absolute, or the default one of this user.
pub(crate) fn resolve(given: Option<&str>) -> Result<PathBuf> {
    let Some(given) = given else { return default() };
    let root = clean(&absolute(Path::new(given))?);
    if root == Path::new("/") {
        return Err(Error::invalid("Option --root argument should not be set to /"));
    }
    Ok(root)
}

/// `path` below the current directory unless it is absolute.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let here = std::env::current_dir().or_fail("getcwd", || "find the current directory")?;
    Ok(here.join(path))
}

/// Takes `.` and `..` out of an absolute path by its letters alone, like Go's filepath.Clean.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::Normal(name) => clean.push(name),
            _ => {}
        }
    }
    clean
}

fn default() -> Result<PathBuf> {
    let root = Uid::effective().is_root();
    let Some(runtime_dir) = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) else {
        return Ok(DEFAULT.into());
    };
    // Root of a user namespace that an ordinary user made keeps that user's XDG_RUNTIME_DIR, and can't write to /run.
    if root && (is_initial_user_namespace() || std::env::var_os("USER").is_some_and(|user| user == "root")) {
        return Ok(DEFAULT.into());
    }
    let root = Path::new(&runtime_dir).join("pinnace");
    let make = || format!("make the state directory {}", root.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&root).or_fail("mkdir", make)?;
    // The sticky bit keeps what is not touched for long from being cleaned away (XDG Base Directory Specification).
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o1700)).or_fail("chmod", make)?;
    Ok(root)
}

fn is_initial_user_namespace() -> bool {
    let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else { return true };
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_directory_is_refused_however_it_is_written() {
        for root in ["/", "//", "/.", "/a/..", "/a/b/../../..", "/../.."] {
            assert_eq!(
                resolve(Some(root)).unwrap_err().to_string(),
                "Option --root argument should not be set to /",
                "{root}"
            );
        }
    }

    #[test]
    fn paths_are_made_absolute_and_clean() {
        assert_eq!(resolve(Some("/run/./x//y/../z/")).unwrap(), Path::new("/run/x/z"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(resolve(Some("x")).unwrap(), here.join("x"));
    }
}
