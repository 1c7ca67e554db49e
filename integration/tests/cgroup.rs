//! Cgroups of the library, with real processes in them: made, joined, limited, frozen, killed, removed. Only below
//! folders that these tests make themselves.
// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use integration::host::LIMIT;
use integration::skip;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use pinnace::cgroup::{Cgroup, Entry, Mode};
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
        Self { cgroup: Cgroup::place("unused", Some(&path)).unwrap(), path }
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

#[test]
fn limits_are_in_force_when_the_first_process_comes() {
    // user-mode-linux has no cpuset.
    let cpuset = controllers().iter().any(|c| c == "cpuset");
    let sets = if cpuset { r#", "cpus": "0", "mems": "0""# } else { "" };
    let json = format!(
        r#"{{"memory": {{"limit": 33554432, "reservation": 25165824}},
            "cpu": {{"shares": 512, "quota": 50000, "period": 100000{sets}}}, "pids": {{"limit": 20}}}}"#
    );
    let scene = Scene::made(&json);
    for (controller, v1, v2, value) in [
        ("memory", "memory.limit_in_bytes", "memory.max", "33554432"),
        ("memory", "memory.soft_limit_in_bytes", "memory.low", "25165824"),
        ("pids", "pids.max", "pids.max", "20"),
        ("cpuset", "cpuset.cpus", "cpuset.cpus", "0"),
    ] {
        if controller != "cpuset" || cpuset {
            assert_eq!(scene.read(controller, v1, v2), value, "{v1}");
        }
    }
    match Cgroup::mode() {
        Mode::V2 => assert_eq!(scene.read("cpu", "", "cpu.weight"), "59"),
        _ => assert_eq!(scene.read("cpu", "cpu.shares", ""), "512"),
    }
    let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    for line in child.cgroups().lines() {
        let joined = line.ends_with(&format!(":{}", scene.path));
        let path = line.rsplit(':').next().unwrap();
        assert!(
            joined || !scene.cgroup.paths().contains_key(line.split(':').nth(1).unwrap()),
            "{line} {path}"
        );
    }
    assert_eq!(scene.cgroup.pids().unwrap(), [child.pid.as_raw()]);
    let stats = scene.cgroup.stats().unwrap();
    assert_eq!((stats.pids.current, stats.pids.limit), (1, 20));
    assert_eq!(stats.memory.usage.limit, 33_554_432);
    block(scene.recorded().signal_all(libc::SIGKILL)).unwrap();
    assert!(killed(child.end()));
    block(scene.recorded().remove()).unwrap();
    assert!(scene.is_gone());
}

/// What nobody limited is as wide as the parent's, and a place three levels down gets its parents made.
#[test]
fn without_limits_deep_down() {
    let mut scene = Scene::new();
    let top = scene.path.clone();
    scene.path = format!("{top}/a/b");
    scene.cgroup = Cgroup::place("unused", Some(&scene.path)).unwrap();
    scene.cgroup.create(&resources("{}")).unwrap();
    let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    assert!(child.cgroups().lines().any(|l| l.ends_with(&scene.path)));
    assert_eq!(scene.read("pids", "pids.max", "pids.max"), "max");
    drop(child);
    block(scene.recorded().remove()).unwrap();
    assert!(scene.is_gone());
    let above = Cgroup::place("unused", Some(&top)).unwrap().paths();
    block(Cgroup::from_paths(&above).unwrap().remove()).unwrap();
    assert!(above.values().all(|p| !Path::new(p).exists()));
}

/// runtime-spec: a path never leads out of the hierarchy.
#[test]
fn no_way_out_of_the_hierarchy() {
    let scene = Scene::new();
    let path = format!("/../../..{}", scene.path);
    let cgroup = Cgroup::place("unused", Some(&path)).unwrap();
    assert_eq!(cgroup.paths(), scene.cgroup.paths());
    assert!(cgroup.paths().values().all(|p| p.starts_with("/sys/fs/cgroup/")));
}

