//! The container's cgroups as they are to appear inside of it. Mounts nothing itself.

use super::{Cgroup, Mode, Node, Version, host};

/// One hierarchy, for a mount of type "cgroup" in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The language of its files.
    pub version: Version,
    /// The name of its directory below /sys/fs/cgroup: `memory`, `cpu,cpuacct`, `systemd`; empty for the unified one.
    pub name: String,
    /// The mount data that makes this hierarchy: `cpu,cpuacct`, `none,name=systemd`; empty for the unified one.
    pub data: String,
    /// Where the host has it mounted.
    pub mount: String,
    /// The container's cgroup on the host: an absolute path below `mount`.
    pub path: String,
    /// Symbolic links to `name` that v1 programs look for: `cpu` and `cpuacct` for `cpu,cpuacct`.
    pub links: Vec<String>,
}

/// See [`Cgroup::views`].
pub(super) fn views(cgroup: &Cgroup) -> Vec<View> {
    let made: Vec<View> =
        cgroup.nodes.iter().filter(|n| !matches!(n.made.get(), Some(None))).map(view).collect();
    if made.is_empty() { own().into_iter().collect() } else { made }
}

/// A container without a cgroup of its own (a user's, who has no right to any) is where its caller is. Of v1 hierarchies
/// it gets to see none then.
fn own() -> Option<View> {
    let host = host::read(host::mode()).ok().filter(|host| host.mode == Mode::V2)?;
    let hierarchy = host.hierarchies.first()?;
    Some(View {
        version: Version::V2,
        name: String::new(),
        data: String::new(),
        mount: hierarchy.mount.clone(),
        path: hierarchy.own_directory(),
        links: vec![],
    })
}

fn view(node: &Node) -> View {
    let mount = if node.mount.is_empty() { mount_of(&node.path) } else { node.mount.clone() };
    let mut view = View {
        version: node.version,
        name: String::new(),
        data: String::new(),
        mount,
        path: node.path.clone(),
        links: vec![],
    };
    if node.version == Version::V2 {
        return view;
    }
    // The host's own name for it: a merged hierarchy may be mounted under another order of its controllers.
    view.name = view.mount.rsplit('/').next().unwrap_or_default().to_owned();
    view.data = match node.controllers.iter().find(|c| c.starts_with("name=")) {
        Some(name) => format!("none,{name}"),
        None => node.controllers.join(","),
    };
    view.links =
        node.controllers.iter().filter(|c| !c.starts_with("name=") && **c != view.name).cloned().collect();
    view
}

/// The mount point of a path that came from a state file, by the host's convention.
fn mount_of(path: &str) -> String {
    let below = path.strip_prefix(host::ROOT).and_then(|p| p.strip_prefix('/'));
    match below.and_then(|p| p.split('/').next()).filter(|_| Cgroup::mode() != Mode::V2) {
        Some(first) => format!("{}/{first}", host::ROOT),
        None => host::ROOT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;

    #[test]
    fn names_data_and_links() {
        for (version, controllers, mount, name, data, links) in [
            (Version::V1, &["memory"][..], "/c/memory", "memory", "memory", &[][..]),
            (
                Version::V1,
                &["cpu", "cpuacct"],
                "/c/cpu,cpuacct",
                "cpu,cpuacct",
                "cpu,cpuacct",
                &["cpu", "cpuacct"],
            ),
            (Version::V1, &["cpu", "cpuacct"], "/c/cpu", "cpu", "cpu,cpuacct", &["cpuacct"]),
            (Version::V1, &["name=systemd"], "/c/systemd", "systemd", "none,name=systemd", &[]),
            (Version::V2, &[""], "/c/unified", "", "", &[]),
        ] {
            let node = Node {
                version,
                controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
                mount: mount.into(),
                path: format!("{mount}/id"),
                recorded: true,
                made: OnceLock::new(),
            };
            let view = view(&node);
            assert_eq!((view.name.as_str(), view.data.as_str()), (name, data), "{controllers:?}");
            assert_eq!(view.links, links, "{controllers:?}");
        }
    }
}
