//! Runs the commands of config.json's `hooks` with the container's state on their standard input. The waiting is a
//! future's (see `wait`), no longer than the hook's timeout; nothing here changes this process. Both sides of a birth use
//! it, the runtime for its hooks and init for the container's; it knows neither.

mod files;
mod output;
mod state;

use std::ffi::{CString, OsString};
use std::fmt;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, pipe2};

use crate::error::{Error, Kind, OrFail, Result, errno_text};
use crate::spec::oci;
use crate::sys::fs::memfd;
use crate::sys::process::pidfd_signal;
use crate::sys::spawn::{Program, spawn};
use crate::sys::wait::{expect, try_wait};
use crate::wait;
pub use files::Files;
use output::Output;

pub use state::{HookState, Status};

/// How long a killed hook may take to go before it is left behind.
const GRACE: Duration = Duration::from_secs(5);

/// The moments at which hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// Deprecated; runs just before createRuntime.
    Prestart,
    /// In the runtime's namespaces, before the root is pivoted.
    CreateRuntime,
    /// In the container's namespaces, before the root is pivoted.
    CreateContainer,
    /// In the container, before the program.
    StartContainer,
    /// In the runtime's namespaces, after the program has started.
    Poststart,
    /// In the runtime's namespaces, after the container is deleted.
    Poststop,
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        })
    }
}

/// What all hooks of one moment get.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'a> {
    /// The state (runtime-spec, runtime.md#state) as JSON.
    pub state: &'a [u8],
    /// `NAME=value` pairs for a hook that has none of its own; none: the caller's environment, as runc has it.
    pub default_env: Option<&'a [String]>,
    /// Working directory; none: the caller's.
    pub dir: Option<&'a Path>,
    /// Where they print; none: into their error.
    pub files: Option<&'a Files>,
}

/// Runs the hooks in order and stops at the first that fails.
pub async fn run_all(kind: HookKind, hooks: &[oci::Hook], setting: Setting<'_>) -> Result<()> {
    for (index, hook) in hooks.iter().enumerate() {
        run(hook, setting).await.map_err(|error| framed(error, kind, index))?;
    }
    Ok(())
}

/// Runs all hooks in order; one that fails is a warning, and the next ones still run (poststop: runtime-spec,
/// runtime.md#lifecycle).
pub async fn run_each(kind: HookKind, hooks: &[oci::Hook], setting: Setting<'_>) {
    for (index, hook) in hooks.iter().enumerate() {
        if let Err(error) = run(hook, setting).await {
            log::warn!("{}", framed(error, kind, index));
        }
    }
}

/// Runs one command to its end.
pub async fn run(hook: &oci::Hook, setting: Setting<'_>) -> Result<()> {
    Running::start(hook, setting)?.wait().await
}

/// The error of hook number `index`, as runc words it.
pub fn framed(error: Error, kind: HookKind, index: usize) -> Error {
    error.within(format!("error running {kind} hook #{index}"))
}

/// A hook that has been started.
#[derive(Debug)]
struct Running {
    pid: Pid,
    pidfd: OwnedFd,
    outputs: [Output; 2],
    /// When it is too late, and the timeout in seconds.
    deadline: Option<(Instant, i64)>,
}

impl Running {
    /// Starts a hook.
    fn start(hook: &oci::Hook, setting: Setting<'_>) -> Result<Self> {
        let deadline = match hook.timeout() {
            Some(seconds) if seconds <= 0 => {
                return Err(Error::invalid(format!("hook timeout {seconds} is not greater than zero")));
            }
            Some(seconds) => {
                let length = Duration::from_secs(seconds.unsigned_abs());
                Instant::now().checked_add(length).map(|end| (end, seconds))
            }
            None => None,
        };
        let path = hook.path();
        let what = || format!("fork/exec {}", path.display());
        let c_string = |bytes: &[u8]| {
            CString::new(bytes).map_err(|_| Error::invalid(format!("{}: nul byte in a string", what())))
        };
        let strings =
            |list: &[String]| list.iter().map(|s| c_string(s.as_bytes())).collect::<Result<Vec<_>>>();
        let file = c_string(path.as_os_str().as_bytes())?;
        let args = match hook.args().as_deref() {
            None | Some([]) => vec![file.clone()],
            Some(args) => strings(args)?,
        };
        let env = match hook.env().as_deref() {
            Some(env) if !env.is_empty() => strings(env)?,
            _ => match setting.default_env {
                Some(env) => strings(env)?,
                None => own_env(),
            },
        };
        let dir = setting.dir.map(|dir| c_string(dir.as_os_str().as_bytes())).transpose()?;
        let stdin = state_file(setting.state)?;
        let (stdout, stdout_end) = pipe().or_fail("pipe2", what)?;
        let (stderr, stderr_end) = pipe().or_fail("pipe2", what)?;
        let none = Files::default();
        let files = setting.files.unwrap_or(&none);
        let (pid, pidfd) = spawn(&Program {
            path: &file,
            args: &args,
            env: &env,
            dir: dir.as_deref(),
            stdio: [stdin.as_fd(), files.or(0, &stdout_end), files.or(1, &stderr_end)],
            more: &[],
        })
        .map_err(|errno| Error::new(Kind::Host, format!("{}: {}", what(), errno_text(errno))))?;
        expect(pid);
        Ok(Self { pid, pidfd, outputs: [Output::new(stdout), Output::new(stderr)], deadline })
    }

