//! Decides where in each hierarchy a container's cgroup lies. Makes nothing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::host::{self, Host};
use super::systemd::Scope;
use super::{Cgroup, Mode, Node, Version};
use crate::error::{Error, Kind, Result};

/// The v1 controllers a container is placed under, in the order in which they are set up: cpuset before anything can
/// join, devices before anything could be opened. What is not here (a hierarchy that somebody made for himself) is none
/// of a container's business.
const KNOWN: [&str; 15] = [
    "cpuset",
    "devices",
    "memory",
    "cpu",
    "cpuacct",
    "pids",
    "blkio",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "freezer",
    "rdma",
    "name=systemd",
    "misc",
];

/// What config.json wants, with nothing in it that could lead out of a hierarchy.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// From the root of each hierarchy as it is mounted.
    Absolute(String),
    /// Under (cgroup v2: beside) the cgroup of the caller.
    Relative(String),
}

/// See [`Cgroup::place`].
pub(super) fn place(id: &str, cgroups_path: Option<&str>) -> Result<Cgroup> {
    let given = cgroups_path.filter(|p| !p.is_empty());
    let wish = wish(id, given)?;
    let mode = host::mode();
    let nodes = match (mode, &wish) {
        // Nothing of the host needs to be read.
        (Mode::V2, Wish::Absolute(path)) => vec![unified(host::ROOT, host::join(host::ROOT, path))],
        _ => nodes(&host::read(mode)?, &wish)?,
    };
    Ok(Cgroup { nodes, given: given.is_some(), rootless: None, scope: None })
}

/// See [`Cgroup::in_scope`]. A scope is at the same path in every hierarchy.
pub(super) fn in_scope(scope: Scope, path: &str, below: &str) -> Result<Cgroup> {
    let wish = Wish::Absolute(host::join(&format!("/{}", host::clean(path)), below));
    let nodes = nodes(&host::read(host::mode())?, &wish)?;
    Ok(Cgroup { nodes, given: true, rootless: None, scope: Some(scope.with_below(below)) })
}

/// See [`Cgroup::from_paths`].
pub(super) fn from_paths(paths: &BTreeMap<String, String>) -> Result<Cgroup> {
    let mut nodes: Vec<Node> = Vec::with_capacity(paths.len());
    let rank = |name: &str| KNOWN.iter().position(|k| *k == name).unwrap_or(KNOWN.len());
    let mut entries: Vec<_> = paths.iter().collect();
    entries.sort_by_key(|(name, _)| rank(name));
    for (name, path) in entries {
        if !path.starts_with('/') || format!("/{}", host::clean(path)) != *path {
            return Err(Error::invalid(format!(
                "read the cgroup path of {name:?}: {path:?} is not an absolute path"
            )));
        }
        match nodes.iter_mut().find(|n| n.path == *path) {
            Some(node) => node.controllers.push(name.clone()),
            None => nodes.push(Node {
                version: if name.is_empty() { Version::V2 } else { Version::V1 },
                controllers: vec![name.clone()],
                mount: String::new(),
                path: path.clone(),
                recorded: true,
                made: OnceLock::new(),
            }),
        }
    }
    Ok(Cgroup { nodes, given: true, rootless: None, scope: None })
}

/// runtime-spec, config-linux.md#cgroups-path: the meaning of a relative path is the runtime's, which is runc's here.
fn wish(id: &str, cgroups_path: Option<&str>) -> Result<Wish> {
    let Some(path) = cgroups_path else {
        return Ok(Wish::Relative(host::clean(id)));
    };
    if path.contains('\0') {
        return Err(Error::invalid(format!("cgroupsPath {path:?} has a NUL in it")));
    }
    if !path.contains('/') && path.matches(':').count() == 2 {
        return Err(Error::invalid(format!(
            "cgroupsPath {path:?} has the form \"slice:prefix:name\" of the systemd cgroup driver"
        ))
        .hint("give --systemd-cgroup, or a path"));
    }
    let clean = host::clean(path);
    if clean.is_empty() {
        return Err(Error::invalid(format!("cgroupsPath {path:?} names no cgroup below the root")));
    }
    Ok(if path.starts_with('/') { Wish::Absolute(clean) } else { Wish::Relative(clean) })
}

