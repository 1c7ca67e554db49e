//! Idmapped mounts: a detached bind shows ids through a user namespace made for it (mount_setattr(2), kernel 5.12).

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::errno::Errno;

use super::maps;
use crate::cgroup::Entry;
use crate::error::{Error, OrFail, Result};
use crate::launch::{self, open_namespace};
use crate::plan::Plan;
use crate::plan::mounts::Mount;
use crate::plan::namespaces::{Namespaces, Route, USER};
use crate::spec::Linux;
use crate::spec::oci::LinuxIdMapping;
use crate::sys::mount::set_idmap;
use crate::sys::process::pidfd_signal;
use crate::wait;
use crate::wire::Word;

/// Gives the detached `tree` the mapping that the mount asks for, its own or the container's.
pub(super) async fn apply(tree: &OwnedFd, mount: &Mount, plan: &Plan) -> Result<()> {
    if !mount.is_idmapped() {
        return Ok(());
    }
    let own = mount.has_own_mapping();
    let linux = plan.linux();
    let namespace = match plan.namespaces.join.iter().find(|(flag, _)| *flag == USER) {
        Some((_, path)) if !own => open_namespace(path)?,
        _ if own => make(&mount.uid_mappings, &mount.gid_mappings).await?,
        _ => make(&linux.uid_mappings, &linux.gid_mappings).await?,
    };
    let recursive = mount.options.idmap.is_some_and(|idmap| idmap.recursive);
    set_idmap(tree, &namespace, recursive).map_err(|errno| {
        let error =
            Error::os("mount_setattr", errno, format!("map the ids of mount /{}", mount.target.display()));
        match errno {
            Errno::EINVAL => {
                error.hint("the source's file system must support idmapped mounts (man 2 mount_setattr)")
            }
            _ => error,
        }
    })
}

/// A user namespace with these maps and nobody in it.
async fn make(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<OwnedFd> {
    let maps = Linux { uid_mappings: uids.to_vec(), gid_mappings: gids.to_vec(), ..Linux::default() };
    let route = Route { clone: USER, ..Route::default() };
    let born = launch::launch(&Namespaces::default(), route, &Entry::default(), |wire| {
        // Stays until the namespace is open elsewhere; the answer may never come.
        let _ = wire.map();
        Error::invalid("the helper of an idmapped mount has done its work")
    })?;
    let result = match born.wire.hear().await? {
        Word::Map => maps::write(born.pid, &maps)
            .await
            .and_then(|()| open_namespace(&PathBuf::from(format!("/proc/{}/ns/user", born.pid)))),
        word => Err(Error::invalid(format!("the helper of an idmapped mount said {word:?}"))),
    };
    let killed = pidfd_signal(&born.pidfd, libc::SIGKILL).or_fail("pidfd_send_signal", || "end the helper");
    wait::ended(born.pid, &born.pidfd).await.or_fail("waitpid", || "end the helper")?;
    killed.and(result)
}
