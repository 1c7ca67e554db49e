//! Seccomp profiles as JSON, a comment for each rule, and what they come to for a container. Pure: it neither compiles a
//! profile nor loads one.
//!
//! A file in `profiles/` has a `defaultAction` and `defaultErrnoRet` as in the runtime-spec, and two lists.
//!
//! `rules`: what differs from the default. Each has
//!
//! * `comment`: why. Not optional.
//! * `names`, `args`, `errnoRet`: as in the runtime-spec; `action` as well, SCMP_ACT_ALLOW if absent.
//! * `archs`: the rule is for machines that run one of these (x86_64, x86, aarch64, arm, riscv64).
//! * `withAny`: the rule is for containers that may hold one of these capabilities.
//! * `without`: the rule is for containers that may hold none of these.
//!
//! `refused`: what has no rule on purpose, by `names` and `comment`. It changes nothing; but every system call that Linux
//! has is either in a rule or here, so that a new one is decided about and not overlooked.

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSyscall};
use serde::Deserialize;

/// A profile as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// What the profile is for.
    pub comment: String,
    /// For calls without a rule.
    pub default_action: LinuxSeccompAction,
    /// The errno of the default action.
    pub default_errno_ret: u32,
    /// In any order: no two rules disagree about a call.
    pub rules: Vec<Rule>,
    /// Calls that have no rule on purpose.
    pub refused: Vec<Refused>,
}

/// System calls that are treated alike for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Why.
    pub comment: String,
    /// The calls.
    pub names: Vec<String>,
    /// What happens to them.
    #[serde(default)]
    pub action: LinuxSeccompAction,
    /// The errno, for SCMP_ACT_ERRNO.
    #[serde(default)]
    pub errno_ret: Option<u32>,
    /// Conditions on the arguments.
    #[serde(default)]
    pub args: Option<Vec<LinuxSeccompArg>>,
    /// Only on machines that run one of these; on all if empty.
    #[serde(default)]
    pub archs: Vec<String>,
    /// Only with one of these capabilities; always if empty.
    #[serde(default)]
    pub with_any: Vec<String>,
    /// Only without all of these capabilities.
    #[serde(default)]
    pub without: Vec<String>,
}

/// System calls that are left to the default action for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Why.
    pub comment: String,
    /// The calls.
    pub names: Vec<String>,
}

/// The profile that containers get by default, for one that may hold `capabilities` ("CAP_CHOWN"; the bounding set), on
/// this machine.
pub fn default_profile<C: AsRef<str>>(capabilities: &[C]) -> LinuxSeccomp {
    Profile::default_for_containers().resolve(capabilities, std::env::consts::ARCH)
}

impl Profile {
    /// `profiles/default.json`.
    #[allow(clippy::missing_panics_doc, reason = "the file is part of the program, and tested")]
    pub fn default_for_containers() -> Self {
        serde_json::from_str(include_str!("../profiles/default.json"))
            .expect("invariant: profiles/default.json is a profile")
    }

    /// What the profile comes to for a container that may hold `capabilities`, on a machine of `arch` (as in
    /// [`std::env::consts::ARCH`]).
    pub fn resolve<C: AsRef<str>>(&self, capabilities: &[C], arch: &str) -> LinuxSeccomp {
        let (names, architectures) = family(arch);
        let runs = |arch: &String| names.contains(&arch.as_str());
        let held = |capability: &String| capabilities.iter().any(|held| held.as_ref() == capability);
        let rules = self.rules.iter().filter(|rule| {
            (rule.archs.is_empty() || rule.archs.iter().any(runs))
                && (rule.with_any.is_empty() || rule.with_any.iter().any(held))
                && !rule.without.iter().any(held)
        });
        let mut profile = LinuxSeccomp::default();
        profile
            .set_default_action(self.default_action)
            .set_default_errno_ret(Some(self.default_errno_ret))
            .set_architectures(Some(architectures.to_vec()))
            .set_syscalls(Some(rules.map(Rule::plain).collect()));
        profile
    }
}

impl Rule {
    /// The rule in the runtime-spec's words.
    fn plain(&self) -> LinuxSyscall {
        let mut plain = LinuxSyscall::default();
        plain
            .set_names(self.names.clone())
            .set_action(self.action)
            .set_errno_ret(self.errno_ret)
            .set_args(self.args.clone());
        plain
    }
}

