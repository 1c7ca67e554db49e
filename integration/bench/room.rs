//! Where the bench takes place: a mount namespace of its own with the states on a tmpfs, as on a host, and the bundles.
//! It must never mount anything that the host sees.

use std::path::PathBuf;

use integration::host::cgroup_mount;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::Result;
use crate::bundles::Bundles;
use crate::contender::Contender;

/// The room.
pub(crate) struct Room {
    pub(crate) bundles: Bundles,
}

impl Room {
    pub(crate) fn make() -> Result<Self> {
        nix::sys::prctl::set_child_subreaper(true)?;
        unshare(CloneFlags::CLONE_NEWNS)
            .map_err(|errno| format!("unshare: {errno} (the bench needs root)"))?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        without_unified()?;
        let bundles = Bundles::make()?;
        let states = bundles.directory().join("states");
        std::fs::create_dir(&states)?;
        mount(Some("tmpfs"), &states, Some("tmpfs"), MsFlags::empty(), Some("mode=711"))?;
        Ok(Self { bundles })
    }

    /// A contender's `--root`.
    pub(crate) fn state(&self, contender: &Contender) -> PathBuf {
        self.bundles.directory().join("states").join(&contender.name)
    }
}

/// A unified hierarchy beside those of cgroup v1 that has controllers of its own is what crun can't do: in the room
/// there is none, for all alike.
fn without_unified() -> Result<()> {
    if let (Some(_), Some(unified)) = (cgroup_mount("memory"), cgroup_mount("")) {
        umount2(&unified, MntFlags::MNT_DETACH)?;
    }
    Ok(())
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is mounted below would keep the directory from being removed.
        let _ = nix::mount::umount(&self.bundles.directory().join("states"));
    }
}