fn nodes(host: &Host, wish: &Wish) -> Result<Vec<Node>> {
    let mut nodes = Vec::with_capacity(host.hierarchies.len());
    for name in KNOWN {
        let Some(hierarchy) = host.hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == name))
        else {
            continue;
        };
        // cpu and cpuacct are often one hierarchy: one directory to make, one to join.
        if nodes.iter().any(|n: &Node| n.mount == hierarchy.mount) {
            continue;
        }
        let path = match wish {
            Wish::Absolute(path) => host::join(&hierarchy.mount, path),
            Wish::Relative(path) => host::join(&hierarchy.own_directory(), path),
        };
        nodes.push(Node {
            version: Version::V1,
            controllers: hierarchy
                .controllers
                .iter()
                .filter(|c| KNOWN.contains(&c.as_str()))
                .cloned()
                .collect(),
            mount: hierarchy.mount.clone(),
            path,
            recorded: false,
            made: OnceLock::new(),
        });
    }
    if let Some(hierarchy) = host.hierarchies.iter().find(|h| h.controllers == [""]) {
        let path = match wish {
            // The caller's own cgroup has processes in it, and a cgroup with processes gives no controllers to its
            // children (cgroup-v2.rst, no internal processes): the place is beside it.
            Wish::Relative(path) if host.mode == Mode::V2 => {
                let own = host::clean(&hierarchy.own);
                let parent = own.rsplit_once('/').map_or("", |(parent, _)| parent);
                host::join(&host::join(&hierarchy.mount, parent), path)
            }
            Wish::Absolute(path) | Wish::Relative(path) => host::join(&hierarchy.mount, path),
        };
        nodes.push(unified(&hierarchy.mount, path));
    }
    if nodes.is_empty() {
        return Err(Error::new(Kind::Host, "find a cgroup hierarchy with a controller: there is none"));
    }
    Ok(nodes)
}

fn unified(mount: &str, path: String) -> Node {
    Node {
        version: Version::V2,
        controllers: vec![String::new()],
        mount: mount.to_owned(),
        path,
        recorded: false,
        made: OnceLock::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::Hierarchy;
    use super::*;

    fn hierarchy(names: &str, mount: &str, own: &str) -> Hierarchy {
        Hierarchy {
            controllers: names.split(',').map(str::to_owned).collect(),
            mount: mount.into(),
            own: own.into(),
        }
    }

    fn listing(nodes: &[Node]) -> Vec<(String, &str)> {
        nodes.iter().map(|n| (n.controllers.join(","), n.path.as_str())).collect()
    }

    #[test]
    fn wishes() {
        for (path, expected) in [
            (None, Wish::Relative("id".into())),
            (Some("/docker/id"), Wish::Absolute("docker/id".into())),
            (Some("a/b"), Wish::Relative("a/b".into())),
            (Some("/../../../tmp/host/cg"), Wish::Absolute("tmp/host/cg".into())),
            (Some("../../x"), Wish::Relative("x".into())),
            (Some("/a/b:c:d"), Wish::Absolute("a/b:c:d".into())),
        ] {
            assert_eq!(wish("id", path).unwrap(), expected, "{path:?}");
        }
        for path in ["/", ".", "/..", "a/..", "a\0b", "system.slice:docker:id", "::id"] {
            assert!(wish("id", Some(path)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn hybrid_places_in_runcs_order_and_joins_merged_ones_once() {
        let host = Host {
            mode: Mode::Hybrid,
            hierarchies: vec![
                hierarchy("name=systemd", "/no/systemd", "/s"),
                hierarchy("cpu,cpuacct", "/no/cpu,cpuacct", "/s"),
                hierarchy("name=private", "/no/private", "/"),
                hierarchy("devices", "/no/devices", "/"),
                hierarchy("", "/no/unified", "/deep/own"),
            ],
        };
        let nodes = nodes(&host, &Wish::Absolute("docker/id".into())).unwrap();
        assert_eq!(
            listing(&nodes),
            [
                ("devices".into(), "/no/devices/docker/id"),
                ("cpu,cpuacct".into(), "/no/cpu,cpuacct/docker/id"),
                ("name=systemd".into(), "/no/systemd/docker/id"),
                (String::new(), "/no/unified/docker/id"),
            ]
        );
        let cgroup = Cgroup { nodes, given: true, rootless: None, scope: None };
        let paths = cgroup.paths();
        assert_eq!(paths["cpuacct"], paths["cpu"]);
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["", "cpu", "cpuacct", "devices", "name=systemd"]);
        assert_eq!(from_paths(&paths).unwrap().paths(), paths);
    }

    #[test]
    fn relative_is_beside_the_caller_in_v2_and_at_the_root_of_the_unified_part_in_hybrid() {
        for (mode, own, path) in [
            (Mode::V2, "/user.slice/session-1.scope", "/no/user.slice/id"),
            (Mode::V2, "/init.scope", "/no/id"),
            (Mode::V2, "/", "/no/id"),
            (Mode::V2, "/../../outside/own", "/no/outside/id"),
            (Mode::Hybrid, "/user.slice/session-1.scope", "/no/id"),
        ] {
            let host = Host { mode, hierarchies: vec![hierarchy("", "/no", own)] };
            assert_eq!(
                listing(&nodes(&host, &Wish::Relative("id".into())).unwrap()),
                [(String::new(), path)],
                "{own}"
            );
        }
    }

    #[test]
    fn saved_paths_are_checked() {
        for path in ["relative", "", "/a/../b", "/a//b", "/a/"] {
            let paths = BTreeMap::from([("pids".to_owned(), path.to_owned())]);
            assert!(from_paths(&paths).is_err(), "{path:?}");
        }
    }
}
