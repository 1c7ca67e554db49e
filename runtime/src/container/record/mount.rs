//! A mount in state.json: runc's `configs.Mount`, with the flags of mount(2). Only for readers of that file; nothing is
//! ever mounted by it.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use super::config::IdMaps;
use crate::plan::options::{self, MountOptions};
use crate::spec;

#[derive(Serialize)]
pub(super) struct Mount<'a> {
    source: Cow<'a, str>,
    destination: &'a str,
    device: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    flags: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cleared_flags: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    propagation_flags: Vec<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rec_attr: Option<RecursiveAttributes>,
    #[serde(skip_serializing_if = "is_zero")]
    extensions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_mapping: Option<IdMapping<'a>>,
}

/// Go's `unix.MountAttr`.
#[derive(Serialize)]
struct RecursiveAttributes {
    #[serde(rename = "Attr_set")]
    set: u64,
    #[serde(rename = "Attr_clr")]
    clear: u64,
    #[serde(rename = "Propagation")]
    propagation: u64,
    #[serde(rename = "Userns_fd")]
    userns_fd: u64,
}

#[derive(Serialize)]
struct IdMapping<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recursive: bool,
    #[serde(skip_serializing_if = "IdMaps::is_empty")]
    uid_mappings: IdMaps<'a>,
    #[serde(skip_serializing_if = "IdMaps::is_empty")]
    gid_mappings: IdMaps<'a>,
}

/// `EXT_COPYUP` of runc.
const COPY_UP: u64 = 1;

/// `MOUNT_ATTR_*` → `MS_*`.
const ATTRIBUTES: [(u64, u64); 8] = [
    (0x1, 1),            // ro
    (0x2, 2),            // nosuid
    (0x4, 4),            // nodev
    (0x8, 8),            // noexec
    (0x10, 1 << 10),     // noatime
    (0x20, 1 << 24),     // strictatime
    (0x80, 1 << 11),     // nodiratime
    (0x20_0000, 1 << 8), // nosymfollow
];
const ATTR_ATIME: u64 = 0x70;
const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_REC: u64 = 16384;
const MS_RELATIME: u64 = 1 << 21;

/// Super block words → `MS_*`; "ro" is among the attributes already.
const SUPER: [(&str, u64); 4] = [("sync", 16), ("mand", 64), ("dirsync", 128), ("lazytime", 1 << 25)];

impl<'a> Mount<'a> {
    pub(super) fn new(mount: &'a spec::Mount, bundle: &Path) -> Self {
        // The options were read when the mount was made; if they cannot be read now, the mount is shown without.
        let options = options::parse(&mount.options).unwrap_or_default();
        let source = mount.source.as_deref().unwrap_or("");
        let source = match (options.bind && !source.starts_with('/')).then(|| bundle.join(source)) {
            Some(absolute) => Cow::Owned(absolute.to_string_lossy().into_owned()),
            None => Cow::Borrowed(source),
        };
        let has_id_mapping =
            options.idmap.is_some() || !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
        Self {
            source,
            destination: &mount.destination,
            device: if options.bind { "bind" } else { mount.typ.as_deref().unwrap_or("") },
            flags: flags(&options),
            cleared_flags: ms(options.clear & !ATTR_ATIME),
            data: data(&options),
            rec_attr: (options.recursive_set | options.recursive_clear != 0).then_some(RecursiveAttributes {
                set: options.recursive_set,
                clear: options.recursive_clear,
                propagation: 0,
                userns_fd: 0,
            }),
            extensions: if options.copy_up { COPY_UP } else { 0 },
            id_mapping: has_id_mapping.then(|| IdMapping {
                recursive: options.idmap.is_some_and(|map| map.recursive),
                uid_mappings: IdMaps(&mount.uid_mappings),
                gid_mappings: IdMaps(&mount.gid_mappings),
            }),
            propagation_flags: options.propagation,
        }
    }
}

fn ms(attributes: u64) -> u64 {
    ATTRIBUTES.iter().filter(|(attribute, _)| attributes & attribute != 0).map(|(_, ms)| ms).sum()
}

fn flags(options: &MountOptions) -> u64 {
    let mut flags = ms(options.set);
    flags |=
        SUPER.iter().filter(|(word, _)| options.super_flags.contains(word)).map(|(_, ms)| ms).sum::<u64>();
    if options.clear & ATTR_ATIME != 0 && options.set & ATTR_ATIME == 0 {
        flags |= MS_RELATIME;
    }
    if options.bind {
        flags |= MS_BIND;
    }
    if options.recursive_bind {
        flags |= MS_REC;
    }
    if options.remount {
        flags |= MS_REMOUNT;
    }
    flags
}

/// The string that mount(2) would get.
fn data(options: &MountOptions) -> String {
    let mut data = String::new();
    for (key, value) in &options.data {
        if !data.is_empty() {
            data.push(',');
        }
        data.push_str(key);
        if let Some(value) = value {
            data.push('=');
            data.push_str(value);
        }
    }
    data
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
