//! Makes the forked child the user that [`Credentials`] says, once, and reads back what the kernel made of it. It
//! never keeps what nobody asked for: groups are set unless they are to be kept, inheritable capabilities are what config.json names.
//!
//! Order (man 7 capabilities): bounding set while CAP_SETPCAP is there, groups and gid before the uid, the permitted
//! set carried over the uid by keepcaps, then all three sets by one capset, then the ambient set, which needs them.

use std::fmt;

use nix::errno::Errno;

use super::procfs::Proc;
use super::verify::differs;
use crate::error::{Error, Kind, OrFail, Result, errno_text};
use crate::plan::creds::{CapSet, CapSets, Credentials, cap_name};
use crate::sys::cred;
use crate::sys::process::in_initial_user_namespace;

/// `PR_SET_NO_NEW_PRIVS`, if asked for. Before seccomp: it lets an unprivileged process load a filter.
pub fn no_new_privs(creds: &Credentials) -> Result<()> {
    if creds.no_new_privs && !mutant!("no-new-privs") {
        cred::set_no_new_privs().or_fail("prctl(PR_SET_NO_NEW_PRIVS)", || "set no_new_privs")?;
    }
    Ok(())
}

/// Sets capabilities, groups, gid and uid, reads ids and groups back, and gives the capabilities that it could grant, for
/// whoever reads those back. `proc` is a procfs of our own, which is asked only when the kernel refuses setgroups.
/// Capabilities that this process does not have itself can't be granted: that is a warning, and they are left out.
pub fn apply(creds: &Credentials, proc: Option<&Proc>) -> Result<CapSets> {
    let own = cred::caps().or_fail("capget", || "read own capabilities")?;
    let caps = grantable(creds.caps, own, drop_bounding(creds.caps.bounding)?);
    let groups = set_groups(creds, proc)?;
    cred::set_gid(creds.gid.get()).map_err(|errno| unmapped("gid", creds.gid, "setresgid", errno))?;
    cred::keep_caps(true).or_fail("prctl(PR_SET_KEEPCAPS)", || "keep capabilities over setuid")?;
    cred::set_uid(creds.uid.get()).map_err(|errno| unmapped("uid", creds.uid, "setresuid", errno))?;
    cred::keep_caps(false).or_fail("prctl(PR_SET_KEEPCAPS)", || "clear keepcaps")?;
    cred::set_caps(cred::Caps {
        effective: caps.effective.bits(),
        permitted: caps.permitted.bits(),
        inheritable: if mutant!("inheritable") { caps.permitted } else { caps.inheritable }.bits(),
    })
    .or_fail("capset", || "can't apply capabilities")?;
    verify(creds, groups)?;
    Ok(CapSets { ambient: raise_ambient(caps.ambient)?, ..caps })
}

/// Leaves in the bounding set what is asked for and was there, and gives it. Needs CAP_SETPCAP.
fn drop_bounding(asked: CapSet) -> Result<CapSet> {
    let mut left = CapSet::EMPTY;
    let has = |cap| match cred::bounding_has(cap) {
        // The kernel has no such capability.
        Err(Errno::EINVAL) => Ok(false),
        other => other.or_fail("prctl(PR_CAPBSET_READ)", || format!("read {}", cap_name(cap))),
    };
    for cap in asked.iter() {
        if has(cap)? {
            left.insert(cap);
        }
    }
    // To the first number that the kernel does not know.
    for cap in (0..64).filter(|cap| !asked.contains(*cap) && !mutant!("bounding")) {
        match cred::bounding_drop(cap) {
            Ok(()) => {}
            Err(Errno::EINVAL) => break,
            // Without the right to drop it, but it was not there anyway.
            Err(_) if !has(cap)? => {}
            Err(errno) => {
                let what = format!("drop {} from the bounding set", cap_name(cap));
                return Err(Error::os("prctl(PR_CAPBSET_DROP)", errno, what));
            }
        }
    }
    Ok(left)
}

/// What of `asked` this process can give, with a warning for the rest.
fn grantable(asked: CapSets, own: cred::Caps, bounding: CapSet) -> CapSets {
    let permitted = CapSet::from_bits(own.permitted);
    let heritable = permitted.or(CapSet::from_bits(own.inheritable)).and(bounding);
    let given = CapSets {
        bounding: asked.bounding.and(bounding),
        effective: asked.effective.and(permitted),
        permitted: asked.permitted.and(permitted),
        inheritable: asked.inheritable.and(heritable),
        ambient: asked.ambient,
    };
    let missing = asked
        .bounding
        .without(given.bounding)
        .or(asked.effective.without(given.effective))
        .or(asked.permitted.without(given.permitted))
        .or(asked.inheritable.without(given.inheritable));
    if !missing.is_empty() {
        log::warn!("ignoring unknown or unavailable capabilities: {missing}");
    }
    given
}

/// Whether the kernel let us set the groups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Groups {
    Set,
    /// The caller's are kept.
    Kept,
    /// A rootless user namespace says "deny" in /proc/self/setgroups: groups can be neither set nor dropped there.
    Denied,
}

