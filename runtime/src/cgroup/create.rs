//! Makes the container's cgroups and applies every limit, before anybody is in them. Leaves nothing behind when it
//! fails, and never passes over a limit.

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::device::Policy;
use super::dir::Dir;
use super::setting::{Group, missing};
use super::systemd::Scope;
use super::{Cgroup, Node, Version, controllers, cpuset, device_files, filter, freeze, kill, v1, v2};
use crate::error::{Error, Kind, OrFail, Result};
use crate::spec::Resources;

/// A hierarchy that a container can do without: nothing is limited there.
fn optional(node: &Node) -> bool {
    node.controllers.iter().all(|c| matches!(c.as_str(), "name=systemd" | "misc" | "perf_event"))
}

/// Everything that is to be set, known before anything is made.
struct Plan {
    /// For v1 controllers.
    v1: Vec<Group>,
    /// For controllers of the unified hierarchy.
    v2: Vec<Group>,
    devices: Policy,
}

/// A node's directory, and whether nobody had made it before.
struct Place<'c> {
    node: &'c Node,
    dir: Dir,
    fresh: bool,
}

/// See [`Cgroup::create`].
pub(super) fn create(cgroup: &Cgroup, r: &Resources) -> Result<()> {
    if cgroup.nodes.is_empty() {
        // Device rules are in every engine's config.json, and a container without a cgroup can't have any.
        return match v2::settings(r)?.first() {
            None => Ok(()),
            Some(group) => {
                Err(Error::invalid(format!("limit {}: the container has no cgroup", group.controller))
                    .hint("leave linux.resources out, or --cgroup-manager=disabled"))
            }
        };
    }
    let (v1, v2) = groups(cgroup, r, None)?;
    let plan = Plan { v1, v2, devices: Policy::new(&r.devices)? };
    let mut made = Vec::new();
    let built = build(cgroup, &plan, r, &mut made).inspect_err(|_| {
        for path in made.iter().rev() {
            // Only what is empty goes; the error that matters is the first one.
            let _ = unlinkat(AT_FDCWD, path.as_str(), UnlinkatFlags::RemoveDir);
        }
    })?;
    // Only now is it the container's.
    for Place { node, dir, .. } in built {
        let _ = node.made.set(Some(dir));
    }
    Ok(())
}

/// See [`Cgroup::refuse_in_use`].
pub(super) fn refuse_in_use(cgroup: &Cgroup) -> Result<()> {
    // Where a kill looks for its victims, and where a freeze would be found. The others are looked at when they are
    // made.
    for node in [cgroup.node("devices"), cgroup.node("freezer"), cgroup.unified()].into_iter().flatten() {
        match Dir::open(&node.path) {
            Ok(dir) => refuse_members(cgroup, &dir)?,
            Err(errno) if freeze::gone(errno) => {}
            Err(errno) => return Err(Error::os("openat2", errno, format!("open {}", node.path))),
        }
    }
    Ok(())
}

/// See [`Cgroup::update`].
pub(super) async fn update(cgroup: &Cgroup, r: &Resources) -> Result<()> {
    let memory = cgroup.node("memory").map(Node::open).transpose();
    let now = memory.ok().flatten().and_then(|dir| memory_now(&dir));
    let (v1, v2) = groups(cgroup, r, now)?;
    // The files after it: they are exact, and there are more of them.
    if let Some(scope) = &cgroup.scope {
        scope.update(r).await?;
    }
    for group in &v1 {
        let node = cgroup.node(&group.controller).ok_or_else(|| missing(group))?;
        let dir = node.open().or_fail("openat2", || format!("open {}", node.path))?;
        group.apply(&dir)?;
    }
    if let Some(node) = cgroup.unified().filter(|_| !v2.is_empty()) {
        let dir = node.open().or_fail("openat2", || format!("open {}", node.path))?;
        check_memory(&dir, r)?;
        v2.iter().try_for_each(|g| g.apply(&dir))?;
    }
    Ok(())
}

