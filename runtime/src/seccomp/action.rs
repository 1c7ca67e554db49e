//! Actions of a profile → the values that a filter returns to the kernel (seccomp(2), "the filter return value").
//! Pure.

use crate::error::{Error, Result};
use crate::spec::oci::LinuxSeccompAction as Action;

/// What libseccomp gives a call of an architecture that the filter does not cover.
pub(super) const BAD_ARCH: u32 = libc::SECCOMP_RET_KILL_THREAD;
/// "No such system call": what programs take as the reason to fall back to an older one.
pub(super) const ENOSYS: u32 = errno(libc::ENOSYS.unsigned_abs());

const fn errno(code: u32) -> u32 {
    libc::SECCOMP_RET_ERRNO | code
}

/// The return value of `action`. `code` is `errnoRet`: the errno of ERRNO, the message for the tracer of TRACE, EPERM
/// when absent. Other actions have no use for it; the runtime-spec wants it refused there, runc takes it.
pub(super) fn answer(action: Action, code: Option<u32>) -> Result<u32> {
    let bare = match action {
        Action::ScmpActErrno => return Ok(libc::SECCOMP_RET_ERRNO | data(action, code)?),
        Action::ScmpActTrace => return Ok(libc::SECCOMP_RET_TRACE | data(action, code)?),
        Action::ScmpActKill | Action::ScmpActKillThread => libc::SECCOMP_RET_KILL_THREAD,
        Action::ScmpActKillProcess => libc::SECCOMP_RET_KILL_PROCESS,
        Action::ScmpActTrap => libc::SECCOMP_RET_TRAP,
        Action::ScmpActNotify => libc::SECCOMP_RET_USER_NOTIF,
        Action::ScmpActLog => libc::SECCOMP_RET_LOG,
        Action::ScmpActAllow => libc::SECCOMP_RET_ALLOW,
    };
    if let Some(code) = code {
        log::warn!("seccomp: {action} has no errno to return: errnoRet {code} ignored");
    }
    Ok(bare)
}

fn data(action: Action, code: Option<u32>) -> Result<u32> {
    match code {
        None => Ok(libc::EPERM.unsigned_abs()),
        Some(code) if code <= libc::SECCOMP_RET_DATA => Ok(code),
        Some(code) => {
            Err(Error::invalid(format!("seccomp: errnoRet {code} of {action} does not fit 16 bits")))
        }
    }
}

/// Whether calls that the profile does not name get through in some way. TRACE counts: the tracer answers for calls to
/// come, and an emulator must see them.
pub(super) fn lets_pass(action: Action) -> bool {
    matches!(action, Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_value() {
        for (action, code, value) in [
            (Action::ScmpActKill, None, 0),
            (Action::ScmpActKillThread, None, 0),
            (Action::ScmpActKillProcess, None, 0x8000_0000),
            (Action::ScmpActTrap, None, 0x0003_0000),
            (Action::ScmpActErrno, None, 0x0005_0001),
            (Action::ScmpActErrno, Some(0), 0x0005_0000),
            (Action::ScmpActErrno, Some(100), 0x0005_0064),
            (Action::ScmpActNotify, None, 0x7fc0_0000),
            (Action::ScmpActTrace, None, 0x7ff0_0001),
            (Action::ScmpActTrace, Some(7), 0x7ff0_0007),
            (Action::ScmpActLog, None, 0x7ffc_0000),
            (Action::ScmpActAllow, None, 0x7fff_0000),
            (Action::ScmpActAllow, Some(5), 0x7fff_0000),
        ] {
            assert_eq!(answer(action, code).unwrap(), value, "{action} {code:?}");
        }
    }

    #[test]
    fn an_errno_beyond_the_data_would_change_the_action() {
        let error = answer(Action::ScmpActErrno, Some(0x1_0000)).unwrap_err();
        assert_eq!(error.to_string(), "seccomp: errnoRet 65536 of SCMP_ACT_ERRNO does not fit 16 bits");
    }
}
