//! The id maps of a new user namespace, written by the parent (user_namespaces(7)).

use std::fmt::Write as _;

use nix::unistd::{Pid, getegid, geteuid};

use crate::error::{Error, Kind, OrFail, Result};
use crate::hook::{self, Setting};
use crate::spec::Linux;
use crate::spec::oci::{Hook, LinuxIdMapping};

/// Writes gid_map and uid_map of a process. Without privilege the kernel allows one id, the caller's own, and no
/// setgroups; for others newgidmap(1) and newuidmap(1) vouch, by /etc/subgid and /etc/subuid.
pub(super) async fn write(pid: Pid, linux: &Linux) -> Result<()> {
    let (gids, uids) = (&linux.gid_mappings, &linux.uid_mappings);
    if geteuid().is_root() {
        put(pid, "gid_map", &lines(gids)?)?;
        return put(pid, "uid_map", &lines(uids)?);
    }
    if is_one(gids, getegid().as_raw()) {
        put(pid, "setgroups", "deny")?;
        put(pid, "gid_map", &lines(gids)?)?;
    } else {
        by_helper("newgidmap", pid, gids).await?;
    }
    if is_one(uids, geteuid().as_raw()) {
        return put(pid, "uid_map", &lines(uids)?);
    }
    by_helper("newuidmap", pid, uids).await
}

fn is_one(mappings: &[LinuxIdMapping], own: u32) -> bool {
    matches!(mappings, [one] if one.size() == 1 && one.host_id() == own)
}

/// Longest time that such a helper may take, in seconds: it may ask a directory service who the caller is.
const PATIENCE: i64 = 30;

async fn by_helper(name: &str, pid: Pid, mappings: &[LinuxIdMapping]) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let Some(program) = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
    else {
        let text = format!("map ids other than the caller's own: {name} is not in $PATH");
        return Err(Error::new(Kind::Host, text).hint("install it (Debian: uidmap), or map one id alone"));
    };
    let mut args = vec![name.to_owned(), pid.to_string()];
    args.extend(
        mappings
            .iter()
            .flat_map(|map| [map.container_id(), map.host_id(), map.size()])
            .map(|n| n.to_string()),
    );
    let mut helper = Hook::default();
    helper.set_path(program).set_args(Some(args)).set_timeout(Some(PATIENCE));
    let framed = |error: Error| {
        error.within(format!("map the ids of the user namespace by {name}")).hint(format!(
            "linux.uidMappings and gidMappings may name the caller's id and those that /etc/sub{}id gives him",
            &name[3..4]
        ))
    };
    hook::run(&helper, Setting::default()).await.map_err(framed)
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
