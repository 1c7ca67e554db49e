//! The configuration in state.json: runc's `configs.Config`, written straight from the Spec. Only for readers of that
//! file. The rules of the seccomp filter are left out: they would be most of the file, and who wants them finds them in
//! config.json beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::cgroup::{Cgroup, Rule, letter};
use super::mount::Mount;
use super::{Each, State, Text, namespace_name};
use crate::plan::options::propagation;
use crate::spec::{Capabilities, Linux, OCI_VERSION, Process, Spec, oci};

pub(super) struct Config<'a> {
    state: &'a State,
    spec: &'a Spec,
}

impl<'a> Config<'a> {
    pub(super) fn new(state: &'a State, spec: &'a Spec) -> Self {
        Self { state, spec }
    }
}

/// Writes the entry unless it says what its absence says.
macro_rules! unless_default {
    ($map:ident, $($key:literal: $value:expr),+ $(,)?) => {
        $(if let Some(value) = $value { $map.serialize_entry($key, &value)?; })+
    };
}

fn if_set(flag: bool) -> Option<bool> {
    flag.then_some(true)
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl Serialize for Config<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { state, spec } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("rootfs", &state.rootfs)?;
        unless_default!(map,
            "no_pivot_root": if_set(state.flags.no_pivot),
            "readonlyfs": if_set(spec.root.as_ref().and_then(oci::Root::readonly).unwrap_or(false)),
            "hostname": filled(spec.hostname.as_deref()),
            "domainname": filled(spec.domainname.as_deref()),
        );
        map.serialize_entry("mounts", &Each(|| spec.mounts.iter().map(|m| Mount::new(m, &state.bundle))))?;
        map.serialize_entry("cgroups", &Cgroup::new(state, spec))?;
        map.serialize_entry("version", OCI_VERSION)?;
        map.serialize_entry("labels", &Labels(self))?;
        unless_default!(map,
            "no_new_keyring": if_set(state.flags.no_new_keyring),
            "rootless_euid": if_set(state.flags.rootless),
            "rootless_cgroups": if_set(state.flags.rootless),
            "Hooks": spec.hooks.as_ref().map(Hooks),
        );
        if let Some(process) = &spec.process {
            process_entries(&mut map, process)?;
        }
        linux_entries(&mut map, spec.linux.as_ref().unwrap_or(&Linux::default()))?;
        map.end()
    }
}

fn process_entries<M: SerializeMap>(map: &mut M, process: &Process) -> Result<(), M::Error> {
    unless_default!(map,
        "umask": process.user.umask,
        "capabilities": process.capabilities.as_ref().map(CapabilitySets::new),
        "apparmor_profile": filled(process.apparmor_profile.as_deref()),
        "process_label": filled(process.selinux_label.as_deref()),
        "oom_score_adj": process.oom_score_adj,
        "no_new_privileges": if_set(process.no_new_privileges),
        "scheduler": process.scheduler.as_ref(),
        "io_priority": process.io_priority.as_ref(),
    );
    Ok(())
}

fn linux_entries<M: SerializeMap>(map: &mut M, linux: &Linux) -> Result<(), M::Error> {
    map.serialize_entry("namespaces", &Each(|| linux.namespaces.iter().map(Namespace::new)))?;
    map.serialize_entry("devices", &Each(|| linux.devices.iter().map(Device::new)))?;
    unless_default!(map,
        "rootPropagation": linux.rootfs_propagation.as_deref().and_then(propagation),
        "mount_label": filled(linux.mount_label.as_deref()),
        "uid_mappings": IdMaps(&linux.uid_mappings).filled(),
        "gid_mappings": IdMaps(&linux.gid_mappings).filled(),
        "mask_paths": some_list(&linux.masked_paths),
        "readonly_paths": some_list(&linux.readonly_paths),
        "sysctl": some_map(&linux.sysctl),
        "netDevices": some_map(&linux.net_devices),
        "time_offsets": some_map(&linux.time_offsets),
        "intel_rdt": linux.intel_rdt.as_ref().map(IntelRdt::new),
        "personality": linux.personality.as_ref().map(|p| BTreeMap::from([("domain", domain(p.domain()))])),
    );
    let own_network = |ns: &&oci::LinuxNamespace| {
        ns.typ() == oci::LinuxNamespaceType::Network
            && ns.path().as_ref().is_none_or(|p| p.as_os_str().is_empty())
    };
    if linux.namespaces.iter().find(own_network).is_some() {
        map.serialize_entry("networks", &[BTreeMap::from([("type", "loopback")])])?;
    }
    Ok(())
}

fn some_list(list: &[String]) -> Option<&[String]> {
    (!list.is_empty()).then_some(list)
}

fn some_map<V>(map: &BTreeMap<String, V>) -> Option<&BTreeMap<String, V>> {
    (!map.is_empty()).then_some(map)
}

/// personality(2): PER_LINUX, PER_LINUX32.
fn domain(domain: oci::LinuxPersonalityDomain) -> u32 {
    match domain {
        oci::LinuxPersonalityDomain::PerLinux => 0,
        oci::LinuxPersonalityDomain::PerLinux32 => 8,
    }
}

