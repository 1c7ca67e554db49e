//! The runtime ends where nobody expects it, by SIGKILL at any point or by a refused system call: `delete --force`
//! leaves nothing, the id can be used again, and nothing ever runs with less confinement than was asked for.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::{Duration, Instant};

use integration::host::LIMIT;
use integration::host_process::{self, Process, has_program};
use integration::runtime_bin::Running;
use integration::{Bundle, Runtime, host, runtime_binary, skip, stand_in_lacks};
use serde_json::{Value, json};

fn sleeping() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]);
    bundle.write();
    let runtime = bundle.runtime();
    (bundle, runtime)
}

/// Whatever happened to a create: deleted without a trace, and the id is free.
#[track_caller]
fn is_cleaned_up(bundle: &Bundle, runtime: &Runtime, when: &str) {
    let outcome = runtime.call(&["delete", "--force", bundle.id()]);
    assert_eq!(outcome.code, 0, "{when}: {outcome}");
    let left = integration::host_leaks::left_behind(&format!("/{}", bundle.id()));
    assert!(left.is_empty(), "{when}:\n{}", left.join("\n"));
    assert!(!runtime.root().join(bundle.id()).exists(), "{when}: state is left");
}

/// A call of the runtime, strace's child, while one system call does what `effect` says. strace injects only into
/// calls that it also traces.
fn traced(runtime: &Runtime, follow: &[&str], call: &str, effect: &str, args: &[&str]) -> Running {
    let mut command = Command::new("strace");
    command.args(follow).args(["-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:{effect}")]).arg(runtime_binary());
    command.arg("--root").arg(runtime.root()).args(args).stdin(std::process::Stdio::null());
    let running = runtime.begin(command);
    // A tracer that follows ends with the last process: not before `delete` if init still waits for its start.
    host_process::ends_within(running.process.pid(), Duration::from_secs(2));
    running
}

