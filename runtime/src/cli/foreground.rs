//! Stays with a process until it ends, and gives its exit status. It never outlives the process.

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use std::os::fd::AsFd;

use super::signal;
use crate::container::Started;
use crate::error::{OrFail, Result};

/// Waits for a process that was started: its exit code, or 128 and the signal that killed it.
pub(crate) fn wait(started: &Started) -> Result<u8> {
    let status = waitid(Id::PIDFd(started.pidfd.as_fd()), WaitPidFlag::WEXITED)
        .or_fail("waitid", || format!("wait for process {}", started.pid))?;
    Ok(match status {
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(255),
        WaitStatus::Signaled(_, signal, _) => {
            128 + u8::try_from(signal::parse(signal.as_str())?).unwrap_or(127)
        }
        _ => 255,
    })
}
