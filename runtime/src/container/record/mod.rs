//! state.json: what is known of a container once its init is there, under runc's field names, because cAdvisor,
//! NVIDIA's tools and debuggers read it. It never carries what decides about privileges: exec and start read the copy
//! of config.json beside it.

mod cgroup;
mod config;
mod mount;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::IgnoredAny;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::id::Id;
use super::process::ProcessId;
use crate::error::{Error, Kind, Result};
use crate::spec::oci::LinuxNamespaceType as Ns;
use crate::spec::{Spec, oci};

/// What state.json says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The container.
    pub id: Id,
    /// Its init.
    pub init: ProcessId,
    /// When it was made: RFC 3339, UTC.
    pub created: String,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The root file system, absolute.
    pub rootfs: PathBuf,
    /// config.json's annotations.
    pub annotations: BTreeMap<String, String>,
    /// Controller → the container's cgroup, absolute; "" is the unified hierarchy.
    pub cgroup_paths: BTreeMap<String, String>,
    /// How it was made.
    pub flags: Flags,
    /// Where descriptors 0, 1 and 2 of init led when it was made; CRIU needs them.
    pub external_descriptors: Vec<String>,
    /// The resctrl group.
    pub intel_rdt_path: Option<PathBuf>,
    /// The resctrl monitoring group.
    pub intel_rdt_mon_path: Option<PathBuf>,
    /// Which of the hooks that run after create there are in the configuration: whoever has none needs not read it.
    pub later_hooks: LaterHooks,
}

/// Hooks that are yet to come when a container is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaterHooks {
    /// After the start.
    pub poststart: bool,
    /// After the deletion.
    pub poststop: bool,
}

impl LaterHooks {
    /// Those of a configuration.
    pub fn of(spec: &Spec) -> Self {
        let some = |list: &Option<Vec<oci::Hook>>| list.as_ref().is_some_and(|list| !list.is_empty());
        spec.hooks.as_ref().map_or_else(Self::default, |hooks| Self {
            poststart: some(hooks.poststart()),
            poststop: some(hooks.poststop()),
        })
    }
}

/// How a container was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own in state.json")]
pub struct Flags {
    /// Its cgroup is a systemd unit.
    pub systemd_cgroup: bool,
    /// Made by a user who is not root.
    pub rootless: bool,
    /// Its root was moved instead of pivoted to.
    pub no_pivot: bool,
    /// It shares its creator's session keyring.
    pub no_new_keyring: bool,
}

impl State {
    /// state.json as bytes; `spec` is the container's configuration as it stands now.
    ///
    /// # Errors
    /// A path that is not UTF-8: JSON cannot say it.
    pub fn to_json(&self, spec: &Spec) -> Result<Vec<u8>> {
        // Some 6 KB for what Docker asks for.
        let mut json = Vec::with_capacity(16 << 10);
        let record = Record {
            id: self.id.as_str(),
            init_process_pid: self.init.pid,
            init_process_start: self.init.start,
            created: &self.created,
            config: config::Config::new(self, spec),
            rootless: self.flags.rootless,
            cgroup_paths: &self.cgroup_paths,
            namespace_paths: NamespacePaths(self.init.pid),
            external_descriptors: &self.external_descriptors,
            intel_rdt_path: self.intel_rdt_path.as_ref(),
            intel_rdt_mon_path: self.intel_rdt_mon_path.as_ref(),
        };
        serde_json::to_writer(&mut json, &record)
            .map_err(|e| Error::invalid(format!("write state of container {:?}: {e}", self.id.as_str())))?;
        Ok(json)
    }

