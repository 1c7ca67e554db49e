//! Which namespaces are made, which are joined, and by whom: the route of a birth. Pure; it opens nothing.

use std::fmt;
use std::path::PathBuf;

use crate::spec::oci::{LinuxNamespace, LinuxNamespaceType};

/// `CLONE_NEW*` of a namespace type (linux/sched.h).
pub fn flag(typ: LinuxNamespaceType) -> u64 {
    match typ {
        LinuxNamespaceType::Mount => MOUNT,
        LinuxNamespaceType::Cgroup => CGROUP,
        LinuxNamespaceType::Uts => UTS,
        LinuxNamespaceType::Ipc => IPC,
        LinuxNamespaceType::User => USER,
        LinuxNamespaceType::Pid => PID,
        LinuxNamespaceType::Network => NET,
        LinuxNamespaceType::Time => TIME,
    }
}

/// What config.json calls the namespace of a `CLONE_NEW*` flag.
pub fn name(flag: u64) -> &'static str {
    match flag {
        MOUNT => "mount",
        CGROUP => "cgroup",
        UTS => "uts",
        IPC => "ipc",
        USER => "user",
        PID => "pid",
        NET => "network",
        TIME => "time",
        _ => "unknown",
    }
}

/// What config.json calls the namespaces of these flags, for a message.
pub fn names(flags: u64) -> String {
    let all = [USER, MOUNT, PID, NET, IPC, UTS, CGROUP, TIME];
    all.iter().filter(|flag| flags & **flag != 0).map(|flag| name(*flag)).collect::<Vec<_>>().join(" ")
}

/// CLONE_NEWTIME.
pub const TIME: u64 = 0x80;
/// CLONE_NEWNS.
pub const MOUNT: u64 = 0x0002_0000;
/// CLONE_NEWCGROUP.
pub const CGROUP: u64 = 0x0200_0000;
/// CLONE_NEWUTS.
pub const UTS: u64 = 0x0400_0000;
/// CLONE_NEWIPC.
pub const IPC: u64 = 0x0800_0000;
/// CLONE_NEWUSER.
pub const USER: u64 = 0x1000_0000;
/// CLONE_NEWPID.
pub const PID: u64 = 0x2000_0000;
/// CLONE_NEWNET.
pub const NET: u64 = 0x4000_0000;

/// The namespaces of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// `CLONE_NEW*` of those to make.
    pub new: u64,
    /// Those to join: `CLONE_NEW*` and the path.
    pub join: Vec<(u64, PathBuf)>,
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "make namespaces [{}], join [", names(self.new))?;
        for (index, (flag, path)) in self.join.iter().enumerate() {
            write!(f, "{}{} {}", if index == 0 { "" } else { ", " }, name(*flag), path.display())?;
        }
        f.write_str("]")
    }
}

impl Namespaces {
    /// Sorts config.json's list; a user namespace is joined first, since it gives the right to join the others.
    pub fn decide(list: &[LinuxNamespace]) -> Self {
        let mut all = Self::default();
        for namespace in list {
            let flag = flag(namespace.typ());
            match namespace.path() {
                Some(path) if !path.as_os_str().is_empty() => all.join.push((flag, path.clone())),
                _ => all.new |= flag,
            }
        }
        all.join.sort_by_key(|(flag, _)| *flag != USER);
        all
    }

    /// Made or joined: not the runtime's own.
    pub fn private(&self, flag: u64) -> bool {
        self.new & flag != 0 || self.joins(flag)
    }

    /// Joined by path.
    pub fn joins(&self, flag: u64) -> bool {
        self.join.iter().any(|(f, _)| *f == flag)
    }
}

