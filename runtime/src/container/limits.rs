//! What the parent sets on a child it has cloned, from outside: the out-of-memory score, and those limits that the
//! child may not set itself. Never on the caller.

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::error::{OrFail, Result};
use crate::init::limits;
use crate::spec::oci::PosixRlimit;

/// Sets `process.rlimits` of a process in a user namespace. A child is meant: nobody else's pid stays its own.
pub fn set_rlimits(pid: Pid, rlimits: &[PosixRlimit]) -> Result<()> {
    rlimits.iter().try_for_each(|rlimit| limits::set(pid, rlimit))
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