/// The settings for v1 and for v2. On a hybrid host a controller is where it is bound.
fn groups(cgroup: &Cgroup, r: &Resources, memory_now: Option<u64>) -> Result<(Vec<Group>, Vec<Group>)> {
    let unified = cgroup.unified();
    if unified.is_some() && cgroup.nodes.len() == 1 {
        return Ok((Vec::new(), v2::settings(r)?));
    }
    let (v1, elsewhere): (Vec<_>, Vec<_>) =
        v1::settings(r, memory_now)?.into_iter().partition(|g| cgroup.node(&g.controller).is_some());
    let Some(first) = elsewhere.first() else { return Ok((v1, Vec::new())) };
    let Some(unified) = unified else { return Err(missing(first)) };
    let offered = controllers::offered(unified)?;
    let mut v2 = v2::settings(r)?;
    for group in &elsewhere {
        let name = if group.controller == "blkio" { "io" } else { &*group.controller };
        if !offered.iter().any(|c| c == name) {
            return Err(missing(group));
        }
    }
    let wanted = |g: &Group| {
        elsewhere
            .iter()
            .any(|e| e.controller == g.controller || e.controller == "blkio" && g.controller == "io")
    };
    v2.retain(wanted);
    Ok((v1, v2))
}

fn build<'c>(
    cgroup: &'c Cgroup,
    plan: &Plan,
    r: &Resources,
    made: &mut Vec<String>,
) -> Result<Vec<Place<'c>>> {
    let mut places = Vec::with_capacity(cgroup.nodes.len());
    for node in &cgroup.nodes {
        match make(node, made) {
            Ok(fresh) => {
                let dir = Dir::open(&node.path).or_fail("openat2", || applying(&node.path))?;
                if !fresh {
                    refuse_members(cgroup, &dir)?;
                }
                places.push(Place { node, dir, fresh });
            }
            Err(errno) if dispensable(cgroup, plan, node, errno)? => {
                log::debug!("no cgroup {} for the container: {errno}", node.path);
                let _ = node.made.set(None);
            }
            Err(errno) => return Err(Error::os("mkdir", errno, applying(&node.path))),
        }
    }
    make_room(cgroup, &places)?;
    for place in &places {
        match place.node.version {
            Version::V1 => limit_v1(place, plan, r)?,
            Version::V2 => limit_v2(cgroup, place, plan, r)?,
        }
    }
    if let Some(group) = plan.v1.iter().find(|g| !places.iter().any(|p| p.node.has(&g.controller))) {
        return Err(missing(group));
    }
    limit_devices(cgroup, &places, &plan.devices)?;
    Ok(places)
}