    /// Reads state.json, also one that another runtime with runc's layout wrote.
    ///
    /// # Errors
    /// It is empty, torn or not a container's state.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let read: Read = serde_json::from_slice(json).map_err(|e| Error::new(Kind::State, e.to_string()))?;
        let cgroups = read.config.cgroups.unwrap_or_default();
        let mut bundle = PathBuf::new();
        let mut annotations = BTreeMap::new();
        for (key, value) in read.config.labels.iter().flatten().filter_map(|label| label.split_once('=')) {
            // The bundle is the label that the runtime appends, so the last one of that name.
            if key == "bundle" {
                bundle = value.into();
            } else {
                annotations.insert(key.to_owned(), value.to_owned());
            }
        }
        Ok(Self {
            id: Id::parse(&read.id)?,
            init: ProcessId { pid: read.init_process_pid, start: read.init_process_start },
            created: read.created,
            bundle,
            rootfs: read.config.rootfs,
            annotations,
            cgroup_paths: read.cgroup_paths.unwrap_or_default(),
            flags: Flags {
                systemd_cgroup: cgroups.systemd,
                rootless: read.rootless,
                no_pivot: read.config.no_pivot_root,
                no_new_keyring: read.config.no_new_keyring,
            },
            external_descriptors: read.external_descriptors.unwrap_or_default(),
            intel_rdt_path: read.intel_rdt_path,
            intel_rdt_mon_path: read.intel_rdt_mon_path,
            later_hooks: read.config.hooks.map_or_else(LaterHooks::default, |hooks| LaterHooks {
                poststart: hooks.poststart.is_some_and(|list| !list.is_empty()),
                poststop: hooks.poststop.is_some_and(|list| !list.is_empty()),
            }),
        })
    }
}

#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    init_process_pid: i32,
    init_process_start: u64,
    created: &'a str,
    config: config::Config<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rootless: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cgroup_paths: &'a BTreeMap<String, String>,
    namespace_paths: NamespacePaths,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    external_descriptors: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    intel_rdt_path: Option<&'a PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intel_rdt_mon_path: Option<&'a PathBuf>,
}

/// What we need back of it.
#[derive(Deserialize)]
struct Read {
    id: String,
    init_process_pid: i32,
    init_process_start: u64,
    created: String,
    config: ReadConfig,
    #[serde(default)]
    rootless: bool,
    cgroup_paths: Option<BTreeMap<String, String>>,
    external_descriptors: Option<Vec<String>>,
    intel_rdt_path: Option<PathBuf>,
    intel_rdt_mon_path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct ReadConfig {
    rootfs: PathBuf,
    labels: Option<Vec<String>>,
    #[serde(default)]
    no_pivot_root: bool,
    #[serde(default)]
    no_new_keyring: bool,
    cgroups: Option<ReadCgroups>,
    #[serde(rename = "Hooks")]
    hooks: Option<ReadHooks>,
}

#[derive(Deserialize)]
struct ReadHooks {
    poststart: Option<Vec<IgnoredAny>>,
    poststop: Option<Vec<IgnoredAny>>,
}

#[derive(Default, Deserialize)]
struct ReadCgroups {
    #[serde(rename = "Systemd", default)]
    systemd: bool,
}

/// Namespace type, its name in state.json, and its file in /proc/PID/ns; sorted by name.
const NAMESPACES: [(Ns, &str, &str); 8] = [
    (Ns::Cgroup, "NEWCGROUP", "cgroup"),
    (Ns::Ipc, "NEWIPC", "ipc"),
    (Ns::Network, "NEWNET", "net"),
    (Ns::Mount, "NEWNS", "mnt"),
    (Ns::Pid, "NEWPID", "pid"),
    (Ns::Time, "NEWTIME", "time"),
    (Ns::User, "NEWUSER", "user"),
    (Ns::Uts, "NEWUTS", "uts"),
];

fn namespace_name(typ: Ns) -> &'static str {
    NAMESPACES.iter().find(|(known, ..)| *known == typ).map_or("", |(_, name, _)| name)
}

struct NamespacePaths(i32);

impl Serialize for NamespacePaths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(NAMESPACES.len()))?;
        for (_, name, file) in NAMESPACES {
            map.serialize_key(name)?;
            map.serialize_value(&Text(format_args!("/proc/{}/ns/{file}", self.0)))?;
        }
        map.end()
    }
}

/// A string that is formatted straight into the output.
struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A list that is made while it is written: `Each(|| iterator)`.
struct Each<F>(F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}
