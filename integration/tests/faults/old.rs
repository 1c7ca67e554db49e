//! A host that lacks something, and files and processes that are not as the runtime left them: refused or coped with,
//! and nothing is left.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use integration::host::{LIMIT, cgroup_mount, controller_mount};
use integration::host_mounts::HostMounts;
use integration::host_process::{self, Process};
use integration::{Bundle, Runtime, host_leaks, skip, stand_in_lacks};

fn sleeping() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]).write();
    let runtime = bundle.runtime();
    (bundle, runtime)
}

#[test]
fn a_torn_state_is_deleted_with_its_container() {
    for text in [Some(""), Some("{"), Some("{}"), Some("null"), Some("\0\0\0\0"), Some("[1,2"), None] {
        if stand_in_lacks("runc 1.1.5 can't delete what has no readable state") {
            return;
        }
        let (bundle, runtime) = sleeping();
        let pid = runtime.start(&bundle);
        let file = runtime.root().join(bundle.id()).join("state.json");
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let outcome = runtime.call(&["delete", "--force", bundle.id()]);
        assert_eq!(outcome.code, 0, "state.json is {text:?}: {outcome}");
        assert!(host_process::ends_within(pid, LIMIT), "state.json is {text:?}: the container still runs");
        runtime.leaves_nothing(bundle.id());
        runtime.create(&bundle);
    }
}

#[test]
fn a_stale_directory_does_not_block_an_id() {
    let (bundle, runtime) = sleeping();
    fs::create_dir_all(runtime.root().join(bundle.id())).unwrap();
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    runtime.create(&bundle);
}

/// The pid in the state is somebody else's by now: the start time tells.
#[test]
fn a_recycled_pid_is_left_alone() {
    let (bundle, runtime) = sleeping();
    let pid = runtime.start(&bundle);
    host_process::send(pid, libc::SIGKILL);
    runtime.wait_for(bundle.id(), "stopped");
    let victim = Process::start(Command::new("/bin/sleep").arg("600"));
    let directory = runtime.root().join(bundle.id());
    for entry in fs::read_dir(&directory).unwrap().flatten() {
        if let Ok(text) = fs::read_to_string(entry.path()) {
            let text = text.replace(&format!(":{pid},"), &format!(":{},", victim.pid()));
            fs::write(entry.path(), text).unwrap();
        }
    }
    assert_eq!(runtime.status(bundle.id()), "stopped");
    runtime.call(&["kill", bundle.id(), "KILL"]).fails(1, &["container not running"]);
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    assert!(host_process::alive(victim.pid()), "the victim is dead");
}

#[test]
fn cgroups_below_the_containers_go_with_it() {
    let Some(mount) = controller_mount("memory") else { return skip("no cgroup controller memory") };
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    let deep = mount.join(bundle.id()).join("below/deeper");
    fs::create_dir_all(&deep).unwrap();
    let file = bundle.beside("pid");
    runtime.call(&["exec", "-d", "--pid-file", file.to_str().unwrap(), bundle.id(), "/probe", "sleep"]).ok();
    fs::write(deep.join("cgroup.procs"), fs::read_to_string(&file).unwrap()).unwrap();
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
}