/// Annotations as `key=value`, then the bundle.
struct Labels<'a>(&'a Config<'a>);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = self.0.state;
        let mut list = serializer.serialize_seq(Some(state.annotations.len() + 1))?;
        for (key, value) in &state.annotations {
            list.serialize_element(&Text(format_args!("{key}={value}")))?;
        }
        list.serialize_element(&Text(format_args!("bundle={}", state.bundle.display())))?;
        list.end()
    }
}

#[derive(Serialize)]
struct Namespace<'a> {
    #[serde(rename = "type")]
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a Path>,
}

impl<'a> Namespace<'a> {
    fn new(namespace: &'a oci::LinuxNamespace) -> Self {
        Self { typ: namespace_name(namespace.typ()), path: namespace.path().as_deref() }
    }
}

/// Id mappings under the names of runc's `configs.IDMap`.
pub(super) struct IdMaps<'a>(pub(super) &'a [oci::LinuxIdMapping]);

impl IdMaps<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn filled(self) -> Option<Self> {
        (!self.0.is_empty()).then_some(self)
    }
}

impl Serialize for IdMaps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct IdMap {
            container_id: u32,
            host_id: u32,
            size: u32,
        }
        let view = |m: &oci::LinuxIdMapping| IdMap {
            container_id: m.container_id(),
            host_id: m.host_id(),
            size: m.size(),
        };
        serializer.collect_seq(self.0.iter().map(view))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CapabilitySets<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    bounding: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    effective: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    inheritable: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    permitted: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ambient: &'a [String],
}

impl<'a> CapabilitySets<'a> {
    fn new(sets: &'a Capabilities) -> Self {
        Self {
            bounding: &sets.bounding,
            effective: &sets.effective,
            inheritable: &sets.inheritable,
            permitted: &sets.permitted,
            ambient: &sets.ambient,
        }
    }
}

/// Go's `devices.Device`: a node, with the fields of a rule.
#[derive(Serialize)]
struct Device<'a> {
    #[serde(flatten)]
    rule: Rule<'a>,
    path: &'a Path,
    file_mode: u32,
    uid: u32,
    gid: u32,
}

impl<'a> Device<'a> {
    fn new(device: &'a oci::LinuxDevice) -> Self {
        Self {
            rule: Rule {
                typ: letter(device.typ()),
                major: device.major(),
                minor: device.minor(),
                permissions: "".into(),
                allow: false,
            },
            path: device.path(),
            file_mode: device.file_mode().unwrap_or(0o666) & 0o7777,
            uid: device.uid().unwrap_or(0),
            gid: device.gid().unwrap_or(0),
        }
    }
}

#[derive(Serialize)]
struct IntelRdt<'a> {
    #[serde(rename = "closID", skip_serializing_if = "Option::is_none")]
    clos_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    schemata: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_cache_schema: Option<&'a str>,
    #[serde(rename = "memBwSchema", skip_serializing_if = "Option::is_none")]
    mem_bw_schema: Option<&'a str>,
    #[serde(rename = "enableMonitoring", skip_serializing_if = "std::ops::Not::not")]
    enable_monitoring: bool,
}

impl<'a> IntelRdt<'a> {
    fn new(rdt: &'a crate::spec::IntelRdt) -> Self {
        Self {
            clos_id: rdt.clos_id.as_deref(),
            schemata: &rdt.schemata,
            l3_cache_schema: rdt.l3_cache_schema.as_deref(),
            mem_bw_schema: rdt.mem_bw_schema.as_deref(),
            enable_monitoring: rdt.enable_monitoring,
        }
    }
}

/// Go's `configs.Hooks`.
struct Hooks<'a>(&'a oci::Hooks);

impl Serialize for Hooks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let prestart = self.0.prestart();
        for (name, hooks) in [
            ("createContainer", self.0.create_container()),
            ("createRuntime", self.0.create_runtime()),
            ("poststart", self.0.poststart()),
            ("poststop", self.0.poststop()),
            ("prestart", prestart),
            ("startContainer", self.0.start_container()),
        ] {
            if let Some(hooks) = hooks {
                map.serialize_entry(name, &Each(|| hooks.iter().map(Hook::new)))?;
            }
        }
        map.end()
    }
}

/// Go's `configs.Command`.
#[derive(Serialize)]
struct Hook<'a> {
    path: &'a Path,
    args: Option<&'a [String]>,
    env: Option<&'a [String]>,
    dir: &'static str,
    /// Nanoseconds.
    timeout: Option<i64>,
}

impl<'a> Hook<'a> {
    fn new(hook: &'a oci::Hook) -> Self {
        Self {
            path: hook.path(),
            args: hook.args().as_deref(),
            env: hook.env().as_deref(),
            dir: "",
            timeout: hook.timeout().map(|seconds| seconds.saturating_mul(1_000_000_000)),
        }
    }
}