    /// Until the hook has ended or was killed for its timeout. What it prints is read meanwhile.
    async fn wait(mut self) -> Result<()> {
        loop {
            self.outputs.iter_mut().for_each(Output::read);
            match self.status() {
                Ok(WaitStatus::StillAlive) => {}
                status => {
                    // What it wrote last is in the pipes by now. What a child that it has left behind writes is not
                    // waited for.
                    self.outputs.iter_mut().for_each(Output::read);
                    return self.verdict(status);
                }
            }
            if let Some((end, seconds)) = self.deadline
                && Instant::now() >= end
            {
                self.kill().await;
                let text = format!("hook ran past specified timeout of {seconds}.0s");
                return Err(Error::new(Kind::Host, text).hint("raise the hook's timeout or make it faster"));
            }
            let [stdout, stderr] =
                self.outputs.each_ref().map(|output| output.pipe.as_ref().map(AsFd::as_fd));
            let fds = [stdout, stderr, Some(self.pidfd.as_fd())];
            let fds = fds.map(|fd| fd.map(|fd| (fd, PollFlags::POLLIN)));
            wait::any(fds, self.deadline.map(|(end, _)| end)).await;
        }
    }

    fn status(&self) -> nix::Result<WaitStatus> {
        match try_wait(self.pid)? {
            None => Ok(WaitStatus::StillAlive),
            Some(status) => WaitStatus::from_raw(self.pid, status),
        }
    }

    /// Kills the hook and all of its process group, and takes its status, which is not left to others.
    async fn kill(&self) {
        // The hook is not yet waited for: its pid and its group are still its own.
        let _ = killpg(self.pid, Signal::SIGKILL);
        let _ = pidfd_signal(&self.pidfd, libc::SIGKILL);
        let end = Instant::now() + GRACE;
        while matches!(self.status(), Ok(WaitStatus::StillAlive)) && Instant::now() < end {
            wait::any([Some((self.pidfd.as_fd(), PollFlags::POLLIN)), None, None], Some(end)).await;
        }
    }

    fn verdict(&self, status: nix::Result<WaitStatus>) -> Result<()> {
        let how = match status {
            Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
            Ok(WaitStatus::Exited(_, code)) => format!("exit status {code}"),
            Ok(WaitStatus::Signaled(_, signal, dumped)) => {
                format!("signal: {}{}", signal_text(signal), if dumped { " (core dumped)" } else { "" })
            }
            Ok(other) => format!("unexpected wait status {other:?}"),
            // nix has no word for real-time signals.
            Err(Errno::EINVAL) => "signal: a real-time signal".to_owned(),
            Err(errno) => return Err(Error::os("waitid", errno, "wait for the hook")),
        };
        let [stdout, stderr] = &self.outputs;
        Err(Error::new(Kind::Host, format!("{how}, stdout: {stdout}, stderr: {stderr}")))
    }
}

/// The state on a file of its own rather than in a pipe: a hook may read it late, twice, in part or not at all, and
/// nobody has to wait for it or die of SIGPIPE.
fn state_file(state: &[u8]) -> Result<OwnedFd> {
    let what = || "keep the container's state for a hook";
    let mut file = File::from(memfd("state").or_fail("memfd_create", what)?);
    file.write_all(state).or_fail("write", what)?;
    file.rewind().or_fail("lseek", what)?;
    Ok(file.into())
}

/// This process's environment, for a hook.
pub fn own_env() -> Vec<CString> {
    let pair = |(name, value): (OsString, OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    };
    std::env::vars_os().filter_map(pair).collect()
}

/// A pipe whose read end does not block.
fn pipe() -> nix::Result<(File, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&read, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read.into(), write))
}

/// As Go's syscall.Signal prints it.
fn signal_text(signal: Signal) -> String {
    let text = match signal {
        Signal::SIGHUP => "hangup",
        Signal::SIGINT => "interrupt",
        Signal::SIGQUIT => "quit",
        Signal::SIGILL => "illegal instruction",
        Signal::SIGTRAP => "trace/breakpoint trap",
        Signal::SIGABRT => "aborted",
        Signal::SIGBUS => "bus error",
        Signal::SIGFPE => "floating point exception",
        Signal::SIGKILL => "killed",
        Signal::SIGUSR1 => "user defined signal 1",
        Signal::SIGSEGV => "segmentation fault",
        Signal::SIGUSR2 => "user defined signal 2",
        Signal::SIGPIPE => "broken pipe",
        Signal::SIGALRM => "alarm clock",
        Signal::SIGTERM => "terminated",
        Signal::SIGSYS => "bad system call",
        other => return other.as_str().to_owned(),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_of_nothing_is_refused() {
        for seconds in [0, -1, i64::MIN] {
            let hook: oci::Hook =
                serde_json::from_value(serde_json::json!({ "path": "/bin/true", "timeout": seconds }))
                    .unwrap();
            let error = wait::block(run_all(HookKind::Prestart, &[hook], Setting::default())).unwrap_err();
            assert!(
                error.to_string().starts_with("error running prestart hook #0: hook timeout "),
                "{error}"
            );
        }
    }

    #[test]
    fn frames_are_runcs() {
        let error = framed(Error::new(Kind::Host, "exit status 1"), HookKind::StartContainer, 2).to_string();
        assert_eq!(error, "error running startContainer hook #2: exit status 1");
    }
}