/// Somebody moved the process elsewhere: it is still the container's init.
#[test]
fn a_process_that_was_moved_out_of_its_cgroup_is_killed() {
    let (bundle, runtime) = sleeping();
    let pid = runtime.start(&bundle);
    for controller in
        ["memory", "pids", "freezer", "cpu", "cpuacct", "cpuset", "devices", "blkio", "name=systemd", ""]
    {
        if let Some(mount) = cgroup_mount(controller) {
            fs::write(mount.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
    runtime.call(&["kill", bundle.id(), "KILL"]).ok();
    assert!(host_process::ends_within(pid, LIMIT));
    runtime.wait_for(bundle.id(), "stopped");
    runtime.call(&["delete", bundle.id()]).ok();
}

/// In the host's pid namespace nothing dies with init by itself.
#[test]
fn kill_reaches_the_children_of_an_init_in_the_hosts_pid_namespace() {
    if stand_in_lacks("runc 1.1.5 kills init alone without --all") {
        return;
    }
    let mut bundle = Bundle::new();
    bundle.share("pid").set(
        "/process/args",
        serde_json::json!(["/bin/sh", "-c", "sleep 600 & sleep 600 & sleep 600 & wait"]),
    );
    let runtime = bundle.runtime();
    runtime.start(&bundle);
    let pids = || {
        let listed = runtime.call(&["ps", "--format", "json", bundle.id()]).ok().json();
        listed
            .as_array()
            .unwrap()
            .iter()
            .map(|pid| i32::try_from(pid.as_i64().unwrap()).unwrap())
            .collect::<Vec<_>>()
    };
    let all = integration::eventually(LIMIT, || Some(pids()).filter(|pids| pids.len() == 4))
        .expect("four processes");
    runtime.call(&["kill", bundle.id(), "KILL"]).ok();
    for pid in all {
        assert!(host_process::ends_within(pid, LIMIT), "{pid} still runs");
    }
    runtime.wait_for(bundle.id(), "stopped");
}

#[test]
fn a_foreground_run_that_was_killed_is_deleted() {
    let (bundle, runtime) = sleeping();
    let mut running = runtime.begin(runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]));
    runtime_is(&runtime, &bundle, "running");
    running.process.signal(libc::SIGKILL);
    running.process.wait(LIMIT).unwrap();
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
}

fn runtime_is(runtime: &Runtime, bundle: &Bundle, status: &str) {
    let is = integration::eventually(LIMIT, || {
        let outcome = runtime.call(&["state", bundle.id()]);
        (outcome.code == 0 && outcome.json()["status"] == status).then_some(())
    });
    assert!(is.is_some(), "never {status}");
}

/// Nobody reads what the container says: delete --force does not wait for it, and `run` ends.
#[test]
fn a_stalled_reader_does_not_stall_delete() {
    let mut bundle = Bundle::new();
    bundle.probe(&["flood", "64"]).write();
    let runtime = bundle.runtime();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    command.stdout(writer).stderr(std::process::Stdio::null());
    let mut process = Process::start(&mut command);
    drop(command);
    runtime_is(&runtime, &bundle, "running");
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    let ended = process.wait(std::time::Duration::from_secs(5));
    if ended.is_none() && stand_in_lacks("runc waits for the reader") {
        drop(reader);
        return;
    }
    assert!(ended.is_some(), "run still waits for the reader");
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_full_state_directory_is_an_error() {
    let (bundle, runtime) = sleeping();
    let state = bundle.make_beside("state").display().to_string();
    // One page: less than the state of any container.
    runtime
        .run_among(&bundle, HostMounts::new().small_tmpfs(&state, 4096))
        .refuses(&["no space left on device"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_read_only_state_directory_is_an_error() {
    let (bundle, runtime) = sleeping();
    let state = bundle.make_beside("state").display().to_string();
    let host = HostMounts::new().tmpfs(&state, libc::MS_RDONLY);
    runtime.run_among(&bundle, host).refuses(&[&state, "read-only file system"]);
    runtime.leaves_nothing(bundle.id());
}

/// Never unlimited where a limit was asked for.
#[test]
fn cgroups_that_are_read_only_are_an_error() {
    let Some(mount) = controller_mount("memory") else { return skip("no cgroup controller memory") };
    let (mut bundle, runtime) = sleeping();
    bundle.set("/linux/resources/memory", serde_json::json!({"limit": 64 << 20}));
    let host =
        HostMounts::new().change(mount.to_str().unwrap(), libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY);
    runtime.run_among(&bundle, host).refuses(&["cgroup", "read-only file system"]);
    runtime.leaves_nothing(bundle.id());
}

/// A command whose resource limit is that.
fn limited(runtime: &Runtime, bundle: &Bundle, resource: libc::c_int, value: u64) -> Command {
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
            // The type of `resource` differs between C libraries.
            match libc::syscall(
                libc::SYS_prlimit64,
                0,
                resource,
                &raw const limit,
                std::ptr::null_mut::<libc::rlimit>(),
            ) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    command
}

#[test]
fn few_descriptors_are_an_error_or_enough() {
    let (mut bundle, runtime) = sleeping();
    bundle.probe(&["exit", "0"]).remove("/process/rlimits").write();
    for count in [4, 6, 8, 10, 12, 14, 16, 20] {
        let outcome = runtime.finish(limited(&runtime, &bundle, 7, count));
        assert!(outcome.code == 0 || !outcome.stderr.is_empty(), "{count} descriptors: {outcome}");
        if outcome.code != 0 && !stand_in_lacks("the Go runtime has its own words, and crashes") {
            outcome.refuses(&["too many open files"]);
        }
        runtime.call(&["delete", "--force", bundle.id()]).ok();
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn little_memory_is_an_error_or_enough() {
    let (mut bundle, runtime) = sleeping();
    if stand_in_lacks("the Go runtime crashes") {
        return;
    }
    bundle.probe(&["exit", "0"]).remove("/process/rlimits").write();
    for mebibytes in [16, 32, 64] {
        let outcome = runtime.finish(limited(&runtime, &bundle, 9, mebibytes << 20));
        assert!(outcome.code == 0 || !outcome.stderr.is_empty(), "{mebibytes} MiB: {outcome}");
        runtime.call(&["delete", "--force", bundle.id()]).ok();
        runtime.leaves_nothing(bundle.id());
    }
}

/// The runtime's own cgroup lets it fork so many times.
#[test]
fn few_processes_are_an_error_or_enough() {
    let Some(mount) = controller_mount("pids") else { return skip("no cgroup controller pids") };
    let (mut bundle, runtime) = sleeping();
    if stand_in_lacks("the Go runtime crashes") {
        return;
    }
    bundle.probe(&["exit", "0"]).write();
    let own = mount.join(format!("{}own", bundle.id()));
    fs::create_dir(&own).unwrap();
    for count in 1..5 {
        fs::write(own.join("pids.max"), count.to_string()).unwrap();
        let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
        let procs = std::ffi::CString::new(own.join("cgroup.procs").to_str().unwrap()).unwrap();
        // SAFETY: a few system calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                let fd = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                match libc::write(fd, c"0".as_ptr().cast(), 1) {
                    1 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let outcome = runtime.finish(command);
        if outcome.code != 0 {
            outcome.refuses(&["resource temporarily unavailable"]);
        }
        runtime.call(&["delete", "--force", bundle.id()]).ok();
    }
    host_process::reap_orphans();
    assert!(fs::remove_dir(&own).is_ok(), "a process is left in the runtime's own cgroup");
    assert!(host_leaks::left_behind(&format!("/{}", bundle.id())).is_empty());
}
