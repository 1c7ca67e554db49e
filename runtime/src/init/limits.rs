//! `process.rlimits`: set by the process itself while it may, and by its parent for a user namespace, whose root can't
//! raise a hard limit (man 2 getrlimit: that takes CAP_SYS_RESOURCE in the initial user namespace).

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::spec::oci::{PosixRlimit, PosixRlimitType};
use crate::sys::process::set_rlimit;

/// Sets the limits of the calling process, before it gives up its capabilities. What a user namespace forbids is left
/// to the parent.
pub fn set_own(rlimits: &[PosixRlimit], user_namespace: bool) -> Result<()> {
    for rlimit in rlimits {
        match set(Pid::from_raw(0), rlimit) {
            Err(error) if user_namespace && error.errno() == Some(Errno::EPERM) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Sets one limit of a process; pid 0 is the caller.
pub fn set(pid: Pid, rlimit: &PosixRlimit) -> Result<()> {
    let (typ, soft, hard) = (rlimit.typ(), rlimit.soft(), rlimit.hard());
    set_rlimit(pid, resource(typ), soft, hard).map_err(|errno| {
        let error = Error::os("prlimit", errno, format!("error setting rlimit {typ} to {soft}:{hard}"));
        match errno {
            Errno::EPERM => error.hint(
                "raising a hard limit needs CAP_SYS_RESOURCE; ask for no more than the runtime's own (ulimit -Ha)",
            ),
            Errno::EINVAL => error.hint("the soft limit must not be above the hard one"),
            _ => error,
        }
    })
}

/// asm-generic/resource.h. The C libraries' own types for these numbers differ.
fn resource(typ: PosixRlimitType) -> u32 {
    match typ {
        PosixRlimitType::RlimitCpu => 0,
        PosixRlimitType::RlimitFsize => 1,
        PosixRlimitType::RlimitData => 2,
        PosixRlimitType::RlimitStack => 3,
        PosixRlimitType::RlimitCore => 4,
        PosixRlimitType::RlimitRss => 5,
        PosixRlimitType::RlimitNproc => 6,
        PosixRlimitType::RlimitNofile => 7,
        PosixRlimitType::RlimitMemlock => 8,
        PosixRlimitType::RlimitAs => 9,
        PosixRlimitType::RlimitLocks => 10,
        PosixRlimitType::RlimitSigpending => 11,
        PosixRlimitType::RlimitMsgqueue => 12,
        PosixRlimitType::RlimitNice => 13,
        PosixRlimitType::RlimitRtprio => 14,
        PosixRlimitType::RlimitRttime => 15,
    }
}