/// What a machine of `arch` runs, in this crate's words and in the runtime-spec's. A filter kills calls of an architecture
/// that it does not cover, so 32-bit programs need theirs named.
fn family(arch: &str) -> (&'static [&'static str], &'static [Arch]) {
    match arch {
        "x86_64" => (&["x86_64", "x86"], &[Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]),
        "x86" => (&["x86"], &[Arch::ScmpArchX86]),
        "aarch64" => (&["aarch64", "arm"], &[Arch::ScmpArchAarch64, Arch::ScmpArchArm]),
        "arm" => (&["arm"], &[Arch::ScmpArchArm]),
        "riscv64" => (&["riscv64"], &[Arch::ScmpArchRiscv64]),
        _ => (&[], &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    use oci_spec::runtime::Capability;

    const DOCKERS: [&str; 14] = [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE",
    ];

    /// Calls that the profile allows, whatever the arguments.
    fn allowed(profile: &LinuxSeccomp) -> BTreeSet<&str> {
        let rules = profile.syscalls().iter().flatten();
        let plain =
            rules.filter(|rule| rule.action() == LinuxSeccompAction::ScmpActAllow && rule.args().is_none());
        plain.flat_map(LinuxSyscall::names).map(String::as_str).collect()
    }

    #[test]
    fn every_rule_says_why() {
        let profile = Profile::default_for_containers();
        let reasons = profile.rules.iter().map(|rule| (&rule.comment, &rule.names));
        for (comment, names) in reasons.chain(profile.refused.iter().map(|rule| (&rule.comment, &rule.names)))
        {
            assert!(comment.len() > 10 && comment.ends_with('.'), "{names:?}: {comment:?}");
            assert!(!names.is_empty(), "{comment}");
            assert!(names.is_sorted(), "{comment}: {names:?}");
        }
    }

    #[test]
    fn no_call_is_decided_twice() {
        let profile = Profile::default_for_containers();
        let mut decided = BTreeSet::new();
        for rule in profile.rules.iter().filter(|rule| rule.args.is_none() && rule.without.is_empty()) {
            for name in &rule.names {
                assert!(decided.insert(name), "{name}");
            }
        }
        for name in profile.refused.iter().flat_map(|refused| &refused.names) {
            assert!(profile.rules.iter().all(|rule| !rule.names.contains(name)), "{name}");
        }
    }

    #[test]
    fn conditions_name_what_exists() {
        for rule in Profile::default_for_containers().rules {
            for capability in rule.with_any.iter().chain(&rule.without) {
                assert!(
                    serde_json::from_value::<Capability>(capability.as_str().into()).is_ok(),
                    "{capability}"
                );
            }
            for arch in &rule.archs {
                assert!(!family(arch).1.is_empty(), "{arch}");
            }
        }
    }

    #[test]
    fn what_reaches_beyond_the_container_needs_a_capability() {
        let profile = default_profile(&DOCKERS);
        let allowed_calls = allowed(&profile);
        for name in ["read", "execve", "chroot", "ptrace", "openat2", "futex", "clock_nanosleep"] {
            assert!(allowed_calls.contains(name), "{name}");
        }
        for name in [
            "add_key",
            "bpf",
            "clock_settime",
            "clone",
            "clone3",
            "finit_module",
            "fsopen",
            "io_uring_setup",
            "keyctl",
            "kexec_load",
            "mount",
            "open_by_handle_at",
            "perf_event_open",
            "pidfd_getfd",
            "pivot_root",
            "reboot",
            "request_key",
            "setns",
            "socket",
            "syslog",
            "umount2",
            "unshare",
            "userfaultfd",
        ] {
            assert!(!allowed_calls.contains(name), "{name}");
        }
    }

    #[test]
    fn a_capability_opens_what_it_is_about() {
        for (capability, names) in [
            ("CAP_SYS_ADMIN", &["mount", "clone", "clone3", "unshare", "bpf"][..]),
            ("CAP_BPF", &["bpf"]),
            ("CAP_SYS_TIME", &["clock_settime"]),
            ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
        ] {
            let profile = default_profile(&[capability]);
            for name in names {
                assert!(allowed(&profile).contains(name), "{capability} {name}");
            }
            assert!(!allowed(&profile).contains("keyctl"), "{capability}");
        }
        let nothing = default_profile::<&str>(&[]);
        let enosys = nothing.syscalls().iter().flatten().find(|rule| rule.names() == &["clone3"]).unwrap();
        assert_eq!(enosys.errno_ret(), Some(38));
        let all = default_profile(&["CAP_SYS_ADMIN"]);
        assert!(all.syscalls().iter().flatten().all(|rule| rule.errno_ret().is_none()));
    }

    #[test]
    fn a_machine_gets_its_own_rules() {
        let profile = Profile::default_for_containers();
        let arm = profile.resolve::<&str>(&[], "aarch64");
        assert!(allowed(&arm).contains("set_tls") && !allowed(&arm).contains("modify_ldt"));
        assert_eq!(arm.architectures().as_deref().unwrap(), [Arch::ScmpArchAarch64, Arch::ScmpArchArm]);
        let pc = profile.resolve::<&str>(&[], "x86_64");
        assert!(allowed(&pc).contains("modify_ldt") && !allowed(&pc).contains("set_tls"));
        assert_eq!(pc.architectures().as_ref().unwrap().len(), 3);
    }
}
