//! Stops and continues a whole cgroup. Never returns from a failed stop with the cgroup half frozen.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use super::dir::Dir;
use super::{Cgroup, Node, Version};
use crate::error::{Error, Kind, OrFail, Result};
use crate::wait;

/// How long a cgroup may take to stand still: a task in an uninterruptible sleep (a hung disk) holds it up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The node that freezes: the v1 freezer, or else the unified hierarchy.
fn node(cgroup: &Cgroup) -> Option<&Node> {
    cgroup.node("freezer").or_else(|| cgroup.unified())
}

/// See [`Cgroup::freeze`].
pub(super) async fn freeze(cgroup: &Cgroup, patience: Duration) -> Result<()> {
    let node = node(cgroup).ok_or_else(unconfigured)?;
    let dir = node.open().or_fail("openat2", || format!("freeze {}", node.path))?;
    let result = match node.version {
        Version::V1 => freeze_v1(&dir, patience).await,
        Version::V2 => freeze_v2(&dir, patience).await,
    };
    if result.is_err() {
        // Half frozen is worse than running; the error says that it did not work.
        let _ = write_thaw(&dir, node.version);
    }
    result
}

/// See [`Cgroup::thaw`].
pub(super) fn thaw(cgroup: &Cgroup) -> Result<()> {
    let node = node(cgroup).ok_or_else(unconfigured)?;
    let dir = node.open().or_fail("openat2", || format!("thaw {}", node.path))?;
    write_thaw(&dir, node.version).or_fail("write", || format!("thaw {}", node.path))
}

fn unconfigured() -> Error {
    Error::new(Kind::Host, "cannot toggle freezer: cgroups not configured for container")
        .hint("mount the freezer controller, or cgroup2")
}

fn write_thaw(dir: &Dir, version: Version) -> nix::Result<()> {
    match version {
        Version::V1 => dir.write("freezer.state", "THAWED"),
        Version::V2 => dir.write("cgroup.freeze", "0"),
    }
}

/// A v1 cgroup in which processes are born while it freezes can stay FREEZING for as long as they are; asking again, and
/// now and then letting go for a moment, gets there.
async fn freeze_v1(dir: &Dir, patience: Duration) -> Result<()> {
    let start = Instant::now();
    for attempt in 1_u32.. {
        dir.set("freezer.state", "FROZEN")?;
        if dir.value("freezer.state").map_err(|errno| dir.unread("freezer.state", errno))? == "FROZEN" {
            return Ok(());
        }
        if start.elapsed() > patience {
            break;
        }
        match attempt {
            1..=8 => {}
            _ if attempt.is_multiple_of(64) => {
                dir.set("freezer.state", "THAWED")?;
                wait::sleep(Duration::from_millis(10)).await;
            }
            _ => wait::sleep(Duration::from_micros(200)).await,
        }
    }
    Err(unmoved(dir, patience))
}

async fn freeze_v2(dir: &Dir, patience: Duration) -> Result<()> {
    // Opened first: a change after this is not missed.
    let events =
        dir.file("cgroup.events", OFlag::O_RDONLY).map_err(|errno| dir.unread("cgroup.events", errno))?;
    dir.set("cgroup.freeze", "1")?;
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if is_on(dir, "cgroup.events", "frozen").map_err(|errno| dir.unread("cgroup.events", errno))? {
            return Ok(());
        }
        let left = patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(unmoved(dir, patience));
        }
        // The kernel wakes a poll for a change of the file. A read of this descriptor takes the change as seen.
        // An event loop may not be woken by it, so it looks for itself too.
        let until = Instant::now() + left.min(pause);
        pause = (2 * pause).min(Duration::from_millis(50));
        wait::any([Some((events.as_fd(), PollFlags::POLLPRI)), None, None], Some(until)).await;
    }
}

fn unmoved(dir: &Dir, patience: Duration) -> Error {
    Error::new(
        Kind::Host,
        format!("unable to freeze {}: its processes did not all stop in {patience:?}", dir.path()),
    )
    .hint("look for a process in state D in it")
}

/// See [`Cgroup::frozen`].
pub(super) fn is_frozen(cgroup: &Cgroup) -> Result<bool> {
    let Some(node) = node(cgroup) else { return Ok(false) };
    match node.open() {
        Ok(dir) => frozen(&dir),
        Err(errno) if gone(errno) => Ok(false),
        Err(errno) => Err(Error::os("openat2", errno, format!("open {}", node.path))),
    }
}

/// Whether a cgroup was itself told to freeze, of whichever version it is. One without a freezer never was.
pub(super) fn frozen(dir: &Dir) -> Result<bool> {
    let result = match dir.value("freezer.self_freezing") {
        Err(Errno::ENOENT) => dir.value("cgroup.freeze"),
        result => result,
    };
    match result {
        Ok(value) => Ok(value == "1"),
        Err(errno) if gone(errno) => Ok(false),
        Err(errno) => Err(dir.unread("cgroup.freeze", errno)),
    }
}

/// What is answered for a cgroup that was removed: before and after it was opened.
pub(super) fn gone(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENODEV)
}

/// Whether a file of `key value` lines has a value other than 0 for `key`.
fn is_on(dir: &Dir, file: &str, key: &str) -> nix::Result<bool> {
    let text = dir.value(file)?;
    Ok(text.lines().any(|l| l.strip_prefix(key).is_some_and(|v| !matches!(v.trim(), "0"))))
}