/// How a process comes to stand in its namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The process goes through a hop: a first child joins (and makes the user namespace), then clones the real one as
    /// its sibling.
    pub hop: bool,
    /// What the clone of the real process makes.
    pub clone: u64,
    /// What the real process (or the hop) makes by unshare before anything else, since it must come after a join.
    pub unshare: u64,
    /// What the real process makes by unshare once it stands in its cgroups: the cgroup and the time namespace.
    pub late: u64,
    /// The launcher points its `pid_for_children` at a joined pid namespace during the clone.
    pub lend_pid: bool,
}

impl Route {
    /// One clone3 in the normal case. The kernel demands a hop in two:
    /// a *new* user namespace beside joined ones, because from inside the new one the others can't be entered any more
    /// (setns(2): CAP_SYS_ADMIN in the user namespace that owns the target), and a *joined* user namespace beside a new
    /// pid namespace, because the new one must belong to it and only a clone enters a pid namespace.
    ///
    /// A cgroup namespace takes the cgroup of the moment as its root (cgroup_namespaces(7)), so it waits until the
    /// process has joined; a time namespace takes offsets only while nobody is in it (time_namespaces(7)).
    pub fn decide(namespaces: &Namespaces) -> Self {
        let Namespaces { new, join } = namespaces;
        let late = new & (CGROUP | TIME);
        let early = new & !late;
        let lend_pid = namespaces.joins(PID);
        let others_joined = join.iter().any(|(flag, _)| *flag != PID);
        let joins_user = namespaces.joins(USER);
        let hop = (new & USER != 0 && others_joined) || (joins_user && new & PID != 0);
        if hop {
            return Self { hop, clone: early & !USER, unshare: new & USER, late, lend_pid };
        }
        if joins_user {
            return Self { hop, clone: 0, unshare: early, late, lend_pid };
        }
        Self { hop, clone: early, unshare: 0, late, lend_pid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(new: u64, join: &[u64]) -> Route {
        Route::decide(&Namespaces { new, join: join.iter().map(|f| (*f, "/x".into())).collect() })
    }

    #[test]
    fn one_clone_makes_what_docker_asks_for() {
        let all = MOUNT | UTS | IPC | PID | NET;
        assert_eq!(route(all, &[]), Route { clone: all, ..Route::default() });
        assert_eq!(route(all | USER, &[]), Route { clone: all | USER, ..Route::default() });
        assert_eq!(
            route(all | CGROUP | TIME, &[]),
            Route { clone: all, late: CGROUP | TIME, ..Route::default() }
        );
    }

    #[test]
    fn a_pod_member_joins_without_a_hop() {
        let new = MOUNT | PID | CGROUP;
        assert_eq!(
            route(new, &[NET, IPC, UTS]),
            Route { clone: MOUNT | PID, late: CGROUP, ..Route::default() }
        );
        assert_eq!(route(MOUNT, &[PID]), Route { clone: MOUNT, lend_pid: true, ..Route::default() });
        assert!(!route(MOUNT | USER, &[PID]).hop);
    }

    #[test]
    fn user_namespaces_that_need_a_hop() {
        assert_eq!(
            route(USER | MOUNT | PID, &[NET]),
            Route { hop: true, clone: MOUNT | PID, unshare: USER, ..Route::default() }
        );
        assert_eq!(
            route(MOUNT | PID, &[USER, NET]),
            Route { hop: true, clone: MOUNT | PID, ..Route::default() }
        );
        assert_eq!(route(MOUNT | UTS, &[USER, NET]), Route { unshare: MOUNT | UTS, ..Route::default() });
    }

    #[test]
    fn the_user_namespace_is_joined_first() {
        let list: Vec<LinuxNamespace> = serde_json::from_str(
            r#"[{"type":"network","path":"/n"},{"type":"user","path":"/u"},{"type":"pid"},{"type":"mount","path":""}]"#,
        )
        .unwrap();
        let all = Namespaces::decide(&list);
        assert_eq!(all.join, vec![(USER, "/u".into()), (NET, "/n".into())]);
        assert_eq!(all.new, PID | MOUNT);
        assert!(all.private(NET) && all.private(PID) && !all.private(UTS));
    }
}
