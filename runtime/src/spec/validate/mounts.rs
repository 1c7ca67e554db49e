//! Mounts, hidden paths and device nodes: what stands in the file system of a container. Pure: lexical, so that what a
//! link could make of a path is asked again where it is opened.

use std::path::{Component, Path};

use super::namespaces::{Namespaces, mappings};
use super::{item, quoted, refuse};
use crate::error::{Error, Result};
use crate::spec::oci::{LinuxDevice, LinuxDeviceType, LinuxNamespaceType as Type};
use crate::spec::{Linux, Mount, Spec};

/// What may be mounted below /proc: files that lxcfs answers for, and two that checkpointing and FIPS need. A container
/// that could cover more could lie to whatever reads there (CVE-2019-16884, CVE-2025-52881).
pub const BELOW_PROC: [&str; 11] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/meminfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "proc/loadavg",
    "proc/slabinfo",
    "proc/net/dev",
    "proc/sys/kernel/ns_last_pid",
    "proc/sys/crypto/fips_enabled",
];

/// Highest numbers of a device: 12 and 20 bits (linux/kdev_t.h).
const MAX_MAJOR: i64 = (1 << 12) - 1;
const MAX_MINOR: i64 = (1 << 20) - 1;

pub(super) fn check(spec: &Spec, linux: &Linux, namespaces: &Namespaces<'_>) -> Result<()> {
    for mount in &spec.mounts {
        one(mount, namespaces).map_err(|e| e.within(format_args!("mount {:?}", mount.destination)))?;
    }
    for (field, paths) in
        [("linux.maskedPaths", &linux.masked_paths), ("linux.readonlyPaths", &linux.readonly_paths)]
    {
        for (index, path) in paths.iter().enumerate() {
            if !path.starts_with('/') {
                return Err(refuse(item(field, index), format_args!("{path:?} is not absolute")));
            }
        }
    }
    for (index, device) in linux.devices.iter().enumerate() {
        node(device).map_err(|e| e.within(item("linux.devices", index)))?;
    }
    Ok(())
}

fn one(mount: &Mount, namespaces: &Namespaces<'_>) -> Result<()> {
    if mount.destination.is_empty() {
        return Err(Error::invalid("destination must not be empty"));
    }
    if !mount.destination.starts_with('/') {
        log::warn!("mount destination {} is not absolute; it is taken from /", mount.destination);
    }
    over_proc(mount)?;
    id_mapping(mount, namespaces)
}

fn over_proc(mount: &Mount) -> Result<()> {
    let target = parts(&mount.destination);
    let is_proc = mount.typ.as_deref() == Some("proc");
    match target.as_slice() {
        // That what is bound there is a procfs is seen when it is opened.
        ["proc"] if is_bind(mount) || is_proc => Ok(()),
        ["proc"] => Err(Error::invalid("cannot be mounted because it is not of type proc")),
        ["proc", ..] if !BELOW_PROC.contains(&target.join("/").as_str()) => {
            Err(Error::invalid("cannot be mounted because it is inside /proc")
                .hint("mount it elsewhere, or use sysctl, maskedPaths or readonlyPaths"))
        }
        _ => Ok(()),
    }
}

/// The names of a path as they are left when `.` and `..` are worked out.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => parts.extend(name.to_str()),
            Component::ParentDir => drop(parts.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    parts
}

fn has_option(mount: &Mount, words: [&str; 2]) -> bool {
    mount.options.iter().flat_map(|option| option.split(',')).any(|word| words.contains(&word))
}

fn is_bind(mount: &Mount) -> bool {
    mount.typ.as_deref() == Some("bind") || has_option(mount, ["bind", "rbind"])
}

pub(super) fn is_id_mapped(mount: &Mount) -> bool {
    !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() || has_option(mount, ["idmap", "ridmap"])
}

fn id_mapping(mount: &Mount, namespaces: &Namespaces<'_>) -> Result<()> {
    if !is_id_mapped(mount) {
        return Ok(());
    }
    if !is_bind(mount) {
        return Err(Error::invalid("id-mapped mounts are only supported for bind-mounts"));
    }
    let both_or_none = mount.uid_mappings.is_empty() == mount.gid_mappings.is_empty();
    let container_mapping = mount.uid_mappings.is_empty() && namespaces.has(Type::User);
    if !both_or_none || (mount.uid_mappings.is_empty() && !container_mapping) {
        return Err(Error::invalid("id-mapped mounts must have both uid and gid mappings specified")
            .hint("or give the container a user namespace, whose mappings are then taken"));
    }
    mappings("uidMappings", &mount.uid_mappings)?;
    mappings("gidMappings", &mount.gid_mappings)
}

fn node(device: &LinuxDevice) -> Result<()> {
    if !device.path().is_absolute() {
        return Err(Error::invalid(format!("path {} is not absolute", quoted(device.path()))));
    }
    if device.typ() == LinuxDeviceType::A {
        return Err(Error::invalid("invalid device type \"a\"").hint("use c, b, u or p"));
    }
    // A FIFO has no numbers; the kernel does not look at what is given.
    if device.typ() != LinuxDeviceType::P {
        for (name, number, max) in
            [("major", device.major(), MAX_MAJOR), ("minor", device.minor(), MAX_MINOR)]
        {
            if !(0..=max).contains(&number) {
                return Err(Error::invalid(format!(
                    "{name} number {number} is out of range; use 0 to {max}"
                )));
            }
        }
    }
    for (name, id) in [("uid", device.uid()), ("gid", device.gid())] {
        if id == Some(u32::MAX) {
            return Err(Error::invalid(format!("{name} 4294967295 is not an id")));
        }
    }
    Ok(())
}
