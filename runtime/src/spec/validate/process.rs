//! What a process must not ask for. Pure.

use super::{item, refuse};
use crate::error::{Error, Result};
use crate::spec::Process;

/// `(uid_t) -1`: to the kernel it means "leave as it is" (setresuid(2)), which would be root.
const NO_ID: u32 = u32::MAX;

/// Checks `process` of config.json, or the file of `exec --process`.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate_process(process: &Process) -> Result<()> {
    if process.cwd.is_empty() {
        return Err(Error::invalid("process.cwd: Cwd property must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(Error::invalid("process.cwd: Cwd must be an absolute path")
            .hint(format!("it is {:?}", process.cwd)));
    }
    if process.args.is_empty() {
        return Err(Error::invalid("process.args: args must not be empty"));
    }
    ids(process)?;
    environment(&process.env)?;
    limits(process)?;
    if let Some(score) = process.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        return Err(refuse(
            "process.oomScoreAdj",
            format_args!("{score} is out of range; use -1000 to 1000"),
        ));
    }
    labels(process)?;
    // Without a terminal it means nothing (runtime-spec, config.md#process).
    if let Some(size) = process.console_size.as_ref().filter(|_| process.terminal) {
        for (name, length) in [("height", size.height()), ("width", size.width())] {
            if u16::try_from(length).is_err() {
                return Err(refuse(
                    format_args!("process.consoleSize.{name}"),
                    format_args!("{length} is over 65535"),
                ));
            }
        }
    }
    Ok(())
}

fn ids(process: &Process) -> Result<()> {
    let user = &process.user;
    let groups = user.additional_gids.iter().map(|gid| ("additionalGids", *gid));
    for (name, id) in [("uid", user.uid), ("gid", user.gid)].into_iter().chain(groups) {
        if id == NO_ID && !mutant!("id") {
            return Err(refuse(format_args!("process.user.{name}"), format_args!("{id} is not an id")));
        }
    }
    if let Some(umask) = user.umask.filter(|umask| *umask > 0o777) {
        return Err(refuse(
            "process.user.umask",
            format_args!("{umask} has more than permission bits (octal 777)"),
        ));
    }
    Ok(())
}

fn environment(env: &[String]) -> Result<()> {
    for variable in env {
        let why = match variable.find('=') {
            None => "missing '='",
            Some(0) => "name cannot be empty",
            Some(_) => continue,
        };
        return Err(Error::invalid(format!("invalid environment variable {variable:?}: {why}")));
    }
    Ok(())
}

fn limits(process: &Process) -> Result<()> {
    for (index, limit) in process.rlimits.iter().enumerate() {
        let here = || item("process.rlimits", index);
        if limit.soft() > limit.hard() {
            let why = format_args!("{}: soft {} is above hard {}", limit.typ(), limit.soft(), limit.hard());
            return Err(refuse(here(), why));
        }
        if process.rlimits.iter().take(index).any(|other| other.typ() == limit.typ()) {
            return Err(refuse(here(), format_args!("{} is there twice", limit.typ())));
        }
    }
    Ok(())
}

/// Labels are written into files of /proc, where a line break would begin another word.
fn labels(process: &Process) -> Result<()> {
    for (name, label) in
        [("apparmorProfile", &process.apparmor_profile), ("selinuxLabel", &process.selinux_label)]
    {
        if label.as_deref().is_some_and(|label| label.chars().any(char::is_control)) {
            return Err(refuse(
                format_args!("process.{name}"),
                format_args!("{label:?} has a control character"),
            ));
        }
    }
    Ok(())
}
