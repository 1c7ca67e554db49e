//! The room's own view of /sys/fs/cgroup, where that is a tmpfs with a mount for each hierarchy (v1, hybrid). Anybody
//! can make a plain folder there, and podman takes each folder for a controller. Must never touch the host's view.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

const HOST: &str = "/sys/fs/cgroup";
/// Where the view is put together; on the room's own /run.
const VIEW: &str = "/run/cgroup";

/// Replaces /sys/fs/cgroup by a read-only folder of the same mounts and links. The mount namespace must be private.
pub(crate) fn tidy() -> Result<(), String> {
    if statfs(HOST).map_err(|errno| format!("statfs {HOST}: {}", errno.desc()))?.filesystem_type()
        != TMPFS_MAGIC
    {
        return Ok(());
    }
    let failed = |call: &'static str| move |errno: nix::Error| format!("{call} in {VIEW}: {}", errno.desc());
    make_directory(VIEW)?;
    let none = None::<&str>;
    mount(Some("tmpfs"), VIEW, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .map_err(failed("mount a tmpfs"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|e| format!("read mountinfo: {e}"))?;
    for target in mounts.lines().filter_map(|line| line.split(' ').nth(4)) {
        let Some(name) = target.strip_prefix(HOST).and_then(|rest| rest.strip_prefix('/')) else { continue };
        if name.contains('/') {
            continue; // It comes along with the mount that it is on.
        }
        let place = format!("{VIEW}/{name}");
        make_directory(&place)?;
        mount(Some(target), place.as_str(), none, MsFlags::MS_MOVE, none).map_err(failed("move a mount"))?;
    }
    for entry in fs::read_dir(HOST).into_iter().flatten().flatten() {
        if let Ok(target) = fs::read_link(entry.path()) {
            let link = Path::new(VIEW).join(entry.file_name());
            symlink(target, &link).map_err(|e| format!("link {}: {e}", link.display()))?;
        }
    }
    umount2(HOST, MntFlags::MNT_DETACH).map_err(failed("detach the host's view"))?;
    mount(Some(VIEW), HOST, none, MsFlags::MS_MOVE, none).map_err(failed("move the view"))?;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(none, HOST, none, flags, none).map_err(failed("make the view read-only"))
}

fn make_directory(path: &str) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| format!("make {path}: {e}"))
}
