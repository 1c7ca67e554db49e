//! Device rules in the language of cgroup v1: lines for devices.allow and devices.deny
//! (Documentation/admin-guide/cgroup-v1/devices.rst). Never leaves a moment in which a running container has less than
//! it had and is to have, unless the kernel leaves no other way.

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::device::{Access, Devices, Policy, Type};
use super::dir::{Dir, write_line};
use super::host::in_user_namespace;
use crate::error::{Error, Kind, OrFail, Result};

/// One line for one of the two files.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    allow: bool,
    line: String,
}

/// Makes `target` the policy of the cgroup. A `fresh` one has nobody in it and inherited what its parent has.
pub(super) fn apply(dir: &Dir, target: &Policy, fresh: bool) -> Result<()> {
    let now = if fresh { None } else { current(dir)? };
    write(dir, &changes(now.as_ref(), target))?;
    // What the kernel took is what was written; a policy pieced together from what was there is looked at once more.
    if !fresh && !target.allow && current(dir)?.as_ref() != Some(target) {
        return Err(Error::new(
            Kind::Host,
            format!("set device rules of {}: devices.list has other rules", dir.path()),
        )
        .hint("remove the cgroup, and start again"));
    }
    Ok(())
}

/// The policy in force; None if the kernel does not tell: of "everything but" it lists only "everything".
fn current(dir: &Dir) -> Result<Option<Policy>> {
    let list = dir.read("devices.list").map_err(|errno| dir.unread("devices.list", errno))?;
    parse_list(&list).map_err(|line| {
        Error::new(Kind::Host, format!("read {}/devices.list: unknown line {line:?}", dir.path()))
    })
}

fn parse_list(list: &str) -> Result<Option<Policy>, String> {
    let mut policy = Policy::default();
    for line in list.lines() {
        if line.starts_with('a') {
            return Ok(None);
        }
        let (devices, access) = parse_line(line).ok_or_else(|| line.to_owned())?;
        let known = policy.exceptions.entry(devices).or_default();
        *known = known.or(access);
    }
    Ok(Some(policy))
}

/// `c 136:* rw` as what it names.
fn parse_line(line: &str) -> Option<(Devices, Access)> {
    let (kind, rest) = line.split_once(' ')?;
    let (numbers, access) = rest.split_once(' ')?;
    let (major, minor) = numbers.split_once(':')?;
    let number = |n: &str| if n == "*" { Some(None) } else { n.parse().ok().map(Some) };
    let kind = match kind {
        "b" => Type::Block,
        "c" => Type::Char,
        _ => return None,
    };
    Some((Devices { major: number(major)?, minor: number(minor)?, kind }, Access::parse(access)))
}

/// The fewest lines that lead from one policy (None: an unknown one) to the other.
fn changes(now: Option<&Policy>, target: &Policy) -> Vec<Change> {
    let mut list = Vec::with_capacity(target.exceptions.len() + 1);
    let now = now.filter(|now| now.allow == target.allow);
    match now {
        None => list.push(Change { allow: target.allow, line: "a *:* rwm".to_owned() }),
        Some(now) => {
            for (devices, access) in &now.exceptions {
                let dropped = access.without(target.exceptions.get(devices).copied().unwrap_or_default());
                if !dropped.is_empty() {
                    list.push(Change { allow: target.allow, line: format!("{devices} {dropped}") });
                }
            }
        }
    }
    for (devices, access) in &target.exceptions {
        let had = now.and_then(|now| now.exceptions.get(devices)).copied().unwrap_or_default();
        let gained = access.without(had);
        if !gained.is_empty() {
            list.push(Change { allow: !target.allow, line: format!("{devices} {gained}") });
        }
    }
    list
}

/// Writes the lines in order; lines for the same file in a row share its descriptor.
fn write(dir: &Dir, changes: &[Change]) -> Result<()> {
    for run in changes.chunk_by(|a, b| a.allow == b.allow) {
        let name = if run[0].allow { "devices.allow" } else { "devices.deny" };
        let file = match dir.file(name, OFlag::O_WRONLY) {
            Err(errno) if excused(errno) => return Ok(()),
            file => file.or_fail("openat", || format!("open {}/{name}", dir.path()))?,
        };
        for change in run {
            match write_line(&file, &change.line) {
                Err(errno) if excused(errno) => return Ok(()),
                result => result.or_fail("write", || dir.attempt(name, &change.line))?,
            }
        }
    }
    Ok(())
}

/// In a user namespace device rules can't be set, and need not be: no device can be made or opened there that the host
/// did not hand in.
pub(super) fn excused(errno: Errno) -> bool {
    let excused = matches!(errno, Errno::EPERM | Errno::EACCES) && in_user_namespace();
    if excused {
        log::debug!("device rules are not set in a user namespace: {errno}");
    }
    excused
}

#[cfg(test)]
mod tests {
    use super::super::device::tests::policy;
    use super::*;

    fn lines(now: Option<&str>, target: &Policy) -> Vec<String> {
        let now = now.map(|list| parse_list(list).unwrap().unwrap());
        let all = changes(now.as_ref(), target);
        all.iter().map(|c| format!("{}{}", if c.allow { '+' } else { '-' }, c.line)).collect()
    }

    #[test]
    fn unknown_is_reset_first() {
        let target = policy(&["-a", "+b 8:* r"]).unwrap();
        let written = lines(None, &target);
        assert_eq!(written[0], "-a *:* rwm");
        assert!(written[1..].iter().all(|l| l.starts_with('+')), "{written:?}");
        assert!(written.contains(&"+b 8:* r".to_owned()));
        assert!(written.contains(&"+c *:* m".to_owned()));
        assert_eq!(written.len(), 1 + 11 + 1);
        assert_eq!(lines(None, &policy(&["+a", "-b 8:0 w"]).unwrap()), ["+a *:* rwm", "-b 8:0 w"]);
    }

    #[test]
    fn only_the_difference_is_written() {
        let target = Policy { allow: false, exceptions: [line("c 1:3 rw"), line("b 8:0 r")].into() };
        for (now, expected) in [
            ("c 1:3 rw\nb 8:0 r\n", &[][..]),
            ("", &["+c 1:3 rw", "+b 8:0 r"]),
            ("c 1:3 rwm\nb 8:0 r\nc 5:* rwm\n", &["-c 1:3 m", "-c 5:* rwm"]),
            ("c 1:3 r\nb 8:0 r\n", &["+c 1:3 w"]),
        ] {
            assert_eq!(lines(Some(now), &target), expected, "{now:?}");
        }
    }

    fn line(text: &str) -> (Devices, Access) {
        parse_line(text).unwrap()
    }

    #[test]
    fn devices_list() {
        assert_eq!(parse_list("a *:* rwm\n"), Ok(None));
        assert_eq!(parse_list("c 1:3 rwm\nx 1:3 r\n"), Err("x 1:3 r".to_owned()));
        let (devices, access) = line("c 136:* rw");
        assert_eq!(format!("{devices} {access}"), "c 136:* rw");
        for bad in ["", "c", "c 1:3", "c 1 r", "c 1:x r"] {
            assert_eq!(parse_line(bad), None, "{bad:?}");
        }
    }
}
