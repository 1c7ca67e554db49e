//! What each mount of config.json comes to: its kind, its place below the root, who opens its source. Pure.

use std::path::{Component, Path, PathBuf};

use super::options::{self, MountOptions};
use crate::error::{Error, Result};
use crate::spec;

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file or directory of the host.
    Bind {
        /// Absolute path on the host.
        source: PathBuf,
        /// With all mounts below it.
        recursive: bool,
    },
    /// The container's view of its cgroups, v1 or v2 as the host has it.
    Cgroup,
    /// A new instance of a file system.
    Fs {
        /// Its name as fsopen(2) takes it.
        name: String,
        /// The "source" option: a device, or a word that mountinfo shows.
        source: Option<String>,
    },
}

/// One mount, decided.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where, below the root: relative, without `.` and `..`; empty for the root itself.
    pub target: PathBuf,
    /// What.
    pub kind: Kind,
    /// How.
    pub options: MountOptions,
    /// A tmpfs, or whatever is on /dev, has to be filled before it becomes read-only.
    pub readonly_later: bool,
    /// An idmapped mount's own mapping (else the container's).
    pub uid_mappings: Vec<spec::oci::LinuxIdMapping>,
    /// The same for groups.
    pub gid_mappings: Vec<spec::oci::LinuxIdMapping>,
}

impl Mount {
    /// Decides one mount; relative sources are relative to the bundle, as in runc, and a destination that is given as
    /// it is on the host, below `rootfs`, is meant below the root. `label` is linux.mountLabel.
    pub fn decide(mount: &spec::Mount, bundle: &Path, rootfs: &Path, label: Option<&str>) -> Result<Self> {
        let mut options =
            options::parse(&mount.options).map_err(|e| e.within(format!("mount {:?}", mount.destination)))?;
        let destination = Path::new(&mount.destination);
        let target = clean(destination.strip_prefix(rootfs).unwrap_or(destination));
        let typ = mount.typ.as_deref().unwrap_or("");
        let kind = if options.bind || typ == "bind" {
            let Some(source) = mount.source.as_deref().filter(|s| !s.is_empty()) else {
                return Err(Error::invalid(format!(
                    "mount {:?}: a bind mount needs a source",
                    mount.destination
                ))
                .hint("set mounts[].source in config.json"));
            };
            Kind::Bind { source: bundle.join(source), recursive: options.recursive_bind }
        } else if typ == "cgroup" {
            Kind::Cgroup
        } else if typ.is_empty() {
            return Err(Error::invalid(format!("mount {:?}: no type and no bind option", mount.destination))
                .hint("set mounts[].type in config.json"));
        } else {
            if let Some(label) = label.filter(|label| !label.is_empty() && takes_context(typ)) {
                options.data.push(("context".to_owned(), Some(label.to_owned())));
            }
            Kind::Fs { name: typ.to_owned(), source: mount.source.clone() }
        };
        if matches!(kind, Kind::Bind { .. }) && !options.data.is_empty() {
            let words: Vec<_> = options.data.iter().map(|(key, _)| key.as_str()).collect();
            return Err(Error::invalid(format!(
                "mount {:?}: a bind mount takes no file system options, but has {:?}",
                mount.destination,
                words.join(",")
            )));
        }
        let filled = match &kind {
            Kind::Fs { name, .. } => name == "tmpfs" || target == Path::new("dev"),
            _ => false,
        };
        let readonly_later = filled && options.set & libc::MOUNT_ATTR_RDONLY != 0;
        if readonly_later {
            options.set &= !libc::MOUNT_ATTR_RDONLY;
            options.super_flags.retain(|word| *word != "ro");
        }
        Ok(Self {
            target,
            kind,
            readonly_later,
            options,
            uid_mappings: mount.uid_mappings.clone(),
            gid_mappings: mount.gid_mappings.clone(),
        })
    }

    /// proc and sysfs are only mounted on a directory that is there under its own name: a link below the root would
    /// put the container's /proc where the image wants it (CVE-2019-19921, CVE-2023-27561).
    pub fn needs_plain_directory(&self) -> bool {
        matches!(&self.kind, Kind::Fs { name, .. } if name == "proc" || name == "sysfs")
    }

    /// Its ids are mapped, by a mapping of its own or by the container's.
    pub fn is_idmapped(&self) -> bool {
        self.options.idmap.is_some() || self.has_own_mapping()
    }

    /// It names a mapping for itself.
    pub fn has_own_mapping(&self) -> bool {
        !self.uid_mappings.is_empty() || !self.gid_mappings.is_empty()
    }

    /// A mount that brings its own /dev: then no device nodes are made.
    pub fn replaces_dev(&self) -> bool {
        self.target == Path::new("dev") && matches!(self.kind, Kind::Bind { .. })
    }
}

/// Whether a file system takes the `context` option that gives all its files one SELinux label. procfs and sysfs label
/// their files themselves, mqueue refuses it.
fn takes_context(typ: &str) -> bool {
    !matches!(typ, "proc" | "sysfs" | "mqueue")
}

/// A path below the root as the kernel would walk it if there were no links: no root, no `.`, no `..`.
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(json: &str) -> Result<Mount> {
        Mount::decide(
            &serde_json::from_str(json).unwrap(),
            Path::new("/bundle"),
            Path::new("/bundle/rootfs"),
            Some("label"),
        )
    }

    #[test]
    fn kinds() {
        let bind = mount(r#"{"destination":"/a/../b","source":"vol","options":["rbind","ro"]}"#).unwrap();
        assert_eq!(bind.kind, Kind::Bind { source: "/bundle/vol".into(), recursive: true });
        assert_eq!(bind.target, Path::new("b"));
        let proc = mount(r#"{"destination":"/proc","type":"proc","source":"proc"}"#).unwrap();
        assert!(proc.needs_plain_directory() && proc.options.data.is_empty());
        let tmpfs = mount(r#"{"destination":"/t","type":"tmpfs","options":["size=1k"]}"#).unwrap();
        assert_eq!(tmpfs.options.data.len(), 2);
        let on_host = mount(r#"{"destination":"/bundle/rootfs/a/b","type":"tmpfs"}"#).unwrap();
        assert_eq!(on_host.target, Path::new("a/b"));
        assert_eq!(mount(r#"{"destination":"/c","type":"cgroup"}"#).unwrap().kind, Kind::Cgroup);
    }

    #[test]
    fn refusals_name_the_destination() {
        for json in [
            r#"{"destination":"/a","type":"bind","options":["size=1"],"source":"/x"}"#,
            r#"{"destination":"/a","options":["bind"]}"#,
            r#"{"destination":"/a"}"#,
        ] {
            assert!(mount(json).unwrap_err().to_string().starts_with("mount \"/a\""));
        }
    }

    #[test]
    fn nothing_climbs_out() {
        assert_eq!(clean(Path::new("/../../etc/./x/..")), Path::new("etc"));
        assert_eq!(clean(Path::new("//")), Path::new(""));
    }
}
