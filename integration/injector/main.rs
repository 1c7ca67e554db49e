//! `injector REPORT WHO NTH ACTION COMMAND…`: runs a command and does one thing to one system call of one of its
//! processes, by ptrace(2). It must never outlive the command's own process, nor keep anything of it stopped.
//!
//! WHO is 0 for the command itself, 1 for the first process that is born of it, and so on. NTH is the call, from 0, at
//! whose entry the action falls: `kill`, `term`, or the name of an errno, which the call answers without having been
//! made. With ACTION `count` nothing is done. REPORT gets one line `WHO NTH NUMBER` for each call that was counted, or
//! for the one that was hit; the exit status is the command's. A process that is born is watched until it becomes
//! another program, the command itself until its end. `count` of a command whose child goes on to wait counts what there
//! was until the command ended.

mod tracee;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tracee::{Call, Tracee};

const CLOSE: u64 = libc::SYS_close.unsigned_abs();
const UMASK: u64 = libc::SYS_umask.unsigned_abs();

/// What to do at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Count,
    Signal(Signal),
    Answer(Errno),
}

/// Where and what.
#[derive(Clone, Copy, Debug)]
struct Aim {
    who: usize,
    nth: usize,
    action: Action,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [report, who, nth, action, program, rest @ ..] = args.as_slice() else {
        eprintln!("injector: wants REPORT WHO NTH ACTION COMMAND…");
        return ExitCode::from(99);
    };
    let (Ok(who), Ok(nth), Some(action)) = (who.parse(), nth.parse(), action_of(action)) else {
        eprintln!("injector: {who} {nth} {action}: not understood");
        return ExitCode::from(99);
    };
    let mut session = Session { aim: Aim { who, nth, action }, tracees: HashMap::new(), told: String::new() };
    let code = session.run(Command::new(program).args(rest));
    session.let_go();
    match (code, std::fs::write(report, &session.told)) {
        (Ok(code), Ok(())) => ExitCode::from(code),
        (code, written) => {
            eprintln!("injector: {code:?}, {written:?}");
            ExitCode::from(99)
        }
    }
}

fn action_of(word: &str) -> Option<Action> {
    Some(match word {
        "count" => Action::Count,
        "kill" => Action::Signal(Signal::SIGKILL),
        "term" => Action::Signal(Signal::SIGTERM),
        "EPERM" => Action::Answer(Errno::EPERM),
        "ENOSYS" => Action::Answer(Errno::ENOSYS),
        "ENOMEM" => Action::Answer(Errno::ENOMEM),
        "EMFILE" => Action::Answer(Errno::EMFILE),
        "ENOSPC" => Action::Answer(Errno::ENOSPC),
        "EINTR" => Action::Answer(Errno::EINTR),
        "EIO" => Action::Answer(Errno::EIO),
        _ => return None,
    })
}

/// A command under trace.
struct Session {
    aim: Aim,
    tracees: HashMap<Pid, Tracee>,
    told: String,
}