#[test]
fn a_cgroup_in_use_is_refused_and_left_alone() {
    let scene = Scene::made("{}");
    let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    let second = Cgroup::place("unused", Some(&scene.path)).unwrap();
    for error in [second.refuse_in_use().unwrap_err(), second.create(&resources("{}")).unwrap_err()] {
        assert!(
            error.to_string().contains("container's cgroup is not empty: 1 process(es) found"),
            "{error}"
        );
    }
    // The failed one is cleaned up like any other, and must not take the first with it.
    block(second.signal_all(libc::SIGKILL)).unwrap();
    block(second.remove()).unwrap();
    assert!(second.pids().unwrap().is_empty());
    assert!(child.runs());
    assert!(scene.directories().iter().all(|d| Path::new(d).exists()));
    drop(child);

    block(scene.cgroup.freeze()).unwrap();
    let error = Cgroup::place("unused", Some(&scene.path)).unwrap().create(&resources("{}")).unwrap_err();
    assert!(error.to_string().starts_with("container's cgroup unexpectedly frozen"), "{error}");
    scene.cgroup.thaw().unwrap();
    // Empty and running it may be used again.
    Cgroup::place("unused", Some(&scene.path))
        .unwrap()
        .create(&resources(r#"{"pids": {"limit": 5}}"#))
        .unwrap();
    assert_eq!(scene.read("pids", "pids.max", "pids.max"), "5");
}

#[test]
fn nothing_stays_of_a_create_that_failed() {
    for json in [
        r#"{"cpu": {"cpus": "4000"}}"#,
        r#"{"cpu": {"quota": 5}}"#,
        r#"{"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}"#,
        r#"{"rdma": {"nosuch0": {"hcaHandles": 3}}}"#,
        r#"{"devices": [{"allow": true, "type": "c", "major": 10, "access": "rwm"},
                        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"}]}"#,
    ] {
        let scene = Scene::new();
        let error = scene.cgroup.create(&resources(json)).unwrap_err();
        assert!(scene.is_gone(), "{json}: {error}");
    }
    let scene = Scene::new();
    let error = scene.cgroup.create(&resources(r#"{"rdma": {"nosuch0": {"hcaHandles": 3}}}"#)).unwrap_err();
    // Where the controller is, the kernel does not know the device.
    let known = controllers().iter().any(|c| c == "rdma");
    let text =
        if known { "cannot set rdma limit: " } else { "cannot set rdma limit: container could not join" };
    assert!(error.to_string().starts_with(text), "{error}");
    let error = scene.cgroup.create(&resources(r#"{"cpu": {"quota": 5}}"#)).unwrap_err();
    for part in ["cannot set cpu limit", &scene.path, "\"5", "invalid argument"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

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

/// Allocates without an allocator until the kernel stops it.
fn eat_memory() -> i32 {
    const SIZE: usize = 64 << 20;
    // SAFETY: an anonymous private mapping at no address in particular; each write lies inside of it.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        let memory = libc::mmap(std::ptr::null_mut(), SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if memory == libc::MAP_FAILED {
            return 1;
        }
        for offset in (0..SIZE).step_by(4096) {
            memory.cast::<u8>().add(offset).write_volatile(1);
        }
    }
    0
}

#[test]
fn running_out_of_memory_is_told() {
    let scene = Scene::made(r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#);
    let mut watch = scene.cgroup.oom_watch().unwrap();
    assert_eq!(scene.cgroup.oom_kills(), Some(0));
    let child = Process::born(&scene.cgroup.entry().unwrap(), eat_memory);
    assert!(killed(child.end()));
    assert_eq!(scene.cgroup.oom_kills(), Some(1));
    assert!(readable(&watch));
    assert!(watch.take().unwrap().happened);
    assert!(!watch.take().unwrap().happened, "told once");
    block(scene.recorded().remove()).unwrap();
    // In v2 the end came with the last process, most likely before the look above.
    if Cgroup::mode() != Mode::V2 {
        assert!(readable(&watch));
    }
    let last = watch.take().unwrap();
    assert!(!last.happened, "{last:?}");
    assert!(last.gone || Cgroup::mode() == Mode::V2, "{last:?}");
}

fn readable(fd: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(5000_u16)).unwrap() == 1
}

/// The node that [`open_device`] makes, with the numbers of /dev/kmsg.
static NODE: LazyLock<CString> = LazyLock::new(|| {
    // Where nodes can be opened; /tmp is often mounted without devices.
    CString::new(format!("/dev/pinnace-cgroup-node-{}", std::process::id())).unwrap()
});

fn open_device() -> i32 {
    // SAFETY: constant C strings; the descriptors are not used.
    unsafe {
        if libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) < 0 {
            return 2;
        }
        let made = libc::mknod(NODE.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 11));
        if made != 0 {
            return 3;
        }
        let opened = libc::open(NODE.as_ptr(), libc::O_RDONLY);
        libc::unlink(NODE.as_ptr());
        if opened >= 0 { 4 } else { *libc::__errno_location() }
    }
}

#[test]
fn devices_are_those_allowed() {
    assert!(NODE.to_bytes().starts_with(b"/"), "named here, so that no child has to allocate");
    for (json, expected) in [
        (r#"{"devices": [{"allow": false, "access": "rwm"}]}"#, libc::EPERM),
        ("{}", libc::EPERM),
        (r#"{"devices": [{"allow": true, "access": "rwm"}]}"#, 4),
        (
            r#"{"devices": [{"allow": true, "access": "rwm"},
                         {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "r"}]}"#,
            libc::EPERM,
        ),
        (r#"{"devices": [{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}"#, 4),
    ] {
        let scene = Scene::made(json);
        let child = Process::born(&scene.cgroup.entry().unwrap(), open_device);
        assert_eq!(child.end(), WaitStatus::Exited(child.pid, expected), "{json}");
        // Again on what is there: the difference only.
        let again = Cgroup::place("unused", Some(&scene.path)).unwrap();
        again.create(&resources(json)).unwrap();
        let child = Process::born(&again.entry().unwrap(), open_device);
        assert_eq!(child.end(), WaitStatus::Exited(child.pid, expected), "{json}");
    }
}

#[test]
fn updates_go_up_and_down() {
    let scene = Scene::made(
        r#"{"memory": {"limit": 33554432, "swap": 67108864}, "cpu": {"quota": 500000, "period": 1000000}}"#,
    );
    let recorded = scene.recorded();
    for (limit, both) in
        [(60 << 20, 80 << 20), (30 << 20, 50 << 20), (20 << 20, 20 << 20), (90 << 20, 90 << 20)]
    {
        let json = format!(r#"{{"memory": {{"limit": {limit}, "swap": {both}}}}}"#);
        block(recorded.update(&resources(&json))).unwrap();
        assert_eq!(scene.read("memory", "memory.limit_in_bytes", "memory.max"), limit.to_string());
        if Cgroup::mode() != Mode::V2 {
            assert_eq!(scene.read("memory", "memory.memsw.limit_in_bytes", ""), both.to_string());
        }
    }
    block(recorded.update(&resources(r#"{"memory": {"limit": -1}}"#))).unwrap();
    for (quota, period) in [(10_000, 20_000), (600_000, 900_000), (5_000, 100_000)] {
        let json = format!(r#"{{"cpu": {{"quota": {quota}, "period": {period}}}}}"#);
        block(recorded.update(&resources(&json))).unwrap();
        match Cgroup::mode() {
            Mode::V2 => assert_eq!(scene.read("cpu", "", "cpu.max"), format!("{quota} {period}")),
            _ => assert_eq!(scene.read("cpu", "cpu.cfs_quota_us", ""), quota.to_string()),
        }
    }
    for (limit, text) in [(0, "1"), (12, "12"), (-1, "max")] {
        block(recorded.update(&resources(&format!(r#"{{"pids": {{"limit": {limit}}}}}"#)))).unwrap();
        assert_eq!(scene.read("pids", "pids.max", "pids.max"), text);
    }
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

#[test]
fn many_at_once_do_not_meet() {
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let scene = Scene::made(r#"{"memory": {"limit": 33554432}, "pids": {"limit": 9}}"#);
                let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
                assert_eq!(scene.cgroup.pids().unwrap(), [child.pid.as_raw()]);
                let recorded = scene.recorded();
                block(recorded.signal_all(libc::SIGKILL)).unwrap();
                assert!(killed(child.end()));
                block(recorded.remove()).unwrap();
                assert!(scene.is_gone());
            });
        }
    });
}

/// systemd in a container moves itself and hands controllers on: the first cgroup is shut then, and exec goes where init
/// is.
#[test]
fn an_init_that_moved_shuts_the_door() {
    if Cgroup::mode() != Mode::V2 {
        return skip("only cgroup v2 forbids processes in a cgroup that hands controllers on");
    }
    let scene = Scene::made("{}");
    let init = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    let directory = scene.directory("");
    fs::create_dir(format!("{directory}/init.scope")).unwrap();
    fs::write(format!("{directory}/init.scope/cgroup.procs"), init.pid.to_string()).unwrap();
    let recorded = scene.recorded();
    assert!(Process::born(&recorded.entry().unwrap(), sleep).runs(), "still open");
    fs::write(format!("{directory}/cgroup.subtree_control"), "+memory").unwrap();
    for result in [recorded.entry(), recorded.sub_entry(&["/".to_owned()])] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(" adding pid ") && error.contains("to cgroups"), "{error}");
        assert!(error.ends_with("device or resource busy"), "{error}");
    }
    let child = Process::born(&Cgroup::entry_of_init(init.pid).unwrap(), sleep);
    assert_eq!(child.cgroups().trim(), format!("0::{}/init.scope", scene.path));
}

#[test]
fn a_delegated_cgroup_belongs_to_its_user_but_not_its_limits() {
    let scene = Scene::made(r#"{"pids": {"limit": 7}}"#);
    scene.cgroup.delegate(1000, 1001).unwrap();
    let Some(directory) = scene.cgroup.paths().remove("") else {
        return skip("this host has no unified hierarchy");
    };
    for (file, owner) in [("", (1000, 1001)), ("cgroup.procs", (1000, 1001)), ("cgroup.max.depth", (0, 0))] {
        let status = fs::metadata(format!("{directory}/{file}")).unwrap();
        assert_eq!((status.uid(), status.gid()), owner, "{file:?}");
    }
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

#[test]
fn every_hierarchy_can_be_shown_in_the_container() {
    let scene = Scene::made("{}");
    let views = scene.cgroup.views();
    assert_eq!(views.len(), scene.directories().iter().collect::<std::collections::BTreeSet<_>>().len());
    for view in views {
        assert!(Path::new(&view.path).join("cgroup.procs").exists(), "{view:?}");
        assert!(view.path.starts_with(&format!("{}/", view.mount)), "{view:?}");
    }
}
