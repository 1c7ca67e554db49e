//! config.json as types (runtime-spec 1.3). The leaves are oci-spec's; the branches are our own, because oci-spec 0.10
//! refuses the whole file for one unknown capability (the runtime-spec asks for a warning), keeps maps that swallow
//! duplicate keys, and lacks intelRdt.schemata. Pure: no system call but the read of the file in `load`.

mod default;
mod linux;
mod load;
mod place;
mod process;
mod schedule;
mod seccomp;
mod validate;

pub use default::{Defaults, default_spec};
pub use linux::{HugepageLimit, IntelRdt, Linux, Pids, Resources};
pub use load::{Loaded, load, load_process, parse, parse_process, parse_resources};
pub use oci_spec::runtime as oci;
pub use process::{Capabilities, ExecCpuAffinity, Process, User};
pub use schedule::{MemoryPolicy, Scheduler};
pub use validate::{
    BELOW_PROC, sysctl_path, validate, validate_process, validate_resources, validate_rootless,
};

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};

/// The runtime-spec version that this runtime implements and reports.
pub const OCI_VERSION: &str = "1.3.0";

/// config.json.
#[derive(Clone, Debug, Default, PartialEq, DeriveDeserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// Version of the runtime-spec the bundle was made for.
    pub oci_version: String,
    /// The container's process.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub root: Option<oci::Root>,
    /// Host name in the container's UTS namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// NIS domain name in the container's UTS namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Mounts, in order.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Commands run at moments of the lifecycle.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub hooks: Option<oci::Hooks>,
    /// Free metadata; what the runtime reads of it is an explicit list.
    #[serde(deserialize_with = "unique_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What is Linux's own.
    #[serde(deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// One mount of config.json (runtime-spec, config.md#mounts and config-linux.md).
#[derive(Clone, Debug, Default, PartialEq, DeriveDeserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where in the container.
    pub destination: String,
    /// File system type; empty or "bind"/"none" with a bind option means a bind mount.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// Device, directory on the host, or a dummy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// fstab-style options.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// User id mapping of an idmapped mount.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<oci::LinuxIdMapping>,
    /// Group id mapping of an idmapped mount.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<oci::LinuxIdMapping>,
}

/// A JSON `null` (Go's nil slice) is the default value.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    d: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// A struct that is written as an object, or not at all: serde's own reader would also take an array of the values in
/// the order of the fields, which no other runtime does.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    struct Object<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(access)).map(Some)
        }
    }
    d.deserialize_any(Object(std::marker::PhantomData))
}

/// A map that refuses a key that is there twice: two readers would see two different containers.
pub(crate) fn unique_map<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    d: D,
) -> Result<BTreeMap<String, V>, D::Error> {
    struct Unique<V>(std::marker::PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry::<String, V>()? {
                if map.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }
    d.deserialize_any(Unique(std::marker::PhantomData))
}
