//! Class D: a descriptor of the host's that comes along into the container.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use integration::runtime_bin::Running;
use integration::{Bundle, Outcome, Runtime, host, stand_in_lacks};
use serde_json::json;

/// A call with a directory of the host open on a descriptor that its caller forgot to close.
fn forgetful(runtime: &Runtime, bundle: &Bundle, args: &[&str]) -> Outcome {
    let directory = fs::File::open(bundle.directory()).unwrap();
    let mut command = runtime.command(args);
    // SAFETY: between fork and exec only dup2 is called, on a descriptor that the closure owns.
    unsafe {
        command.pre_exec(move || {
            if libc::dup2(directory.as_raw_fd(), FORGOTTEN) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    runtime.finish(command)
}

/// Its number.
const FORGOTTEN: i32 = 13;

fn sleeping() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    (bundle, runtime)
}

/// A runtime that stands still for a while whenever one of its processes comes back from `call`.
fn slowed(runtime: &Runtime, call: &str, args: &[&str]) -> Running {
    let plain = runtime.command(args);
    let mut command = std::process::Command::new("/usr/bin/strace");
    command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:delay_exit=400000")]);
    command.arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
    runtime.begin(command)
}

/// Directories that a process holds and that lie on no mount of the container.
fn foreign(pid: i32, mounts: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let number = entry.file_name().to_string_lossy().into_owned();
        let Ok(about) = fs::metadata(entry.path()) else { continue };
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
        let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap_or_default().trim();
        if about.is_dir() && !mounts.contains(mount) {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            found.push(format!("{number} is {}", target.display()));
        }
    }
    found
}

/// CVE-2016-9962, CVE-2024-21626: a process that has entered the container, but is still the runtime, holds no
/// directory of the host, whoever looks.
#[test]
fn an_exec_brings_no_directory_of_the_host() {
    let (bundle, runtime) = sleeping();
    let init = runtime.start(&bundle);
    let namespace = host::namespace(init, "mnt");
    let mountinfo = fs::read_to_string(format!("/proc/{init}/mountinfo")).unwrap();
    let mounts: BTreeSet<String> =
        mountinfo.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    let mut exec = slowed(&runtime, "setns", &["exec", bundle.id(), "/probe", "sleep", "1"]);
    let mut entered = 0;
    while exec.process.child().try_wait().unwrap().is_none() {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            if pid != init && host::namespace(pid, "mnt") == namespace {
                entered += 1;
                let found = foreign(pid, &mounts);
                assert!(found.is_empty(), "in the container, process {pid}: {found:?}");
            }
        }
    }
    exec.finish().ok();
    assert!(entered > 0, "nobody was seen to enter");
}

/// CVE-2024-21626: a working directory that is a descriptor of the runtime's, or of its caller's.
#[test]
fn no_descriptor_is_a_working_directory() {
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    for fd in 3..16 {
        let cwd = format!("/proc/self/fd/{fd}");
        let outcome = forgetful(&runtime, &bundle, &["exec", "--cwd", &cwd, bundle.id(), "/probe", "see"]);
        assert_eq!(outcome.code, 255, "{outcome}");
    }
}

/// CVE-2024-21626: the same with a program, or the way to it.
#[test]
fn no_descriptor_is_the_way_to_a_program() {
    let (mut bundle, runtime) = sleeping();
    runtime.start(&bundle);
    for fd in 3..16 {
        let program = format!("/proc/self/fd/{fd}/bundle/rootfs/bin/busybox");
        let outcome = forgetful(&runtime, &bundle, &["exec", bundle.id(), &program, "true"]);
        assert_eq!(outcome.code, 255, "{outcome}");
    }
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    for fd in 3..16 {
        let program = format!("/proc/self/fd/{fd}/bundle/rootfs/bin/busybox");
        bundle.set("/process/args", json!([program, "true"])).write();
        let outcome = forgetful(&runtime, &bundle, &["run", "--bundle", &bundle.path(), bundle.id()]);
        assert_ne!(outcome.code, 0, "{outcome}");
    }
}

/// CVE-2024-21626: and behind a link of the image.
#[test]
fn no_descriptor_behind_a_link_is_a_working_directory() {
    if stand_in_lacks("runc 1.1.5 holds /sys/fs/cgroup") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for fd in 3..16 {
        let link = bundle.rootfs().join(format!("way-{fd}"));
        std::os::unix::fs::symlink(format!("/proc/self/fd/{fd}"), &link).unwrap();
        bundle.set("/process/cwd", json!(format!("/way-{fd}"))).probe(&["see"]).write();
        let outcome = forgetful(&runtime, &bundle, &["run", "--bundle", &bundle.path(), bundle.id()]);
        assert_ne!(outcome.code, 0, "{outcome}");
    }
}

/// In the created state init holds one descriptor beside its own three: what it waits on.
#[test]
fn a_waiting_init_holds_its_gate_alone() {
    if stand_in_lacks("runc 1.1.5 holds several") {
        return;
    }
    let (bundle, runtime) = sleeping();
    let pid = runtime.create(&bundle);
    let mut held: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<i32>().unwrap() > 2))
        .map(|entry| fs::read_link(entry.path()).unwrap().display().to_string())
        .collect();
    let gate = held.pop().unwrap_or_default();
    assert!(held.is_empty() && gate.ends_with("exec.fifo"), "{held:?} and {gate}");
}