/// A scope that hands controllers on to a cgroup below it can't hold a process itself (cgroup-v2.rst, no internal
/// processes).
fn make_room(cgroup: &Cgroup, places: &[Place<'_>]) -> Result<()> {
    let Some(scope) = cgroup.scope.as_ref().filter(|scope| scope.has_below()) else { return Ok(()) };
    let (Some(pid), Some(place)) =
        (scope.placeholder(), places.iter().find(|place| place.node.version == Version::V2))
    else {
        return Ok(());
    };
    place.dir.set("cgroup.procs", &pid.to_string())
}

fn applying(path: &str) -> String {
    format!("unable to apply cgroup configuration: mkdir {path}")
}

/// Makes the directory, and those above it that are missing. Says whether it is new.
fn make(node: &Node, made: &mut Vec<String>) -> nix::Result<bool> {
    match Dir::make(&node.path) {
        Ok(()) => {
            made.push(node.path.clone());
            return Ok(true);
        }
        Err(Errno::EEXIST) => return Ok(false),
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    let mut fresh = false;
    for (end, _) in node.path.match_indices('/').skip(1).chain([(node.path.len(), "/")]) {
        let path = &node.path[..end];
        // What is above the mount point is not ours to make.
        if path.len() <= node.mount.len() {
            continue;
        }
        fresh = match Dir::make(path) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(errno),
        };
        if fresh {
            made.push(path.to_owned());
        }
    }
    Ok(fresh)
}

/// Whether the container may do without this node, which could not be made.
fn dispensable(cgroup: &Cgroup, plan: &Plan, node: &Node, errno: Errno) -> Result<bool> {
    let pure_v2 = cgroup.nodes.len() == 1 && node.version == Version::V2;
    if optional(node)
        || (node.version == Version::V2 && !pure_v2 && plan.v2.is_empty() && cgroup.node("devices").is_some())
    {
        return Ok(true);
    }
    if cgroup.given || !matches!(errno, Errno::EPERM | Errno::EACCES | Errno::EROFS) || !cgroup.is_rootless()
    {
        return Ok(false);
    }
    if pure_v2 && !plan.v2.is_empty() {
        let text = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups";
        return Err(Error::os("mkdir", errno, format!("{text}: mkdir {}", node.path)));
    }
    Ok(true)
}

/// A cgroup that was there before must be empty, or the container would share its limits and be killed with it.
fn refuse_members(cgroup: &Cgroup, dir: &Dir) -> Result<()> {
    let ours = cgroup.scope.as_ref().and_then(Scope::placeholder);
    let found = kill::processes(dir).or_fail("read", || "unable to get cgroup PIDs")?;
    let found = found.iter().filter(|pid| Some(**pid) != ours).count();
    if found != 0 {
        let text = format!("container's cgroup is not empty: {found} process(es) found in {}", dir.path());
        return Err(Error::new(Kind::State, text).hint("end them, or give another cgroupsPath"));
    }
    if freeze::frozen(dir).map_err(|e| e.within("unable to get cgroup freezer state"))? {
        return Err(Error::new(Kind::State, "container's cgroup unexpectedly frozen")
            .hint(format!("thaw or remove {}", dir.path())));
    }
    Ok(())
}

fn limit_v1(place: &Place<'_>, plan: &Plan, r: &Resources) -> Result<()> {
    let Place { node, dir, fresh } = place;
    let above = if node.has("cpuset") { Some(cpuset::above(dir, &node.mount)?) } else { None };
    for group in plan.v1.iter().filter(|g| node.has(&g.controller)) {
        if group.controller == "memory" && !fresh {
            // The order of its limits depends on those that are there.
            let again = v1::settings(r, memory_now(dir))?;
            again.iter().filter(|g| g.controller == "memory").try_for_each(|g| g.apply(dir))?;
        } else {
            group.apply(dir)?;
        }
    }
    let Some(above) = above else { return Ok(()) };
    let set = plan.v1.iter().filter(|g| g.controller == "cpuset").flat_map(|g| &g.settings);
    cpuset::fill(dir, &above, *fresh, &set.map(|s| &*s.file).collect::<Vec<_>>())
}

fn limit_v2(cgroup: &Cgroup, place: &Place<'_>, plan: &Plan, r: &Resources) -> Result<()> {
    let Place { node, dir, fresh } = place;
    if cgroup.nodes.len() == 1 {
        controllers::enable_all(node, dir)?;
        controllers::check_type(node, dir, v2::needs_domain(&plan.v2))?;
    } else if !plan.v2.is_empty() {
        let wanted: Vec<&str> = plan.v2.iter().map(|g| &*g.controller).collect();
        controllers::enable(node, &wanted);
    }
    if !fresh {
        check_memory(dir, r)?;
    }
    plan.v2.iter().try_for_each(|g| g.apply(dir))
}

fn limit_devices(cgroup: &Cgroup, places: &[Place<'_>], policy: &Policy) -> Result<()> {
    let devices = places.iter().find(|p| p.node.has("devices"));
    let result = match (devices, places.iter().find(|p| p.node.version == Version::V2)) {
        (Some(place), _) => device_files::apply(&place.dir, policy, place.fresh),
        (None, Some(place)) => filter::apply(&place.dir, policy, place.fresh),
        (None, None) if policy.allows_all() => Ok(()),
        (None, None) => Err(Error::new(Kind::Host, "limit devices: this host has no devices cgroup")
            .hint("mount the devices controller, or cgroup2")),
    };
    match result {
        Err(error) if cgroup.is_rootless() => {
            log::debug!("device rules of a rootless container are not set: {error}");
            Ok(())
        }
        result => result,
    }
}

fn check_memory(dir: &Dir, r: &Resources) -> Result<()> {
    if r.memory.as_ref().is_none_or(|m| m.check_before_update() != Some(true)) {
        return Ok(());
    }
    // Best effort: without a number there is nothing to compare with.
    let usage = dir.value("memory.current").ok().and_then(|v| v.parse().ok());
    usage.map_or(Ok(()), |usage| v2::check_usage(r, usage))
}

fn memory_now(dir: &Dir) -> Option<u64> {
    dir.value("memory.limit_in_bytes").ok()?.parse().ok()
}
