//! The annotations that change what is done: crun's, which podman and its users set. Everything else in `annotations` is
//! somebody else's and only kept. Pure.

use std::collections::BTreeMap;
use std::path::Path;

/// The process keeps the supplementary groups of the runtime's caller, which `podman run --group-add keep-groups` asks
/// for: "1".
pub const KEEP_GROUPS: &str = "run.oci.keep_original_groups";
/// File that hooks' standard output is appended to.
pub const HOOKS_STDOUT: &str = "run.oci.hooks.stdout";
/// File that hooks' standard error is appended to.
pub const HOOKS_STDERR: &str = "run.oci.hooks.stderr";
/// A seccomp profile with a system call that nobody knows is refused: anything but "0".
pub const FAIL_UNKNOWN_CALL: &str = "run.oci.seccomp_fail_unknown_syscall";

/// config.json's annotations.
pub type Annotations = BTreeMap<String, String>;

/// Whether the process keeps the caller's supplementary groups.
pub fn keeps_groups(annotations: &Annotations) -> bool {
    annotations.get(KEEP_GROUPS).is_some_and(|value| value == "1")
}

/// Whether an unknown system call in the seccomp profile is an error.
pub fn refuses_unknown_calls(annotations: &Annotations) -> bool {
    annotations.get(FAIL_UNKNOWN_CALL).is_some_and(|value| value != "0")
}

/// Where hooks write their standard output and their standard error, if not to the runtime.
pub fn hook_outputs(annotations: &Annotations) -> [Option<&Path>; 2] {
    [HOOKS_STDOUT, HOOKS_STDERR].map(|name| annotations.get(name).map(Path::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_as_crun_has_them() {
        let with = |name: &str, value: &str| Annotations::from([(name.to_owned(), value.to_owned())]);
        for (value, keeps, refuses) in [("1", true, true), ("0", false, false), ("", false, true)] {
            assert_eq!(keeps_groups(&with(KEEP_GROUPS, value)), keeps, "{value:?}");
            assert_eq!(refuses_unknown_calls(&with(FAIL_UNKNOWN_CALL, value)), refuses, "{value:?}");
        }
        let none = Annotations::new();
        assert!(!keeps_groups(&none) && !refuses_unknown_calls(&none));
        assert_eq!(hook_outputs(&with(HOOKS_STDERR, "/x")), [None, Some(Path::new("/x"))]);
    }
}
