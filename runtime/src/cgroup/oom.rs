//! Tells when the kernel killed in a container because memory ran out. Only reads.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::dir::Dir;
use super::freeze::gone;
use super::{Cgroup, Node, Version};
use crate::error::{Error, Kind, OrFail, Result};

/// What a readable [`OomWatch`] meant; nothing of it is possible too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oom {
    /// Memory ran out.
    pub happened: bool,
    /// The cgroup is gone or has no process left: nothing more will come.
    pub gone: bool,
}

/// A watch on a container's memory cgroup. Poll it for reading, then ask [`OomWatch::take`].
#[derive(Debug)]
pub struct OomWatch {
    dir: Dir,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// cgroup v1, memory.rst section 9: the kernel counts up an eventfd until that is closed.
    Counter(EventFd),
    /// cgroup v2: files that change are seen by inotify. `kills` were there before.
    Files { inotify: Inotify, kills: u64 },
}

impl OomWatch {
    /// Takes what made the descriptor readable. Does not wait.
    pub fn take(&mut self) -> Result<Oom> {
        match &mut self.source {
            Source::Counter(counter) => match counter.read() {
                Ok(count) => {
                    // The end of the cgroup counts as one.
                    let gone = !self.dir.has("memory.oom_control");
                    Ok(Oom { happened: count > u64::from(gone), gone })
                }
                Err(Errno::EAGAIN | Errno::EINTR) => Ok(Oom::default()),
                Err(errno) => Err(Error::os("read", errno, format!("watch {} for OOM", self.dir.path()))),
            },
            Source::Files { inotify, kills } => {
                match inotify.read_events() {
                    Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Oom::default()),
                    events => drop(events.or_fail("read", || format!("watch {} for OOM", self.dir.path()))?),
                }
                let before = *kills;
                match number(&self.dir, "memory.events", "oom_kill") {
                    Ok(now) => *kills = now.unwrap_or(before),
                    Err(errno) if gone(errno) => return Ok(Oom { happened: false, gone: true }),
                    Err(errno) => return Err(self.dir.unread("memory.events", errno)),
                }
                let populated = number(&self.dir, "cgroup.events", "populated").ok().flatten();
                Ok(Oom { happened: *kills > before, gone: populated.unwrap_or(0) == 0 })
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Counter(counter) => counter.as_fd(),
            Source::Files { inotify, .. } => inotify.as_fd(),
        }
    }
}

/// The node that limits memory, and the file that counts its kills.
fn node(cgroup: &Cgroup) -> Option<(&Node, &'static str)> {
    match cgroup.node("memory") {
        Some(node) => Some((node, "memory.oom_control")),
        None => cgroup.unified().map(|node| (node, "memory.events")),
    }
}

/// See [`Cgroup::oom_kills`].
pub(super) fn kills(cgroup: &Cgroup) -> Option<u64> {
    let (node, file) = node(cgroup)?;
    let dir = node.open().ok()?;
    number(&dir, file, "oom_kill").ok()?
}

/// See [`Cgroup::oom_watch`].
pub(super) fn watch(cgroup: &Cgroup) -> Result<OomWatch> {
    let (node, _) = node(cgroup).ok_or_else(|| Error::new(Kind::Host, "memory controller missing"))?;
    let dir = Dir::open(&node.path).or_fail("openat2", || format!("watch {} for OOM", node.path))?;
    let source = match node.version {
        Version::V1 => counter(&dir)?,
        Version::V2 => files(&dir)?,
    };
    Ok(OomWatch { dir, source })
}

fn counter(dir: &Dir) -> Result<Source> {
    let watched = dir.file("memory.oom_control", OFlag::O_RDONLY);
    let watched = watched.map_err(|errno| dir.unread("memory.oom_control", errno))?;
    let counter = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
        .or_fail("eventfd2", || format!("watch {} for OOM", dir.path()))?;
    dir.set("cgroup.event_control", &format!("{} {}", counter.as_raw_fd(), watched.as_raw_fd()))?;
    Ok(Source::Counter(counter))
}

fn files(dir: &Dir) -> Result<Source> {
    let what = || format!("watch {} for OOM", dir.path());
    let inotify =
        Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).or_fail("inotify_init1", what)?;
    let add = |file: &str| {
        let path = format!("{}/{file}", dir.path());
        inotify
            .add_watch(path.as_str(), AddWatchFlags::IN_MODIFY)
            .or_fail("inotify_add_watch", || format!("watch {path}"))
    };
    add("memory.events")?;
    // The kernel reports no removal of a cgroup's files, but that its last process left (cgroup-v2.rst, [un]populated).
    add("cgroup.events")?;
    let kills = number(dir, "memory.events", "oom_kill").ok().flatten().unwrap_or(0);
    Ok(Source::Files { inotify, kills })
}

/// The number behind `key` in a file of `key value` lines.
fn number(dir: &Dir, file: &str, key: &str) -> nix::Result<Option<u64>> {
    Ok(parse(&dir.value(file)?, key))
}

fn parse(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let text = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(parse(text, "oom_kill"), Some(2));
        assert_eq!(parse(text, "oom"), Some(3));
        assert_eq!(parse(text, "kill"), None);
        assert_eq!(parse("oom_kill_disable 0\nunder_oom 0\noom_kill 7", "oom_kill"), Some(7));
    }
}
