//! The id maps of a new user namespace, written by the parent (user_namespaces(7)).

use std::fmt::Write as _;

use nix::unistd::{Pid, geteuid};

use crate::error::{Error, OrFail, Result};
use crate::spec::Linux;
use crate::spec::oci::LinuxIdMapping;

/// Writes gid_map and uid_map of a process. Without privilege the kernel allows one id, the caller's own, and no
/// setgroups.
pub(super) fn write(pid: Pid, linux: &Linux) -> Result<()> {
    let rootless = !geteuid().is_root();
    if rootless {
        put(pid, "setgroups", "deny")?;
    }
    put(pid, "gid_map", &lines(&linux.gid_mappings)?)?;
    put(pid, "uid_map", &lines(&linux.uid_mappings)?)
}

/// Writes the offsets of a process's new time namespace (time_namespaces(7)).
pub(super) fn write_time_offsets(pid: Pid, linux: &Linux) -> Result<()> {
    let mut text = String::new();
    for (clock, offset) in &linux.time_offsets {
        let (seconds, nanoseconds) = (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
        writeln!(text, "{clock} {seconds} {nanoseconds}")
            .map_err(|_| Error::invalid("write linux.timeOffsets"))?;
    }
    let path = format!("/proc/{pid}/timens_offsets");
    std::fs::write(&path, text)
        .or_fail("write", || format!("set linux.timeOffsets in {path}"))
        .map_err(|error| error.hint("clocks are monotonic and boottime"))
}

fn put(pid: Pid, name: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{name}");
    let what = || format!("write {:?} to {path}", text.trim_end());
    let file = std::fs::OpenOptions::new().write(true).open(&path).or_fail("open", what)?;
    nix::unistd::write(&file, text.as_bytes()).map(drop).map_err(|errno| {
        Error::os("write", errno, what()).hint(
            "linux.uidMappings and gidMappings must not overlap, and may only name ids that the caller owns",
        )
    })
}

/// `inside outside count`, one mapping a line.
fn lines(mappings: &[LinuxIdMapping]) -> Result<String> {
    let mut text = String::new();
    for map in mappings {
        writeln!(text, "{} {} {}", map.container_id(), map.host_id(), map.size())
            .map_err(|_| Error::invalid("write an id map"))?;
    }
    Ok(text)
}
