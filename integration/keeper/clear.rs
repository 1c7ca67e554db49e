//! Empties the room: processes, mounts, cgroups, files, in this order. It must never wait without a limit, nor signal
//! a process that is not of the room.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use integration::host::eventually;
use integration::host_process;
use nix::mount::{MntFlags, umount2};
use nix::sys::wait::{WaitPidFlag, waitpid};

/// How long an engine may take to stop by itself.
const SERVICE_STOPS: Duration = Duration::from_secs(15);
/// How long the kernel may take to let go of killed processes.
const KERNEL_LETS_GO: Duration = Duration::from_secs(10);

/// Empties the room; what could not be removed, each a readable line.
pub(crate) fn room(directory: &Path, cgroup: &str, services: Vec<Child>) -> Vec<String> {
    let cgroups = cgroups(cgroup);
    // Without containers left an engine stops at once.
    kill_cgroups(&cgroups);
    for mut service in services.into_iter().rev() {
        if service.try_wait().is_ok_and(|status| status.is_none()) {
            host_process::send(pid(&service), libc::SIGTERM);
        }
        if eventually(SERVICE_STOPS, || service.try_wait().ok().flatten()).is_none() {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
    eventually(KERNEL_LETS_GO, || {
        kill_cgroups(&cgroups);
        let others = inhabitants();
        for pid in &others {
            host_process::send(*pid, libc::SIGKILL);
        }
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
        (others.is_empty() && cgroups.iter().all(|top| members(top).is_empty())).then_some(())
    });
    let mut left: Vec<String> = inhabitants().iter().map(|pid| format!("process {pid}")).collect();
    unmount_below(directory);
    eventually(KERNEL_LETS_GO, || {
        for top in &cgroups {
            remove(top);
        }
        cgroups.iter().all(|top| !top.exists()).then_some(())
    });
    left.extend(cgroups.iter().filter(|top| top.exists()).map(|top| format!("cgroup {}", top.display())));
    if let Err(e) = fs::remove_dir_all(directory) {
        left.push(format!("{}: {e}", directory.display()));
    }
    left
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("invariant: a pid is an i32")
}

/// The engine's cgroup in each hierarchy that is mounted.
fn cgroups(path: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let cgroup = right.starts_with("cgroup ") || right.starts_with("cgroup2 ");
        cgroup.then(|| Path::new(left.split(' ').nth(4).unwrap_or("/")).join(path.trim_start_matches('/')))
    });
    places.filter(|place| place.is_dir()).collect()
}

fn each_below(top: &Path, work: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(top).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            each_below(&entry.path(), work);
        }
    }
    work(top);
}

fn members(top: &Path) -> Vec<i32> {
    let mut pids = Vec::new();
    each_below(top, &mut |directory| {
        let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 1));
    });
    pids
}

fn kill_cgroups(cgroups: &[PathBuf]) {
    for top in cgroups {
        for pid in members(top) {
            host_process::send(pid, libc::SIGKILL);
        }
        // A frozen process of v1 dies only when it is thawed.
        each_below(top, &mut |directory| {
            let freezer = directory.join("freezer.state");
            if freezer.exists() {
                let _ = fs::write(freezer, "THAWED");
            }
        });
    }
}

fn remove(top: &Path) {
    each_below(top, &mut |directory| {
        let _ = fs::remove_dir(directory);
    });
}

/// Processes in our mount or network namespace, and descendants; not this one.
fn inhabitants() -> Vec<i32> {
    let us = i32::try_from(std::process::id()).expect("invariant: a pid is an i32");
    let namespace =
        |pid: i32, name: &str| fs::metadata(format!("/proc/{pid}/ns/{name}")).ok().map(|m| m.ino());
    let ours = ["mnt", "net"].map(|name| namespace(us, name));
    let of_the_room = |pid: i32| {
        let same =
            ["mnt", "net"].iter().zip(ours).any(|(name, our)| our.is_some() && namespace(pid, name) == our);
        let (state, parent) = host_process::state_and_parent(pid).unwrap_or(('X', 0));
        pid != us && !matches!(state, 'Z' | 'X') && (same || parent == us)
    };
    host_process::pids().into_iter().filter(|pid| of_the_room(*pid)).collect()
}

/// Detaches the mounts of this namespace below a directory, the latest first.
fn unmount_below(directory: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in mounts.lines().rev() {
        let target = Path::new(line.split(' ').nth(4).unwrap_or("/"));
        if target.starts_with(directory) && target != directory {
            let _ = umount2(target, MntFlags::MNT_DETACH);
        }
    }
}