impl Session {
    /// To the end of the command's own process. What else is traced goes on by itself when this process ends.
    fn run(&mut self, command: &mut Command) -> nix::Result<u8> {
        // SAFETY: one system call between fork and exec.
        unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
        let child = command.spawn().map_err(|_| Errno::ENOENT)?;
        let first = Pid::from_raw(i32::try_from(child.id()).map_err(|_| Errno::EOVERFLOW)?);
        // It stops once it is its program.
        waitpid(first, None)?;
        ptrace::setoptions(
            first,
            Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_TRACEEXEC,
        )?;
        self.tracees.insert(first, Tracee::new(0));
        go_on(first, true, None);
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL))? {
                WaitStatus::Exited(pid, code) if pid == first => return Ok(u8::try_from(code).unwrap_or(255)),
                WaitStatus::Signaled(pid, signal, _) if pid == first => {
                    return Ok(128_u8.saturating_add(number(signal)));
                }
                WaitStatus::PtraceSyscall(pid) => self.at_call(pid),
                WaitStatus::PtraceEvent(pid, _, event) => self.at_event(pid, event),
                WaitStatus::Stopped(pid, signal) => self.at_signal(pid, signal),
                _ => {}
            }
        }
    }

    /// Whoever has not had its first stop yet would have it once nobody is there to let it go on.
    fn let_go(&mut self) {
        for (pid, tracee) in &mut self.tracees {
            if tracee.begins() && waitpid(*pid, Some(WaitPidFlag::__WALL)).is_ok() {
                let _ = ptrace::detach(*pid, None);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.aim.action != Action::Count && !self.told.is_empty()
    }

    fn at_call(&mut self, pid: Pid) {
        let aim = self.aim;
        let over = self.is_over();
        let Some(tracee) = self.tracees.get_mut(&pid) else { return go_on(pid, false, None) };
        match Tracee::call(pid) {
            // The process was killed at this very stop.
            Call::Gone => return,
            Call::Exit if tracee.answer.is_some() => tracee.put_answer(pid),
            Call::Exit => {}
            Call::Entry(number) => {
                let nth = tracee.calls;
                tracee.calls += 1;
                // close has closed the descriptor whatever it answers (close(2), NOTES); one that was not made has not.
                // umask has no errors (umask(2)).
                let makes_sense =
                    !matches!(aim.action, Action::Answer(_)) || ![CLOSE, UMASK].contains(&number);
                let here = (tracee.index, nth) == (aim.who, aim.nth) && !over && makes_sense;
                if aim.action == Action::Count || here {
                    let _ = writeln!(self.told, "{} {nth} {number}", tracee.index);
                }
                match aim.action {
                    Action::Signal(signal) if here => drop(kill(pid, signal)),
                    Action::Answer(errno) if here => tracee.refuse(pid, errno),
                    _ => {}
                }
            }
        }
        let watch = !self.is_over() || self.tracees.get(&pid).is_some_and(|t| t.answer.is_some());
        go_on(pid, watch, None);
    }

    fn at_event(&mut self, pid: Pid, event: i32) {
        match event {
            ptrace_event::CLONE | ptrace_event::FORK | ptrace_event::VFORK => {
                if let Ok(born) =
                    ptrace::getevent(pid).and_then(|n| i32::try_from(n).map_err(|_| Errno::EINVAL))
                {
                    self.admit(Pid::from_raw(born));
                }
                go_on(pid, !self.is_over(), None);
            }
            // Another program: not the runtime's any more. The command itself is, it starts itself anew.
            ptrace_event::EXEC if self.tracees.get(&pid).is_some_and(|t| t.index != 0) => {
                let _ = ptrace::detach(pid, None);
            }
            _ => go_on(pid, !self.is_over(), None),
        }
    }

    fn at_signal(&mut self, pid: Pid, signal: Signal) {
        self.admit(pid);
        let begins = self.tracees.get_mut(&pid).is_some_and(Tracee::begins);
        let pass_on = if begins && signal == Signal::SIGSTOP { None } else { Some(signal) };
        go_on(pid, !self.is_over(), pass_on);
    }

    /// A new process: its first stop may come before or after the word of its birth.
    fn admit(&mut self, pid: Pid) {
        let index = self.tracees.len();
        self.tracees.entry(pid).or_insert_with(|| Tracee::new(index));
    }
}

/// The events of ptrace(2) that a new process or program makes.
mod ptrace_event {
    pub(super) const FORK: i32 = libc::PTRACE_EVENT_FORK;
    pub(super) const VFORK: i32 = libc::PTRACE_EVENT_VFORK;
    pub(super) const CLONE: i32 = libc::PTRACE_EVENT_CLONE;
    pub(super) const EXEC: i32 = libc::PTRACE_EVENT_EXEC;
}

/// The number of a signal.
#[expect(clippy::as_conversions, reason = "the way to a fieldless enum's number")]
fn number(signal: Signal) -> u8 {
    u8::try_from(signal as i32).unwrap_or(0)
}

/// Lets a process go on, to its next call or to whatever comes. It may be gone.
fn go_on(pid: Pid, watch: bool, signal: Option<Signal>) {
    let _ = if watch { ptrace::syscall(pid, signal) } else { ptrace::cont(pid, signal) };
}
