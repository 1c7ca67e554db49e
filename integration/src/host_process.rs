//! Processes of a test: started under a lock, waited for with a limit, and orphans reaped, since a container's init
//! comes to the next subreaper when `create` ends. It must never reap what the standard library waits for.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// Children that a [`Process`] or another owner waits for itself.
static OWNED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn owned() -> MutexGuard<'static, BTreeSet<i32>> {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes orphans of this process's children come to it. Done by the first bundle.
pub fn become_subreaper() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| nix::sys::prctl::set_child_subreaper(true).expect("become a subreaper"));
}

/// Does something while no child is between fork and exec: a file that is open for writing is inherited by such a
/// child, and executing it fails with ETXTBSY until the child is gone.
pub fn without_forks<T>(work: impl FnOnce() -> T) -> T {
    let _lock = owned();
    work()
}

/// A child that is killed and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    done: bool,
}

impl Process {
    /// Starts a program; every start of a test goes through here.
    pub fn start(command: &mut Command) -> Self {
        let mut owned = owned();
        let child =
            command.spawn().unwrap_or_else(|e| panic!("start {}: {e}", command.get_program().display()));
        owned.insert(pid_of(&child));
        Self { child, done: false }
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        pid_of(&self.child)
    }

    /// The child with its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        send(self.pid(), signal);
    }

    /// Waits for its end; `None` if it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        if !self.done {
            // Meanwhile others die who wait for us: the init of a pid namespace until its orphans are reaped.
            let begin = Instant::now();
            while !ends_within(self.pid(), Duration::from_millis(50)) {
                reap_orphans();
                if begin.elapsed() > limit {
                    return None;
                }
            }
        }
        let status = self.child.wait().expect("wait for a child");
        if !self.done {
            self.done = true;
            owned().remove(&self.pid());
        }
        Some(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.child.kill();
            let _ = self.child.wait();
            owned().remove(&self.pid());
        }
    }
}

fn pid_of(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("invariant: a pid is an i32")
}

/// True if a program of that name is on the `PATH`.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// Sends a signal to a process; false if there is none.
pub fn send(pid: i32, signal: i32) -> bool {
    assert!(pid > 1, "refusing to signal pid {pid}");
    // SAFETY: no memory operands.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// A pidfd; `None` if there is no such process.
pub fn pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: no memory operands.
    let fd = i32::try_from(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).ok()?;
    // SAFETY: the kernel just made this descriptor for us.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits until a process has ended, be it reaped or not.
pub fn ends_within(pid: i32, limit: Duration) -> bool {
    let Some(fd) = pidfd(pid) else { return true };
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let limit = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: one pollfd, alive during the call.
    unsafe { libc::poll(&raw mut poll, 1, limit) == 1 }
}

/// The state letter and the parent of a process (proc_pid_stat(5)).
pub fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// True while a process exists and is no zombie.
pub fn alive(pid: i32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// All pids of the host's pid namespace.
pub fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("read /proc");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Reaps zombies that became ours because their parent ended.
pub fn reap_orphans() {
    let us = i32::try_from(std::process::id()).expect("invariant: a pid is an i32");
    let owned = owned();
    for pid in pids() {
        if !owned.contains(&pid) && state_and_parent(pid) == Some(('Z', us)) {
            // SAFETY: a child of ours that nobody else waits for; no status is asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
        }
    }
}
