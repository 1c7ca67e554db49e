//! Limits that the parent sets on a child it has cloned: rlimits and the out-of-memory score. From outside, because
//! the child may by then lack the right; never on the caller itself.

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::error::{Error, OrFail, Result};
use crate::spec::oci::{PosixRlimit, PosixRlimitType};
use crate::sys::process::set_rlimit;

/// Sets `process.rlimits` of a process. A child is meant: nobody else's pid stays its own.
pub fn set_rlimits(pid: Pid, rlimits: &[PosixRlimit]) -> Result<()> {
    for rlimit in rlimits {
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
        })?;
    }
    Ok(())
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

/// Writes a process's `oom_score_adj`, -1000 to 1000. Before it makes itself undumpable.
pub fn set_oom_score(pid: Pid, score: i32) -> Result<()> {
    let path = format!("/proc/{pid}/oom_score_adj");
    let what = || format!("failed to update {path} to {score}");
    std::fs::write(&path, score.to_string()).or_fail("write", what).map_err(|error| match error.errno() {
        Some(Errno::EACCES | Errno::EPERM) => {
            error.hint("lowering the score needs CAP_SYS_RESOURCE; leave oomScoreAdj out or raise it to the runtime's own")
        }
        Some(Errno::EINVAL) => error.hint("use -1000 to 1000"),
        _ => error,
    })
}
