//! How processes are stopped, killed and gone, and their cgroups with them.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use pinnace::cgroup::{Cgroup, Mode};
use pinnace::wait::block;

use super::{Process, Scene, eventually, killed, sleep};

#[test]
fn frozen_processes_stand_still_until_thawed() {
    let scene = Scene::made("{}");
    let counter = || -> i32 {
        let mut file = 0_u64;
        loop {
            file = file.wrapping_add(1);
            std::hint::black_box(file);
        }
    };
    let child = Process::born(&scene.cgroup.entry().unwrap(), counter);
    let recorded = scene.recorded();
    assert!(!recorded.frozen().unwrap());
    block(recorded.freeze()).unwrap();
    assert!(recorded.frozen().unwrap());
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.pid)).unwrap();
        stat.rsplit(')').next().unwrap().split(' ').nth(12).unwrap().parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(ticks(), before);
    recorded.thaw().unwrap();
    assert!(!recorded.frozen().unwrap());
    assert!(eventually(|| ticks() > before), "it runs again");
    block(recorded.freeze()).unwrap();
    if Cgroup::mode() != Mode::V2 {
        // Any other signal waits for the end of the pause. In v2 whatever would end the process does so at once.
        block(recorded.signal_all(libc::SIGUSR1)).unwrap();
        assert!(recorded.frozen().unwrap());
        assert!(child.runs());
    }
    block(recorded.signal_all(libc::SIGKILL)).unwrap();
    assert!(killed(child.end()));
    block(recorded.remove()).unwrap();
    assert!(scene.is_gone());
    assert!(!recorded.frozen().unwrap(), "what is gone is not frozen");
    block(recorded.signal_all(libc::SIGKILL)).unwrap();
    assert!(recorded.pids().unwrap().is_empty());
    block(recorded.remove()).unwrap();
    assert_eq!(recorded.stats().unwrap().pids.current, 0);
}

/// Processes in cgroups that the container made below its own are its processes too.
#[test]
fn what_lies_below_is_killed_and_removed() {
    let scene = Scene::made("{}");
    for directory in scene.directories() {
        fs::create_dir_all(format!("{directory}/a/b")).unwrap();
        fs::create_dir_all(format!("{directory}/c")).unwrap();
    }
    for directory in scene.directories().iter().filter(|d| d.contains("/cpuset/")) {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let value = fs::read(format!("{directory}/{file}")).unwrap();
            for sub in ["a", "a/b"] {
                fs::write(format!("{directory}/{sub}/{file}"), &value).unwrap();
            }
        }
    }
    let recorded = scene.recorded();
    let deep = Process::born(&recorded.sub_entry(&["a/b".to_owned()]).unwrap(), sleep);
    assert!(
        deep.cgroups().lines().any(|l| l.ends_with(&format!("{}/a/b", scene.path))),
        "{}",
        deep.cgroups()
    );
    let own = Process::born(&recorded.sub_entry(&["/".to_owned()]).unwrap(), sleep);
    let mut pids = recorded.pids().unwrap();
    pids.sort_unstable();
    let mut expected = [deep.pid.as_raw(), own.pid.as_raw()];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    for sub in ["..", "a/../.."] {
        let error = recorded.sub_entry(&[sub.to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), format!("bad sub cgroup path: {sub}"));
    }
    let error = recorded.sub_entry(&["nonexistent".to_owned()]).unwrap_err().to_string();
    assert!(error.contains(" adding pid ") && error.contains("no such file or directory"), "{error}");
    block(recorded.signal_all(libc::SIGKILL)).unwrap();
    assert!(killed(deep.end()) && killed(own.end()));
    block(recorded.remove()).unwrap();
    assert!(scene.is_gone());
}

/// A process that turns into others as fast as it can.
fn multiply() -> i32 {
    loop {
        // SAFETY: fork without the C library, whose locks may be held by threads that the child does not have. Parent
        // and child both go on with this call alone.
        unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    }
}

#[test]
fn a_fork_storm_ends() {
    let scene = Scene::made(r#"{"pids": {"limit": 64}}"#);
    let child = Process::born(&scene.cgroup.entry().unwrap(), multiply);
    assert!(eventually(|| scene.cgroup.pids().unwrap().len() > 30));
    // Without cgroup.kill, as on hosts that have only v1.
    let mut v1: BTreeMap<_, _> = scene.cgroup.paths();
    if v1.len() > 1 {
        v1.remove("");
    }
    block(Cgroup::from_paths(&v1).unwrap().signal_all(libc::SIGKILL)).unwrap();
    assert!(killed(child.end()));
    // Orphans come to whoever reaps them here; a zombie is in no cgroup.
    assert!(eventually(|| scene.cgroup.pids().unwrap().is_empty()), "{:?}", scene.cgroup.pids());
    block(scene.recorded().remove()).unwrap();
    assert!(scene.is_gone());
}

/// A process that stays is named, and the directory too.
#[test]
fn removal_says_what_is_left() {
    let scene = Scene::made("{}");
    let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    let error = block(scene.recorded().remove()).unwrap_err().to_string();
    for part in ["device or resource busy", &scene.path, &child.pid.to_string()] {
        assert!(error.contains(part), "{error}");
    }
    assert!(child.runs());
}
