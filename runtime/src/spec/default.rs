//! The config.json that `spec` writes. Only data, and what a caller without privileges can't have of it; what depends on
//! the host is given by the caller.

use super::{Linux, Mount, OCI_VERSION, Spec, oci, parse};

/// What the default bundle depends on.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'a> {
    /// The host name inside.
    pub hostname: &'a str,
    /// A cgroup namespace too, as runc has it where the unified hierarchy is the only one.
    pub cgroup_namespace: bool,
    /// For a caller without privileges: the user and group that are root inside.
    pub rootless: Option<(u32, u32)>,
}

impl Default for Defaults<'_> {
    fn default() -> Self {
        Self { hostname: "pinnace", cgroup_namespace: false, rootless: None }
    }
}

/// The bundle that `spec` makes: a shell in a root file system, as runc has it.
#[expect(clippy::missing_panics_doc, reason = "only a wrong default.json, which a test reads, could")]
pub fn default_spec(defaults: &Defaults<'_>) -> Spec {
    let mut spec = parse(include_bytes!("default.json")).expect("invariant: default.json is a config.json");
    OCI_VERSION.clone_into(&mut spec.oci_version);
    spec.hostname = Some(defaults.hostname.to_owned());
    let linux = spec.linux.get_or_insert_default();
    if defaults.cgroup_namespace {
        linux.namespaces.push(namespace(oci::LinuxNamespaceType::Cgroup));
    }
    if let Some((uid, gid)) = defaults.rootless {
        map_caller(linux, uid, gid);
        spec.mounts.iter_mut().for_each(without_privileges);
    }
    spec
}

/// The host's network is kept, since nobody could give a new one an interface; limits need the right to cgroups.
fn map_caller(linux: &mut Linux, uid: u32, gid: u32) {
    linux.uid_mappings = vec![mapping(uid)];
    linux.gid_mappings = vec![mapping(gid)];
    linux.resources = None;
    linux.namespaces.retain(|namespace| namespace.typ() != oci::LinuxNamespaceType::Network);
    linux.namespaces.push(namespace(oci::LinuxNamespaceType::User));
}

fn namespace(typ: oci::LinuxNamespaceType) -> oci::LinuxNamespace {
    let mut namespace = oci::LinuxNamespace::default();
    namespace.set_typ(typ);
    namespace
}

fn mapping(host_id: u32) -> oci::LinuxIdMapping {
    let mapping = oci::LinuxIdMappingBuilder::default().container_id(0u32).host_id(host_id).size(1u32);
    mapping.build().expect("invariant: every field is set")
}

/// A sysfs of one's own shows one's own network namespace, which there is none of (kernel, fs/sysfs/mount.c): the
/// host's stands in. Ids other than root's are not mapped.
fn without_privileges(mount: &mut Mount) {
    if mount.typ.as_deref() == Some("sysfs") {
        mount.typ = Some("none".to_owned());
        mount.source = Some("/sys".to_owned());
        mount.options.insert(0, "rbind".to_owned());
    }
    mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::validate;

    #[test]
    fn a_shell_with_a_terminal() {
        let spec = default_spec(&Defaults { hostname: "runc", cgroup_namespace: true, rootless: None });
        validate(&spec).unwrap();
        assert_eq!(parse(&serde_json::to_vec(&spec).unwrap()).unwrap(), spec);
        let process = spec.process.unwrap();
        assert_eq!((spec.oci_version.as_str(), process.args), ("1.3.0", vec!["sh".to_owned()]));
        assert_eq!(spec.hostname.as_deref(), Some("runc"));
        assert!(process.terminal && process.no_new_privileges);
        let linux = spec.linux.unwrap();
        assert!(linux.seccomp.is_none());
        assert_eq!(linux.namespaces.len(), 6);
    }

    #[test]
    fn rootless_needs_nothing_that_a_user_has_not() {
        let spec = default_spec(&Defaults { rootless: Some((1000, 100)), ..Defaults::default() });
        validate(&spec).unwrap();
        assert!(spec.mounts.iter().all(|mount| mount.typ.as_deref() != Some("sysfs")));
        assert!(
            spec.mounts.iter().flat_map(|mount| &mount.options).all(|option| !option.starts_with("gid="))
        );
        let linux = spec.linux.unwrap();
        assert!(linux.resources.is_none());
        for (map, host_id) in [(&linux.uid_mappings, 1000), (&linux.gid_mappings, 100)] {
            assert_eq!((map[0].container_id(), map[0].host_id(), map[0].size()), (0, host_id, 1));
        }
        let types: Vec<_> = linux.namespaces.iter().map(|namespace| namespace.typ().to_string()).collect();
        assert_eq!(types, ["pid", "ipc", "uts", "mnt", "user"]);
    }
}
