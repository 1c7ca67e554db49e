//! The name of a container's unit, from `cgroupsPath` in the form `slice:prefix:name` (runc's docs/systemd.md). Pure.

use crate::error::{Error, Result};

/// A scope, and who manages it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `prefix-name.scope`
    pub name: String,
    /// The slice that it lies in.
    pub(super) slice: String,
    /// The manager of the user's own units, not the host's.
    pub user: bool,
}

/// systemd takes no longer names (src/basic/unit-name.h, UNIT_NAME_MAX), which are file names with a suffix.
const LONGEST: usize = 255;

impl Unit {
    /// The unit for container `id`. What is left out of `cgroups_path` is `system.slice` (a user's: `user.slice`),
    /// `pinnace`, and the id.
    ///
    /// # Errors
    /// Another form, or a name that systemd would not take.
    pub fn decide(id: &str, cgroups_path: Option<&str>, user: bool) -> Result<Self> {
        let path = cgroups_path.filter(|path| !path.is_empty());
        let parts: Vec<&str> = path.map_or_else(Vec::new, |path| path.split(':').collect());
        let (slice, prefix, name) = match (path, parts.as_slice()) {
            (None, _) => ("", "pinnace", id),
            (_, [slice, prefix, name]) => (*slice, *prefix, *name),
            (Some(path), _) => {
                return Err(Error::invalid(format!(
                    "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead"
                )));
            }
        };
        let slice = match (slice, user) {
            ("", false) => "system.slice",
            ("", true) => "user.slice",
            ("-", _) => "-.slice",
            (slice, _) => slice,
        };
        check_slice(slice)?;
        let name = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        check_name(&name)?;
        Ok(Self { name, slice: slice.to_owned(), user })
    }

    /// Whether a `cgroupsPath` can't mean anything else.
    pub fn is_meant(path: &str) -> bool {
        let mut parts = path.split(':');
        let slice = parts.next().is_some_and(|slice| slice.strip_suffix(".slice").is_some());
        slice && parts.count() == 2 && !path.contains('/')
    }

    /// A unit that was made before.
    pub fn known(name: String, user: bool) -> Self {
        Self { name, slice: String::new(), user }
    }
}

/// man 5 systemd.slice: each dash begins a slice in the one before it.
fn check_slice(slice: &str) -> Result<()> {
    let invalid = |why: &str| Error::invalid(format!("invalid slice name {slice:?} in cgroupsPath: {why}"));
    let Some(stem) = slice.strip_suffix(".slice") else { return Err(invalid("it does not end with .slice")) };
    if stem != "-" && stem.split('-').any(str::is_empty) {
        return Err(invalid("nothing stands before, behind or between its dashes"));
    }
    check_name(slice)
}

fn check_name(name: &str) -> Result<()> {
    let invalid = |why: String| Error::invalid(format!("invalid unit name {name:?} from cgroupsPath: {why}"));
    // src/basic/unit-name.c, VALID_CHARS; `@` would make it an instance of a template.
    let valid = |c: char| c.is_ascii_alphanumeric() || ":-_.\\".contains(c);
    if let Some(c) = name.chars().find(|c| !valid(*c)) {
        return Err(invalid(format!("systemd takes no {c:?} in it")));
    }
    if name.len() > LONGEST || name.starts_with(".s") {
        return Err(invalid(format!("it must have a name, and at most {LONGEST} characters")));
    }
    if name.strip_suffix(".scope").is_some_and(|stem| stem.strip_suffix(".slice").is_some()) {
        return Err(invalid("a container can't be a slice".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (path, user, name, slice) in [
            (None, false, "pinnace-id.scope", "system.slice"),
            (Some(""), true, "pinnace-id.scope", "user.slice"),
            (Some("machine.slice:libpod:0123"), false, "libpod-0123.scope", "machine.slice"),
            (Some("::x"), false, "x.scope", "system.slice"),
            (Some("-:a:b"), false, "a-b.scope", "-.slice"),
            (Some("kube-pod_1.slice:cri:x"), true, "cri-x.scope", "kube-pod_1.slice"),
        ] {
            let unit = Unit::decide("id", path, user).unwrap();
            assert_eq!((unit.name.as_str(), unit.slice.as_str()), (name, slice), "{path:?}");
        }
    }

    #[test]
    fn paths_that_mean_a_unit() {
        for (path, meant) in [
            ("system.slice:docker:0123", true),
            ("a-b.slice:x:y", true),
            ("/system.slice:a:b", false),
            ("system.slice:docker", false),
            ("a:b:c", false),
            ("/kubepods/x", false),
        ] {
            assert_eq!(Unit::is_meant(path), meant, "{path}");
        }
    }

    #[test]
    fn what_systemd_would_not_take() {
        let long = format!("system.slice:a:{}", "x".repeat(250));
        for (path, words) in [
            ("/docker/id", "expected cgroupsPath to be of format"),
            ("a:b", "expected cgroupsPath to be of format"),
            ("a.slice:b:c:d", "expected cgroupsPath to be of format"),
            ("system:a:b", "it does not end with .slice"),
            ("a--b.slice:a:b", "between its dashes"),
            ("-a.slice:a:b", "between its dashes"),
            ("a/b.slice:a:b", "systemd takes no '/' in it"),
            ("system.slice:a:b c", "systemd takes no ' ' in it"),
            ("system.slice:a:b@c", "systemd takes no '@' in it"),
            ("system.slice:a:../../b", "systemd takes no '/' in it"),
            ("system.slice::", "it must have a name"),
            ("system.slice:a:b.slice", "a container can't be a slice"),
            (&long, "at most 255 characters"),
        ] {
            let error = Unit::decide("id", Some(path), false).unwrap_err().to_string();
            assert!(error.contains(words), "{path}: {error}");
        }
        assert!(Unit::decide("a+b", None, false).unwrap_err().to_string().contains("takes no '+'"));
    }
}