#[test]
fn create_killed_at_any_moment() {
    if stand_in_lacks("runc 1.1.5 leaves cgroups and processes") {
        return;
    }
    let (bundle, runtime) = sleeping();
    let path = bundle.path();
    let begin = Instant::now();
    runtime.create_with(&bundle, &[]).ok();
    let whole = begin.elapsed();
    is_cleaned_up(&bundle, &runtime, "a whole create");
    for point in 0..50 {
        let mut command = runtime.command(&["create", "--bundle", &path, bundle.id()]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut process = Process::start(&mut command);
        let pause = whole * point / 50;
        std::thread::sleep(pause);
        process.signal(libc::SIGKILL);
        process.wait(LIMIT).expect("it was killed");
        is_cleaned_up(&bundle, &runtime, &format!("killed after {pause:?} of {whole:?}"));
    }
    runtime.create(&bundle);
    runtime.call(&["start", bundle.id()]).ok();
}

/// Calls that change something, in the runtime's process or in the container's, and at which of them to kill.
const POINTS: [(&str, &[u32]); 26] = [
    ("bpf", &[1]),
    ("capset", &[1]),
    ("clone3", &[1]),
    ("close_range", &[1]),
    ("execveat", &[1, 2]),
    ("fsconfig", &[1, 4]),
    ("fsmount", &[1, 3]),
    ("keyctl", &[1]),
    ("mkdirat", &[1, 2, 3, 5, 8, 10]),
    ("mknod", &[1]),
    ("mknodat", &[1, 4]),
    ("mount", &[1]),
    ("mount_setattr", &[1, 2]),
    ("move_mount", &[1, 4]),
    ("open_tree", &[1]),
    ("openat2", &[1, 6, 12]),
    ("pivot_root", &[1]),
    ("prctl", &[1, 4]),
    ("recvmsg", &[1]),
    ("rename", &[1, 2, 3]),
    ("sendmsg", &[1, 2]),
    ("setgroups", &[1]),
    ("sethostname", &[1]),
    ("socketpair", &[1]),
    ("umount2", &[1]),
    ("write", &[1, 2, 4, 8, 12, 16, 18]),
];

#[test]
fn create_killed_at_any_call() {
    if !has_program("strace") {
        return skip("no strace");
    }
    if stand_in_lacks("runc 1.1.5 leaves cgroups and processes") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let path = bundle.path();
    // The runtime alone; then whichever calls first, the runtime or the container's init.
    for (follow, verb, action) in [(&[][..], "create", "sleep"), (&["-f"], "run", "see")] {
        bundle.probe(&[action]).write();
        let mut killed = 0;
        for (call, points) in POINTS {
            for nth in points {
                let effect = format!("signal=KILL:when={nth}");
                let words = [verb, "--bundle", &path, bundle.id()];
                let running = traced(&runtime, follow, call, &effect, &words);
                is_cleaned_up(&bundle, &runtime, &format!("{verb} killed in {call} {nth} {follow:?}"));
                killed += i32::from(running.finish().code != 0);
            }
        }
        assert!(killed >= 15, "only {killed} of these points were ever reached");
    }
    runtime.create(&bundle);
}

#[test]
fn start_killed_at_any_call() {
    if !has_program("strace") {
        return skip("no strace");
    }
    let (bundle, runtime) = sleeping();
    for call in ["openat", "connect", "sendto", "write", "unlink", "unlinkat", "rename", "renameat"] {
        runtime.create(&bundle);
        traced(&runtime, &[], call, "signal=KILL:when=1", &["start", bundle.id()]).finish();
        let status = runtime.status(bundle.id());
        assert!(status == "created" || status == "running", "{call}: {status}");
        is_cleaned_up(&bundle, &runtime, &format!("start killed in {call}"));
    }
}

/// What is left of one delete, the next one takes.
#[test]
fn delete_killed_at_any_call() {
    if !has_program("strace") {
        return skip("no strace");
    }
    if stand_in_lacks("runc 1.1.5 can't delete what has no state any more") {
        return;
    }
    let (bundle, runtime) = sleeping();
    for call in
        ["kill", "pidfd_send_signal", "rmdir", "unlink", "unlinkat", "write", "rename", "renameat", "poll"]
    {
        runtime.start(&bundle);
        traced(&runtime, &[], call, "signal=KILL:when=1", &["delete", "--force", bundle.id()]).finish();
        is_cleaned_up(&bundle, &runtime, &format!("delete killed in {call}"));
    }
}

#[test]
fn exec_killed_at_any_call() {
    if !has_program("strace") {
        return skip("no strace");
    }
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    for call in ["clone3", "setns", "openat2", "sendmsg", "recvmsg", "write", "execveat", "capset", "prctl"] {
        for follow in [&[][..], &["-f"]] {
            let words = ["exec", bundle.id(), "/probe", "exit", "0"];
            traced(&runtime, follow, call, "signal=KILL:when=1", &words).finish();
        }
        assert_eq!(
            runtime.exec(bundle.id(), &["exit", "5"]).code,
            5,
            "after an exec that was killed in {call}"
        );
    }
    is_cleaned_up(&bundle, &runtime, "execs killed");
}

/// What a container's confinement consists of.
fn confinement(seen: &Value) -> Value {
    let mut mounts: Vec<Value> = seen["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| json!([mount["point"], mount["type"], mount["options"]]))
        .collect();
    mounts.sort_by_key(ToString::to_string);
    let host = |name: &str| json!(host::namespace(i32::try_from(std::process::id()).unwrap(), name));
    let namespaces = seen["namespaces"].as_object().unwrap();
    let shared: Vec<_> =
        namespaces.iter().filter(|(name, inode)| **inode == host(name)).map(|(name, _)| name).collect();
    let mut picked = json!({"mounts": mounts, "shared namespaces": shared});
    for field in [
        "uid",
        "gid",
        "groups",
        "capabilities",
        "no_new_privs",
        "seccomp",
        "securebits",
        "fds",
        "cgroups",
        "hostname",
        "rlimits",
        "umask",
        "signals",
        "oom_score_adj",
        "cwd",
    ] {
        picked[field] = seen[field].clone();
    }
    // Of descriptors and pipes only the numbers.
    picked["fds"] = json!(seen["fds"].as_object().unwrap().keys().collect::<Vec<_>>());
    picked
}

/// A host whose own sandbox refuses one call: an error, or the very same container.
#[test]
fn one_refused_call_never_means_less_confinement() {
    if !has_program("strace") {
        return skip("no strace");
    }
    if stand_in_lacks("runc 1.1.5 leaves a mount of itself behind") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle
        .set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [7]}))
        .set("/process/oomScoreAdj", json!(77))
        .set("/root/readonly", json!(true))
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}]}),
        );
    let expected = confinement(&runtime.see(&bundle));
    let path = bundle.path();
    // Not of those that the probe itself asks with.
    for call in [
        "bpf",
        "capset",
        "chroot",
        "clone3",
        "clone",
        "close_range",
        "fchdir",
        "fchown",
        "fsconfig",
        "fsmount",
        "fsopen",
        "keyctl",
        "mkdirat",
        "mknodat",
        "mount",
        "mount_setattr",
        "move_mount",
        "open_tree",
        "openat2",
        "pidfd_open",
        "pivot_root",
        "seccomp",
        "setgid",
        "setgroups",
        "sethostname",
        "setns",
        "setresgid",
        "setresuid",
        "setsid",
        "setuid",
        "symlinkat",
        "umount2",
        "unshare",
    ] {
        for errno in ["EPERM", "ENOSYS"] {
            let words = ["run", "--bundle", &path, bundle.id()];
            let outcome = traced(&runtime, &["-f"], call, &format!("error={errno}"), &words).finish();
            if outcome.code == 0 {
                let seen = outcome.json();
                // A kernel without keyrings is no weaker: they are then nobody's.
                assert_eq!(confinement(&seen), expected, "{call} answers {errno}");
            } else {
                assert!(!outcome.stderr.is_empty(), "{call} answers {errno}: {outcome}");
            }
            is_cleaned_up(&bundle, &runtime, &format!("{call} answers {errno}"));
        }
    }
}

/// SIGTERM in the middle: rolled back by itself, or done.
#[test]
fn create_interrupted_at_any_moment() {
    let (bundle, runtime) = sleeping();
    if stand_in_lacks("runc 1.1.5 dies and leaves it to delete --force") {
        return;
    }
    let path = bundle.path();
    for point in 0..20 {
        let mut command = runtime.command(&["create", "--bundle", &path, bundle.id()]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut process = Process::start(&mut command);
        std::thread::sleep(Duration::from_micros(500) * point);
        process.signal(libc::SIGTERM);
        process.wait(LIMIT).expect("it ends");
        is_cleaned_up(&bundle, &runtime, &format!("interrupted at point {point}"));
    }
}