fn set_groups(creds: &Credentials, proc: Option<&Proc>) -> Result<Groups> {
    if creds.keep_groups {
        return Ok(Groups::Kept);
    }
    let groups: Vec<u32> = creds.groups.iter().map(|gid| gid.get()).collect();
    if mutant!("groups") {
        return Ok(Groups::Denied);
    }
    match cred::set_groups(&groups) {
        Ok(()) => Ok(Groups::Set),
        Err(Errno::EPERM) if denied(proc) => {
            if groups.is_empty() {
                return Ok(Groups::Denied);
            }
            Err(Error::os(
                "setgroups",
                Errno::EPERM,
                "cannot set any additional groups in a rootless container",
            )
            .hint("remove process.user.additionalGids or map groups with newgidmap"))
        }
        Err(Errno::EINVAL) => Err(Error::os("setgroups", Errno::EINVAL, format!("set groups {groups:?}"))
            .hint("map every one of them in linux.gidMappings")),
        Err(errno) => Err(Error::os("setgroups", errno, format!("set groups {groups:?}"))),
    }
}

/// Whether it is the user namespace that refuses (man 7 user_namespaces), and not a sandbox around it: its word in
/// procfs, or, where there is none of our own, that a namespace which is not the host's refuses a holder of
/// CAP_SETGID.
fn denied(proc: Option<&Proc>) -> bool {
    if let Some(proc) = proc {
        return proc.read_own("setgroups").is_ok_and(|text| text.trim() == "deny");
    }
    let capable = cred::caps().is_ok_and(|own| CapSet::from_bits(own.effective).contains(SETGID));
    capable && in_initial_user_namespace() == Ok(false)
}

/// CAP_SETGID.
const SETGID: u8 = 6;

fn unmapped(kind: &str, id: impl fmt::Display, call: &str, errno: Errno) -> Error {
    match errno {
        Errno::EINVAL => {
            Error::new(Kind::Host, format!("cannot set{kind} to unmapped {kind} {id} in user namespace"))
                .hint(format!("map it in linux.{kind}Mappings"))
        }
        _ => Error::os(call, errno, format!("set {kind} {id}")),
    }
}

/// Raises the ambient set from nothing and gives what the kernel took; a refusal is a warning, as in runc.
fn raise_ambient(asked: CapSet) -> Result<CapSet> {
    match cred::ambient_clear() {
        // EINVAL: the kernel has no ambient capabilities (before 4.3).
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(errno) => {
            return Err(Error::os("prctl(PR_CAP_AMBIENT_CLEAR_ALL)", errno, "clear ambient capabilities"));
        }
    }
    let mut raised = CapSet::EMPTY;
    for cap in asked.iter() {
        if let Err(errno) = cred::ambient_raise(cap) {
            log::warn!("can't raise ambient capability {}: {}", cap_name(cap), errno_text(errno));
        } else {
            raised.insert(cap);
        }
    }
    Ok(raised)
}

/// Asks the kernel who we are now. Any difference is fatal: better no container than one with more than it should
/// have. Here, and not with the rest, since a procfs shows the ids of whoever has opened its file.
fn verify(creds: &Credentials, groups: Groups) -> Result<()> {
    if mutant!("verify") {
        return Ok(());
    }
    let read = |what: &'static str| move || format!("read own {what}");
    same("uids", &[creds.uid.get(); 3], &cred::uids().or_fail("getresuid", read("uids"))?)?;
    same("gids", &[creds.gid.get(); 3], &cred::gids().or_fail("getresgid", read("gids"))?)?;
    if groups == Groups::Set {
        let wanted: Vec<u32> = creds.groups.iter().map(|gid| gid.get()).collect();
        let mut now = cred::groups().or_fail("getgroups", read("groups"))?;
        // The kernel keeps them in the order of the host's ids.
        now.sort_unstable();
        same("groups", &wanted, &now)?;
    }
    Ok(())
}

fn same<T: PartialEq + fmt::Debug>(what: &str, wanted: &T, is: &T) -> Result<()> {
    if wanted == is { Ok(()) } else { Err(differs(what, format_args!("{is:?}"), format_args!("{wanted:?}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_lacks_is_left_out() {
        let asked = CapSets {
            bounding: CapSet::from_bits(0b1111),
            effective: CapSet::from_bits(0b0110),
            permitted: CapSet::from_bits(0b0111),
            inheritable: CapSet::from_bits(0b1110),
            ambient: CapSet::from_bits(0b1000),
        };
        let own = cred::Caps { effective: 0, permitted: 0b0011, inheritable: 0b0100 };
        let given = grantable(asked, own, CapSet::from_bits(0b0111));
        assert_eq!(given.bounding.bits(), 0b0111);
        assert_eq!(given.effective.bits(), 0b0010);
        assert_eq!(given.permitted.bits(), 0b0011);
        assert_eq!(given.inheritable.bits(), 0b0110);
        assert_eq!(given.ambient.bits(), 0b1000, "the kernel decides when it is raised");
    }

    #[test]
    fn a_difference_is_an_error() {
        let error = same("uids", &[1000; 3], &[1000, 1000, 0]).unwrap_err().to_string();
        assert!(error.contains("verify: uids is [1000, 1000, 0], not [1000, 1000, 1000]"), "{error}");
    }
}
