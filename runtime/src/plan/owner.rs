//! Whose the container's cgroup is to be. Pure; what changes owner is in cgroup/delegate.rs. Never gives it to anybody
//! who could not write to it inside.

use std::path::Path;

use super::Plan;
use super::mounts::Kind;
use super::namespaces::{CGROUP, USER};

impl Plan {
    /// The host's user id of the process, if the cgroup is to be that user's: the container has a new cgroup namespace
    /// and sees its cgroups writable (runtime-spec, config-linux.md#cgroup-ownership).
    pub fn cgroup_owner(&self) -> Option<u32> {
        let writable =
            self.mounts.iter().rfind(|m| m.target == Path::new("sys/fs/cgroup")).is_some_and(|m| {
                m.kind == Kind::Cgroup && m.options.set & libc::MOUNT_ATTR_RDONLY == 0 && !m.readonly_later
            });
        if self.namespaces.new & CGROUP == 0 || !writable {
            return None;
        }
        let user = self.credentials.uid.get();
        if !self.namespaces.private(USER) {
            return Some(user);
        }
        // The maps of a user namespace that is joined may not be known here.
        self.linux().uid_mappings.iter().find_map(|map| {
            let offset = user.checked_sub(map.container_id()).filter(|offset| *offset < map.size())?;
            map.host_id().checked_add(offset)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    fn owner(user: u32, mount: &str, linux: &str) -> Option<u32> {
        let text = format!(
            r#"{{"ociVersion":"1.0.2","root":{{"path":"r"}},"mounts":[{mount}],"linux":{linux},
                "process":{{"cwd":"/","args":["a"],"user":{{"uid":{user},"gid":0}}}}}}"#
        );
        let spec = spec::parse(text.as_bytes()).unwrap();
        Plan::decide(spec, Path::new("/b"), false).unwrap().cgroup_owner()
    }

    #[test]
    fn owners() {
        let rw = r#"{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["rw"]}"#;
        let ro = &rw.replace("rw\"", "ro\"");
        let own = r#"{"namespaces":[{"type":"mount"},{"type":"cgroup"}]}"#;
        let hosts = r#"{"namespaces":[{"type":"mount"}]}"#;
        let mapped = r#"{"namespaces":[{"type":"mount"},{"type":"cgroup"},{"type":"user"}],
            "uidMappings":[{"containerID":0,"hostID":5000,"size":10},{"containerID":1000,"hostID":7000,"size":1}],
            "gidMappings":[{"containerID":0,"hostID":5000,"size":10}]}"#;
        for (user, mount, linux, expected) in [
            (0, rw, own, Some(0)),
            (1000, rw, own, Some(1000)),
            (0, ro, own, None),
            (0, "", own, None),
            (0, rw, hosts, None),
            (0, rw, mapped, Some(5000)),
            (9, rw, mapped, Some(5009)),
            (1000, rw, mapped, Some(7000)),
            (10, rw, mapped, None),
        ] {
            assert_eq!(owner(user, mount, linux), expected, "{user} {mount} {linux}");
        }
    }
}
