//! The config.json that `pinnace spec` writes. Only data, and what a caller without privileges can't have of it.

use super::{Linux, Mount, OCI_VERSION, Spec, oci, parse};

/// The bundle that `spec` makes: a shell in a root file system, as runc has it; `rootless` maps the caller to root.
#[expect(clippy::missing_panics_doc, reason = "only a wrong default.json, which a test reads, could")]
pub fn default_spec(rootless: bool) -> Spec {
    let mut spec = parse(include_bytes!("default.json")).expect("invariant: default.json is a config.json");
    OCI_VERSION.clone_into(&mut spec.oci_version);
    if rootless {
        spec.mounts.iter_mut().for_each(without_privileges);
        if let Some(linux) = &mut spec.linux {
            map_caller(linux);
        }
    }
    spec
}

/// The host's network is kept, since nobody could give a new one an interface; limits need the right to cgroups.
fn map_caller(linux: &mut Linux) {
    let map = |id: u32| {
        let map = oci::LinuxIdMappingBuilder::default().container_id(0u32).host_id(id).size(1u32);
        vec![map.build().expect("invariant: every field is set")]
    };
    linux.uid_mappings = map(nix::unistd::geteuid().as_raw());
    linux.gid_mappings = map(nix::unistd::getegid().as_raw());
    linux.resources = None;
    linux.namespaces.retain(|namespace| namespace.typ() != oci::LinuxNamespaceType::Network);
    let mut user = oci::LinuxNamespace::default();
    user.set_typ(oci::LinuxNamespaceType::User);
    linux.namespaces.push(user);
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

    #[test]
    fn a_shell_with_a_terminal() {
        let spec = default_spec(false);
        let process = spec.process.unwrap();
        assert_eq!((spec.oci_version.as_str(), process.args), ("1.3.0", vec!["sh".to_owned()]));
        assert!(process.terminal && process.no_new_privileges);
        assert!(spec.linux.unwrap().seccomp.is_none());
    }

    #[test]
    fn rootless_needs_nothing_that_a_user_has_not() {
        let spec = default_spec(true);
        assert!(spec.mounts.iter().all(|mount| mount.typ.as_deref() != Some("sysfs")));
        assert!(
            spec.mounts.iter().flat_map(|mount| &mount.options).all(|option| !option.starts_with("gid="))
        );
        let linux = spec.linux.unwrap();
        assert!(linux.resources.is_none());
        let map = linux.uid_mappings.first().unwrap();
        assert_eq!((map.container_id(), map.size()), (0, 1));
        assert_eq!(map.host_id(), nix::unistd::geteuid().as_raw());
        let has = |typ| linux.namespaces.iter().any(|namespace| namespace.typ() == typ);
        assert!(has(oci::LinuxNamespaceType::User) && !has(oci::LinuxNamespaceType::Network));
    }
}
