//! What a process inherits and must not: session, keyring, umask, signals, timer slack. Each is set outright, never
//! left as the caller had it.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};

use crate::error::{Error, OrFail, Result, errno_text};
use crate::plan::creds::Credentials;
use crate::sys::keyring;
use crate::sys::process::set_timer_slack;
use crate::sys::signals;

/// Search permission for the owner and for others (keyctl_setperm(3)).
const OWNER_SEARCH: u32 = 0x8_0000;
const OTHER_SEARCH: u32 = 0x8;

/// Nanoseconds by which the kernel may delay timers of a process that asked for nothing (man 2 PR_SET_TIMERSLACK).
const TIMER_SLACK: u64 = 50_000;

/// What somebody sends who wants a process to end.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Who joins a session keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// The container's init: it makes the keyring and makes it searchable.
    Init {
        /// In a user namespace of its own the exec'ed processes are "others" to it.
        user_namespace: bool,
    },
    /// A process that comes later.
    Exec,
}

/// setsid(2): out of the caller's session and process group, without a controlling terminal.
pub fn new_session() -> Result<()> {
    // EPERM: already a process group leader, as the first process of a session is.
    match nix::unistd::setsid() {
        Ok(_) => Ok(()),
        Err(Errno::EPERM) if nix::unistd::getsid(None) == Ok(nix::unistd::getpid()) => Ok(()),
        Err(errno) => Err(Error::os("setsid", errno, "start a new session")),
    }
}

/// Puts what was given on 0, 1 and 2. First of all, so that nobody inherits the caller's.
pub fn take_stdio(given: &[OwnedFd; 3]) -> Result<()> {
    let what = || "make the given descriptors standard input, output and error";
    // One of them may be open on a number that is replaced before its turn.
    let [stdin, stdout, stderr] = given.each_ref().map(above_stdio);
    nix::unistd::dup2_stdin(stdin.or_fail("fcntl", what)?).or_fail("dup2", what)?;
    nix::unistd::dup2_stdout(stdout.or_fail("fcntl", what)?).or_fail("dup2", what)?;
    nix::unistd::dup2_stderr(stderr.or_fail("fcntl", what)?).or_fail("dup2", what)
}

fn above_stdio(fd: &OwnedFd) -> std::io::Result<OwnedFd> {
    // F_DUPFD_CLOEXEC from 3 up (std).
    fd.try_clone()
}

/// Leaves the caller's session keyring for the container's own, `_ses.<id>`. A kernel without keyrings is a warning.
pub fn join_keyring(id: &str, who: Keyring) -> Result<()> {
    if mutant!("keyring") {
        return Ok(());
    }
    let name = format!("_ses.{id}");
    let key = match keyring::join_session(&name) {
        Ok(key) => key,
        Err(Errno::ENOSYS) => {
            log::warn!(
                "KeyctlJoinSessionKeyring: unable to create session key: {}",
                errno_text(Errno::ENOSYS)
            );
            return Ok(());
        }
        Err(errno) => {
            let error =
                Error::os("keyctl", errno, "unable to join session keyring: unable to create session key");
            return Err(match errno {
                Errno::EDQUOT => {
                    error.hint("raise kernel.keys.maxkeys and maxbytes, or use --no-new-keyring")
                }
                _ => error.hint("use --no-new-keyring to keep the caller's"),
            });
        }
    };
    let is = keyring::session().or_fail("keyctl", || "look at the session keyring")?;
    if !key.is(is) {
        return Err(super::verify::differs(
            "the session keyring",
            format_args!("{is:?}"),
            format_args!("{key:?}"),
        ));
    }
    let Keyring::Init { user_namespace } = who else { return Ok(()) };
    let what = || format!("unable to mod keyring permissions of {name}");
    let description = keyring::describe(key).or_fail("keyctl", what)?;
    let permissions = permissions(&description).ok_or_else(|| Error::os("keyctl", Errno::EINVAL, what()))?;
    let search = if user_namespace { OTHER_SEARCH } else { OWNER_SEARCH };
    if permissions & search == search {
        return Ok(());
    }
    keyring::set_permissions(key, permissions | search).or_fail("keyctl", what)
}

/// The permission bits out of a key's description.
fn permissions(description: &str) -> Option<u32> {
    let field = description.split(';').nth(3)?;
    u32::from_str_radix(field, 16).ok()
}

/// Sets the umask that the process asked for, or the default, unless it keeps the caller's.
pub fn set_umask(creds: &Credentials) {
    if !creds.keep_umask && !mutant!("umask") {
        umask(Mode::from_bits_truncate(creds.umask));
    }
}

/// No signal blocked, none ignored, timers as precise as the kernel gives them by default. The last thing before
/// the process waits or execs: from here on a write to a closed pipe is death.
pub fn reset_inherited() -> Result<()> {
    if mutant!("signals") {
        return Ok(());
    }
    signals::default_all().or_fail("rt_sigaction", || "reset signal dispositions")?;
    // Until it is its program, what ends other processes ends this one too: the first of a pid namespace would not even
    // notice a signal that it has no handler for (pid_namespaces(7)). An exec takes the handlers away.
    signals::exit_on(&ENDING).or_fail("rt_sigaction", || "let signals end init")?;
    signals::unblock_all().or_fail("rt_sigprocmask", || "reset the signal mask")?;
    set_timer_slack(TIMER_SLACK).or_fail("prctl(PR_SET_TIMERSLACK)", || "reset the timer slack")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_of_a_key() {
        assert_eq!(permissions("keyring;0;0;3f130000;_ses.a"), Some(0x3f13_0000));
        assert_eq!(permissions("keyring;0;0;3f130000;a;b"), Some(0x3f13_0000));
        for text in ["", "keyring;0;0", "keyring;0;0;;x", "keyring;0;0;zz;x", "keyring;0;0;1ffffffff;x"] {
            assert_eq!(permissions(text), None, "{text}");
        }
    }
}
