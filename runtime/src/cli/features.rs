//! `features`: what this runtime can do, as the runtime-spec's features.md has it. It only says what is true of this
//! build and this kernel.

use std::collections::BTreeMap;

use serde::Serialize;

use super::help::{COMMIT, RELEASE};
use super::spec::indented;
use super::{Call, print};
use crate::error::Result;
use crate::plan::options;
use crate::seccomp::known;
use crate::spec::OCI_VERSION;

/// The release of runc whose behaviour this is; engines look for it under this name
/// (`org.opencontainers.runc.version` may be set by other runtimes that behave like it).
const COMPATIBLE_RUNC: &str = "1.5.0";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: [&'static str; 6],
    mount_options: Vec<&'static str>,
    linux: Linux,
    annotations: BTreeMap<&'static str, &'static str>,
    potentially_unsafe_config_annotations: [&'static str; 3],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: [&'static str; 8],
    capabilities: Vec<String>,
    cgroup: Cgroup,
    seccomp: Seccomp,
    apparmor: Enabled,
    selinux: Enabled,
    intel_rdt: IntelRdt,
    memory_policy: MemoryPolicy,
    mount_extensions: MountExtensions,
    net_devices: Enabled,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the runtime-spec's form")]
struct Cgroup {
    v1: bool,
    v2: bool,
    systemd: bool,
    systemd_user: bool,
    rdma: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seccomp {
    enabled: bool,
    actions: &'static [&'static str],
    operators: &'static [&'static str],
    archs: &'static [&'static str],
    known_flags: &'static [&'static str],
    supported_flags: Vec<&'static str>,
}

#[derive(Serialize)]
struct IntelRdt {
    enabled: bool,
    schemata: bool,
    monitoring: bool,
}

#[derive(Serialize)]
struct MemoryPolicy {
    modes: [&'static str; 7],
    flags: [&'static str; 3],
}

#[derive(Serialize)]
struct MountExtensions {
    idmap: Enabled,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

const YES: Enabled = Enabled { enabled: true };

/// Prints the features, indented by four blanks as runc has them.
pub(crate) fn features(_: &Call) -> Result<u8> {
    let mut text = String::from_utf8_lossy(&indented(&known_features(), b"    ")?).into_owned();
    text.push('\n');
    print(&text).map(|()| 0)
}

/// The features as JSON in one line, for a shim to hand on.
///
/// # Errors
/// None that is known of.
pub fn features_json() -> Result<Vec<u8>> {
    serde_json::to_vec(&known_features())
        .map_err(|error| crate::error::Error::invalid(format!("write the features: {error}")))
}

fn known_features() -> Features {
    Features {
        oci_version_min: "1.0.0",
        oci_version_max: OCI_VERSION,
        hooks: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        mount_options: options::names().collect(),
        linux: linux(),
        annotations: BTreeMap::from([
            ("io.github.pinnace.commit", COMMIT),
            ("io.github.pinnace.version", RELEASE),
            ("org.opencontainers.runc.checkpoint.enabled", "true"),
            ("org.opencontainers.runc.version", COMPATIBLE_RUNC),
        ]),
        potentially_unsafe_config_annotations: ["bundle", "org.systemd.property.", "org.criu.config"],
    }
}

fn linux() -> Linux {
    let mut capabilities: Vec<_> = caps::all().into_iter().collect();
    capabilities.sort_unstable_by_key(caps::Capability::index);
    Linux {
        namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
        capabilities: capabilities.iter().map(ToString::to_string).collect(),
        cgroup: Cgroup { v1: true, v2: true, systemd: true, systemd_user: true, rdma: true },
        seccomp: Seccomp {
            enabled: true,
            actions: &known::ACTIONS,
            operators: &known::OPERATORS,
            archs: &known::ARCHS,
            known_flags: &known::FLAGS,
            supported_flags: known::supported_flags(),
        },
        apparmor: YES,
        selinux: YES,
        intel_rdt: IntelRdt { enabled: true, schemata: true, monitoring: true },
        memory_policy: MemoryPolicy {
            modes: [
                "MPOL_BIND",
                "MPOL_DEFAULT",
                "MPOL_INTERLEAVE",
                "MPOL_LOCAL",
                "MPOL_PREFERRED",
                "MPOL_PREFERRED_MANY",
                "MPOL_WEIGHTED_INTERLEAVE",
            ],
            flags: ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
        },
        mount_extensions: MountExtensions { idmap: YES },
        net_devices: Enabled { enabled: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_spec_s_own_type_reads_it() {
        let text = indented(&known_features(), b"    ").unwrap();
        let read: oci_spec::runtime::Features = serde_json::from_slice(&text).unwrap();
        assert_eq!(read.oci_version_max(), "1.3.0");
        let linux = read.linux().as_ref().unwrap();
        assert_eq!(linux.namespaces().as_ref().unwrap().len(), 8);
        assert_eq!(linux.capabilities().as_ref().unwrap().len(), 41);
        assert_eq!(linux.cgroup().as_ref().unwrap().v2(), &Some(true));
        assert_eq!(linux.seccomp().as_ref().unwrap().enabled(), &Some(true));
        assert_eq!(
            linux.mount_extensions().as_ref().unwrap().idmap().as_ref().unwrap().enabled(),
            &Some(true)
        );
        let options = read.mount_options().as_ref().unwrap();
        assert!(options.is_sorted() && options.iter().any(|option| option == "rro"));
        assert!(!options.iter().any(|option| option.ends_with("idmap")));
    }

    #[test]
    fn annotations_are_single_lines() {
        for (name, value) in known_features().annotations {
            assert!(!value.is_empty() && !value.contains('\n'), "{name}={value:?}");
        }
    }
}
