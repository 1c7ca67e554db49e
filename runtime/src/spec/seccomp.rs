//! `linux.seccomp` of config.json, and what of it means "no filter". Only the reading; `seccomp` compiles it.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IntoDeserializer, Visitor};

use super::oci;

/// [`oci::LinuxSeccomp`] as files have it: oci-spec 0.10 refuses a profile without a default action.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Profile {
    #[serde(deserialize_with = "action")]
    default_action: Option<oci::LinuxSeccompAction>,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<oci::Arch>>,
    flags: Option<Vec<oci::LinuxSeccompFilterFlag>>,
    listener_path: Option<PathBuf>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<oci::LinuxSyscall>>,
}

/// A profile; `None` without one, and for one that has neither a default action nor a rule, as runc takes it.
pub(super) fn profile<'de, D: Deserializer<'de>>(d: D) -> Result<Option<oci::LinuxSeccomp>, D::Error> {
    let Some(read) = Option::<Profile>::deserialize(d)? else { return Ok(None) };
    let Some(default_action) = read.default_action else {
        return match read.syscalls {
            Some(rules) if !rules.is_empty() => Err(D::Error::missing_field("defaultAction")),
            _ => Ok(None),
        };
    };
    let mut profile = oci::LinuxSeccomp::default();
    profile
        .set_default_action(default_action)
        .set_default_errno_ret(read.default_errno_ret)
        .set_architectures(read.architectures)
        .set_flags(read.flags)
        .set_listener_path(read.listener_path)
        .set_listener_metadata(read.listener_metadata)
        .set_syscalls(read.syscalls);
    Ok(Some(profile))
}

/// An action; `None` for the empty word.
fn action<'de, D: Deserializer<'de>>(d: D) -> Result<Option<oci::LinuxSeccompAction>, D::Error> {
    struct Word;
    impl Visitor<'_> for Word {
        type Value = Option<oci::LinuxSeccompAction>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an action")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
            if word.is_empty() {
                return Ok(None);
            }
            oci::LinuxSeccompAction::deserialize(word.into_deserializer()).map(Some)
        }
    }
    d.deserialize_any(Word)
}

#[cfg(test)]
mod tests {
    use crate::spec::{oci, parse};

    fn read(seccomp: &str) -> Result<Option<oci::LinuxSeccomp>, String> {
        let file = format!(r#"{{"linux":{{"namespaces":[],"seccomp":{seccomp}}}}}"#);
        let spec = parse(file.as_bytes()).map_err(|error| error.to_string())?;
        Ok(spec.linux.unwrap().seccomp)
    }

    #[test]
    fn no_default_action_and_no_rule_is_no_filter() {
        for nothing in
            ["null", "{}", r#"{"defaultAction":""}"#, r#"{"defaultAction":null,"syscalls":[],"flags":[]}"#]
        {
            assert_eq!(read(nothing).unwrap(), None, "{nothing}");
        }
    }

    #[test]
    fn a_profile_is_read_whole() {
        let text = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":5,"architectures":["SCMP_ARCH_X86"],
            "flags":["SECCOMP_FILTER_FLAG_LOG"],"listenerPath":"/run/agent","listenerMetadata":"m",
            "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":null,"errnoRet":null}]}"#;
        assert_eq!(read(text).unwrap(), Some(serde_json::from_str(text).unwrap()));
    }

    #[test]
    fn what_is_not_a_profile_is_refused_with_its_place() {
        for (text, place) in [
            (
                r#"{"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#,
                "missing field `defaultAction`",
            ),
            (r#"{"defaultAction":"SCMP_ACT_X"}"#, "linux.seccomp.defaultAction"),
            (r#"{"defaultAction":"SCMP_ACT_LOG","flags":["X"]}"#, "linux.seccomp.flags[0]"),
            (r#"{"defaultAction":"SCMP_ACT_LOG","architectures":["X"]}"#, "linux.seccomp.architectures[0]"),
        ] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.contains(place), "{refusal}");
        }
    }
}
