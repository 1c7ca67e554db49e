//! A process that is remembered over time: pid and start time, so that a recycled pid is never taken for it.

use std::fmt;
use std::io::Read;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Error, OrFail, Result};
use crate::sys::process::pidfd_open;

/// A process by pid and start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ProcessId {
    /// Its pid in our pid namespace.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of /proc/PID/stat).
    pub start: u64,
}

impl ProcessId {
    /// The process that has `pid` now.
    ///
    /// # Errors
    /// There is none, or /proc cannot be read.
    pub fn of(pid: Pid) -> Result<Self> {
        match stat(pid.as_raw())? {
            Some(stat) => Ok(Self { pid: pid.as_raw(), start: stat.start }),
            None => Err(Error::os("read", Errno::ESRCH, format_args!("read /proc/{pid}/stat"))),
        }
    }

    /// This process.
    pub fn own() -> Result<Self> {
        Self::of(nix::unistd::getpid())
    }

    /// Whether it is there and no zombie.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn is_alive(self) -> Result<bool> {
        Ok(stat(self.pid)?
            .is_some_and(|stat| (stat.start == self.start || mutant!("start-time")) && !stat.dead))
    }

    /// A pidfd of it; `None` if it is gone or a zombie. The start time is compared after the descriptor is open, so
    /// that what it stands for cannot change any more.
    ///
    /// # Errors
    /// pidfd_open fails for another reason, or /proc cannot be read.
    pub fn pidfd(self) -> Result<Option<OwnedFd>> {
        if self.pid <= 0 {
            return Ok(None);
        }
        match pidfd_open(Pid::from_raw(self.pid)) {
            Ok(fd) => Ok(self.is_alive()?.then_some(fd)),
            // EINVAL and ENOENT: the pid was recycled for a thread (man 2 pidfd_open).
            Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Error::os("pidfd_open", errno, format_args!("open process {}", self.pid))),
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)
    }
}

struct Stat {
    dead: bool,
    start: u64,
}

/// /proc/PID/stat; `None` if there is no such process.
fn stat(pid: i32) -> Result<Option<Stat>> {
    if pid <= 0 {
        return Ok(None);
    }
    let path = format!("/proc/{pid}/stat");
    // The line has at most 52 fields of 20 digits.
    let mut line = [0u8; 1200];
    let read = std::fs::File::open(&path).and_then(|mut file| file.read(&mut line));
    let length = match read {
        Ok(length) => length,
        Err(error) => {
            return match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT | Errno::ESRCH) => Ok(None),
                _ => Err(error).or_fail("open", || format!("read {path}")),
            };
        }
    };
    let stat = line.get(..length).and_then(parse_stat);
    stat.map(Some).ok_or_else(|| Error::os("read", Errno::EINVAL, format_args!("understand {path}")))
}

/// man 5 proc_pid_stat. The name in parentheses can hold anything, also ") R".
fn parse_stat(line: &[u8]) -> Option<Stat> {
    let name_end = line.iter().rposition(|&b| b == b')')?;
    let mut fields = std::str::from_utf8(line.get(name_end + 1..)?).ok()?.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    let start = fields.nth(22 - 4)?.parse().ok()?;
    Some(Stat { dead, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_stat_cannot_mislead() {
        let line = b"7 (a) Z 1) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20\n";
        let stat = parse_stat(line).unwrap();
        assert!(!stat.dead);
        assert_eq!(stat.start, 4242);
        assert!(parse_stat(b"7 (a) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 9").unwrap().dead);
        for torn in
            [&b""[..], b"7 (a", b"7 (a) R 1 2", b"7 (a) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"]
        {
            assert!(parse_stat(torn).is_none());
        }
    }

    #[test]
    fn own_process_is_alive_and_its_pid_at_another_time_is_not() {
        let own = ProcessId::own().unwrap();
        assert!(own.is_alive().unwrap());
        assert!(own.pidfd().unwrap().is_some());
        let recycled = ProcessId { start: own.start + 1, ..own };
        assert!(!recycled.is_alive().unwrap());
        assert!(recycled.pidfd().unwrap().is_none());
        for pid in [0, -1, i32::MIN, i32::MAX] {
            assert!(ProcessId { pid, ..own }.pidfd().unwrap().is_none());
            assert!(!ProcessId { pid, ..own }.is_alive().unwrap());
        }
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("/proc/self/exe")
            .arg("--list")
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let id = ProcessId::of(Pid::from_raw(pid)).unwrap();
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(nix::sys::wait::Id::Pid(Pid::from_raw(pid)), flags).unwrap();
        assert!(!id.is_alive().unwrap());
        assert!(id.pidfd().unwrap().is_none());
        child.wait().unwrap();
        assert!(!id.is_alive().unwrap());
    }
}
