//! Cgroups of the library, with real processes in them: made, joined, limited, frozen, killed, removed. Only below
//! folders that these tests make themselves.
// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used)]

mod devices;
mod end;
mod limits;
mod memory;
mod place;
mod v2;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use integration::host::LIMIT;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use pinnace::cgroup::{Cgroup, Entry};
use pinnace::spec::{Resources, parse_resources};
use pinnace::sys::clone::{Clone, Side, clone};
use pinnace::wait::block;

/// A cgroup of one test; whatever the test does, its processes and directories are gone afterwards.
struct Scene {
    cgroup: Cgroup,
    path: String,
}

impl Scene {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path =
            format!("/pinnace-cgroup-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self::at(&path)
    }

    fn at(path: &str) -> Self {
        Self { cgroup: Cgroup::place("unused", Some(path)).unwrap(), path: path.to_owned() }
    }

    fn made(json: &str) -> Self {
        let scene = Self::new();
        scene.cgroup.create(&resources(json)).unwrap();
        scene
    }

    /// The place as a later command knows it.
    fn recorded(&self) -> Cgroup {
        Cgroup::from_paths(&self.cgroup.paths()).unwrap()
    }

    fn directories(&self) -> Vec<String> {
        self.cgroup.paths().into_values().collect()
    }

    /// The directory of a v1 controller, or the unified one.
    fn directory(&self, controller: &str) -> String {
        let paths = self.cgroup.paths();
        paths.get(controller).or_else(|| paths.get("")).unwrap().clone()
    }

    fn read(&self, controller: &str, v1: &str, v2: &str) -> String {
        let file = if self.cgroup.paths().contains_key(controller) { v1 } else { v2 };
        fs::read_to_string(format!("{}/{file}", self.directory(controller))).unwrap().trim().to_owned()
    }

    fn is_gone(&self) -> bool {
        self.directories().iter().all(|d| !Path::new(d).exists())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let recorded = self.recorded();
        let _ = block(recorded.signal_all(libc::SIGKILL));
        if let Err(error) = block(recorded.remove()) {
            eprintln!("{}: {error}", self.path);
        }
    }
}

fn resources(json: &str) -> Resources {
    parse_resources(json.as_bytes()).unwrap()
}

/// A child in a cgroup.
struct Process {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Process {
    /// Bears a child through the open doors, which then runs `work` and leaves with its result. Returns when it is in.
    fn born(entry: &Entry, work: fn() -> i32) -> Self {
        let (inside, tell) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let how = Clone { flags: 0, cgroup: entry.into.as_ref().map(AsFd::as_fd) };
        // SAFETY: other threads run in this test, so until it leaves the child makes system calls only: neither `join`
        // nor any `work` below allocates or locks.
        match unsafe { clone(&how) }.unwrap() {
            Side::Parent(pid, pidfd) => {
                drop(tell);
                let process = Self { pid, pidfd };
                assert_eq!(nix::unistd::read(&inside, &mut [0; 1]), Ok(1), "the child joins its cgroups");
                process
            }
            Side::Child => {
                let joined = entry.join().is_ok() && nix::unistd::write(&tell, b"!").is_ok();
                pinnace::sys::process::exit_now(if joined { work() } else { 99 })
            }
        }
    }

    fn end(&self) -> WaitStatus {
        waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED).unwrap()
    }

    fn runs(&self) -> bool {
        let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        matches!(waitid(Id::PIDFd(self.pidfd.as_fd()), options), Ok(WaitStatus::StillAlive))
    }

    fn cgroups(&self) -> String {
        fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED);
        }
    }
}

fn sleep() -> i32 {
    loop {
        // SAFETY: pause takes nothing.
        unsafe { libc::pause() };
    }
}

fn eventually(mut question: impl FnMut() -> bool) -> bool {
    integration::eventually(LIMIT, || question().then_some(())).is_some()
}

fn killed(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _))
}

/// What this host can limit, in the words of either version.
fn controllers() -> Vec<String> {
    let v1 = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    let v2 = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    v1.chain(v2.split_whitespace().map(str::to_owned)).collect()
}
