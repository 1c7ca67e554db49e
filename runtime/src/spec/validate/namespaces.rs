//! Namespaces and all that only makes sense in one: id mappings, clock offsets, network devices. Pure.

use super::{item, quoted, refuse};
use crate::error::{Error, Result};
use crate::spec::oci::{LinuxIdMapping, LinuxNamespace, LinuxNamespaceType as Type};
use crate::spec::{Linux, Process};

/// Lines that the kernel takes in an id map (user_namespaces(7)).
const MAX_MAPPINGS: usize = 340;

/// The namespaces of a container, each type at most once.
pub(super) struct Namespaces<'a>(&'a [LinuxNamespace]);

impl<'a> Namespaces<'a> {
    /// Checks them and what depends on them.
    pub(super) fn check(linux: &'a Linux, process: &Process) -> Result<Self> {
        for (index, namespace) in linux.namespaces.iter().enumerate() {
            let typ = namespace.typ();
            if linux.namespaces.iter().take(index).any(|other| other.typ() == typ) {
                return Err(Error::invalid(format!(
                    "linux.namespaces: malformed spec file: duplicated ns {:?}",
                    word(typ)
                )));
            }
            if let Some(path) = namespace.path().as_deref().filter(|_| is_joined(namespace))
                && !path.is_absolute()
            {
                let why = format_args!("path {} is not absolute", quoted(path));
                return Err(refuse(item("linux.namespaces", index), why));
            }
        }
        let namespaces = Self(&linux.namespaces);
        // Without one, every mount of the container would be made on the host, and stay there.
        if !namespaces.has(Type::Mount) {
            return Err(refuse("linux.namespaces", "a container needs a mount namespace")
                .hint("add {\"type\": \"mount\"}"));
        }
        user(linux, process, &namespaces)?;
        clocks(linux, &namespaces)?;
        devices(linux, &namespaces)?;
        Ok(namespaces)
    }

    /// A namespace of this type is made or joined.
    pub(super) fn has(&self, typ: Type) -> bool {
        self.0.iter().any(|namespace| namespace.typ() == typ)
    }

    /// A namespace of this type is joined.
    fn joins(&self, typ: Type) -> bool {
        self.0.iter().any(|namespace| namespace.typ() == typ && is_joined(namespace))
    }
}

/// An empty path is none, as in Go.
pub(super) fn is_joined(namespace: &LinuxNamespace) -> bool {
    namespace.path().as_ref().is_some_and(|path| !path.as_os_str().is_empty())
}

/// The runtime-spec's word for a type.
fn word(typ: Type) -> &'static str {
    match typ {
        Type::Mount => "mount",
        Type::Cgroup => "cgroup",
        Type::Uts => "uts",
        Type::Ipc => "ipc",
        Type::User => "user",
        Type::Pid => "pid",
        Type::Network => "network",
        Type::Time => "time",
    }
}

fn user(linux: &Linux, process: &Process, namespaces: &Namespaces<'_>) -> Result<()> {
    let (uids, gids) = (&linux.uid_mappings, &linux.gid_mappings);
    let mapped = !uids.is_empty() || !gids.is_empty();
    if !namespaces.has(Type::User) {
        return if mapped {
            Err(Error::invalid(
                "user namespace mappings specified, but user namespace isn't enabled in the config",
            )
            .hint("add {\"type\": \"user\"} to linux.namespaces"))
        } else {
            Ok(())
        };
    }
    mappings("linux.uidMappings", uids)?;
    mappings("linux.gidMappings", gids)?;
    // Engines give the mappings of a namespace that is joined along with its path; its own are what counts.
    if namespaces.joins(Type::User) {
        return Ok(());
    }
    if !mapped {
        return Err(Error::invalid(
            "user namespaces enabled, but no namespace path to join nor mappings to apply specified",
        ));
    }
    for (name, list) in [("linux.uidMappings", uids), ("linux.gidMappings", gids)] {
        if list.is_empty() {
            return Err(refuse(name, "is missing: a user namespace needs both"));
        }
    }
    let user = &process.user;
    let groups = user.additional_gids.iter().map(|gid| ("additional group", *gid, gids));
    for (what, id, list) in [("uid", user.uid, uids), ("gid", user.gid, gids)].into_iter().chain(groups) {
        if !list
            .iter()
            .any(|map| id.checked_sub(map.container_id()).is_some_and(|offset| offset < map.size()))
        {
            return Err(Error::invalid(format!("cannot set {what} to unmapped {id} in user namespace")));
        }
    }
    Ok(())
}

/// What the kernel's map_write() refuses as a whole with EINVAL (user_namespaces(7)).
pub(super) fn mappings(field: &str, list: &[LinuxIdMapping]) -> Result<()> {
    if list.len() > MAX_MAPPINGS {
        return Err(refuse(field, format_args!("{} mappings; the kernel takes {MAX_MAPPINGS}", list.len())));
    }
    for (index, map) in list.iter().enumerate() {
        if map.size() == 0 {
            return Err(refuse(item(field, index), "size is 0"));
        }
        if map.container_id().checked_add(map.size()).is_none()
            || map.host_id().checked_add(map.size()).is_none()
        {
            return Err(refuse(item(field, index), "reaches beyond the last id"));
        }
        for other in list.iter().take(index) {
            let meet = |a: u32, a_size: u32, b: u32, b_size: u32| {
                a < b.saturating_add(b_size) && b < a.saturating_add(a_size)
            };
            if meet(map.container_id(), map.size(), other.container_id(), other.size())
                || meet(map.host_id(), map.size(), other.host_id(), other.size())
            {
                return Err(refuse(item(field, index), "overlaps another mapping"));
            }
        }
    }
    Ok(())
}

fn clocks(linux: &Linux, namespaces: &Namespaces<'_>) -> Result<()> {
    if linux.time_offsets.is_empty() {
        return Ok(());
    }
    if !namespaces.has(Type::Time) {
        return Err(Error::invalid(
            "time namespace offsets specified, but time namespace isn't enabled in the config",
        )
        .hint("add {\"type\": \"time\"} to linux.namespaces"));
    }
    if namespaces.joins(Type::Time) {
        return Err(Error::invalid(
            "time namespace enabled, but both namespace path and time offsets specified -- you may only provide one",
        ));
    }
    for (clock, offset) in &linux.time_offsets {
        if clock != "monotonic" && clock != "boottime" {
            return Err(refuse(
                "linux.timeOffsets",
                format_args!("{clock:?} is no clock; use monotonic or boottime"),
            ));
        }
        if offset.nanosecs().is_some_and(|nanos| nanos > 999_999_999) {
            return Err(refuse(format_args!("linux.timeOffsets.{clock}.nanosecs"), "is a second or more"));
        }
    }
    Ok(())
}

fn devices(linux: &Linux, namespaces: &Namespaces<'_>) -> Result<()> {
    if !linux.net_devices.is_empty() && !namespaces.has(Type::Network) {
        return Err(Error::invalid("unable to move network devices without a NET namespace"));
    }
    for (name, device) in &linux.net_devices {
        let new_name = device.name().as_deref().filter(|name| !name.is_empty());
        for name in [Some(name.as_str()), new_name].into_iter().flatten() {
            if !is_device_name(name) {
                return Err(Error::invalid(format!("invalid network device name {name:?}")));
            }
        }
    }
    Ok(())
}

/// dev_valid_name() of the kernel's net/core/dev.c; IFNAMSIZ is 16 with the NUL.
fn is_device_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() < 16
        && name != "."
        && name != ".."
        && !name.bytes().any(|b| b == b'/' || b == b':' || b.is_ascii_whitespace() || b == 0x0b)
}
