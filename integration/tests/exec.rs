//! exec: a second process in a running container, who it is, and what its end says.
#![allow(clippy::unwrap_used)]

use std::fs;

use integration::host_terminal::FdSocket;
use integration::{Bundle, Runtime, host, host_process, stand_in_lacks};
use serde_json::{Value, json};

fn sleeping() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]);
    let runtime = bundle.runtime();
    (bundle, runtime)
}

#[test]
fn passes_exit_code_and_streams() {
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    for code in [0, 3, 126, 255] {
        assert_eq!(runtime.exec(bundle.id(), &["exit", &code.to_string()]).code, code);
    }
    assert_eq!(runtime.exec(bundle.id(), &["signal", "9"]).code, 137);
    let outcome = runtime.exec(bundle.id(), &["say", "out", "+", "complain", "err"]).ok();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn is_in_the_containers_namespaces_and_cgroups() {
    let (bundle, runtime) = sleeping();
    let pid = runtime.start(&bundle);
    let seen = runtime.exec(bundle.id(), &["see"]).ok().json();
    for (name, inode) in seen["namespaces"].as_object().unwrap() {
        assert_eq!(*inode, json!(host::namespace(pid, name)), "{name}");
    }
    assert_eq!(seen["hostname"], "probe");
    for (controller, path) in seen["cgroups"].as_object().unwrap() {
        assert_eq!(path, "/", "{controller}");
    }
    assert!(seen["pid"].as_i64().unwrap() > 1);
}

#[test]
fn takes_the_defaults_of_config_json() {
    let (mut bundle, runtime) = sleeping();
    bundle
        .set("/process/user", json!({"uid": 1000, "gid": 1001, "additionalGids": [7, 8], "umask": 0o77}))
        .set("/process/cwd", json!("/home"))
        .push("/process/env", json!("FROM=config"))
        .set("/process/oomScoreAdj", json!(123));
    runtime.start(&bundle);
    let seen = runtime.exec(bundle.id(), &["see"]).ok().json();
    let ids = |n: u32| json!({"real": n, "effective": n, "saved": n, "fs": n});
    assert_eq!(seen["uid"], ids(1000));
    assert_eq!(seen["gid"], ids(1001));
    assert_eq!(seen["groups"], json!([7, 8]));
    if !stand_in_lacks("runc 1.1.5 forgets the umask in exec") {
        assert_eq!(seen["umask"], 0o77);
    }
    assert_eq!(seen["cwd"]["path"], "/home");
    assert_eq!(seen["no_new_privs"], true);
    assert_eq!(seen["oom_score_adj"], 123);
    assert!(seen["env"].as_array().unwrap().contains(&json!("FROM=config")));
    assert_eq!(seen["rlimits"]["RLIMIT_NOFILE"], json!({"soft": 1024, "hard": 1024}));
}

#[test]
fn flags_go_before_config_json() {
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    let call = |flags: &[&str]| {
        let outcome = runtime.call(&[&["exec"], flags, &[bundle.id(), "/probe", "see"]].concat());
        outcome.ok().json()
    };
    assert_eq!(call(&["--cwd", "/mnt"])["cwd"]["path"], "/mnt");
    let seen = call(&["--user", "5:6"]);
    assert_eq!((&seen["uid"]["effective"], &seen["gid"]["effective"]), (&json!(5), &json!(6)));
    let seen = call(&["--user", "5", "--additional-gids", "77", "--additional-gids", "78"]);
    assert_eq!((&seen["uid"]["real"], &seen["groups"]), (&json!(5), &json!([77, 78])));
    let seen = call(&["--env", "A=1,2", "--env", "B=3"]);
    let environment = seen["env"].as_array().unwrap();
    assert!(environment.contains(&json!("A=1,2")) && environment.contains(&json!("B=3")), "{environment:?}");
    // The numbers of cap-add in docker: bounding, effective, permitted; nothing inheritable (CVE-2022-29162).
    let seen = call(&["--cap", "CAP_SYS_ADMIN"]);
    for (set, expected) in [
        ("bounding", true),
        ("effective", true),
        ("permitted", true),
        ("inheritable", false),
        ("ambient", false),
    ] {
        let there = seen["capabilities"][set].as_array().unwrap().contains(&json!("CAP_SYS_ADMIN"));
        assert_eq!(there, expected, "{set}");
    }
}

#[test]
fn a_process_json_is_the_whole_process() {
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    let file = bundle.beside("process.json");
    let process = json!({
        "args": ["/probe", "see"], "cwd": "/tmp", "user": {"uid": 33, "gid": 44, "additionalGids": [55]},
        "env": ["ONLY=this"], "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
        "capabilities": {"bounding": ["CAP_KILL"]}
    });
    fs::write(&file, process.to_string()).unwrap();
    let seen = runtime.call(&["exec", "--process", file.to_str().unwrap(), bundle.id()]).ok().json();
    assert_eq!(seen["uid"]["real"], 33);
    assert_eq!(seen["gid"]["real"], 44);
    assert_eq!(seen["groups"], json!([55]));
    assert_eq!(seen["cwd"]["path"], "/tmp");
    assert_eq!(seen["rlimits"]["RLIMIT_CORE"], json!({"soft": 0, "hard": 0}));
    assert_eq!(seen["capabilities"]["bounding"], json!(["CAP_KILL"]));
    assert_eq!(seen["capabilities"]["effective"], json!([]));
    assert_eq!(seen["no_new_privs"], false);
    let environment: Vec<&str> = seen["env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(environment.contains(&"ONLY=this") && !environment.iter().any(|e| e.starts_with("PATH=")));
}

#[test]
fn detached_leaves_a_pid_file_and_runs_on() {
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    let file = bundle.beside("pid");
    let words = ["exec", "--detach", "--pid-file", file.to_str().unwrap(), bundle.id(), "/probe", "sleep"];
    runtime.call(&words).ok();
    let pid: i32 = fs::read_to_string(&file).unwrap().parse().unwrap();
    assert!(host_process::alive(pid));
    let listed = runtime.call(&["ps", "--format", "json", bundle.id()]).ok().json();
    assert!(listed.as_array().unwrap().contains(&json!(pid)), "{pid} is not in {listed}");
    assert!(host_process::send(pid, libc::SIGKILL));
    assert!(host_process::ends_within(pid, host::LIMIT));
    assert_eq!(runtime.status(bundle.id()), "running");
}

#[test]
fn works_in_a_created_container() {
    let (bundle, runtime) = sleeping();
    runtime.create(&bundle);
    assert_eq!(runtime.exec(bundle.id(), &["exit", "9"]).code, 9);
    assert_eq!(runtime.status(bundle.id()), "created");
}

#[test]
fn bad_users_are_refused() {
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    // 2^32-1 is "no change" to setresuid, 2^32 wraps to root (CVE-2026-30892, CVE-2024-40635).
    for user in ["4294967295", "4294967296", "-1", "1x", "0:4294967295", "0:4294967296", "1:", ":1"] {
        if user == "4294967295" && stand_in_lacks("runc 1.1.5 fails on some of these only inside") {
            return;
        }
        let outcome = runtime.call(&["exec", "--user", user, bundle.id(), "/probe", "see"]);
        assert_eq!(outcome.code, 255, "--user {user}: {outcome}");
    }
}

#[test]
fn an_exec_dies_with_the_container() {
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    let running =
        runtime.begin(runtime.command(&["exec", bundle.id(), "/probe", "say", "here", "+", "sleep"]));
    running.says("here");
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    assert_eq!(running.finish().code, 137);
}

#[test]
fn a_pidfd_comes_over_the_socket() {
    let (mut bundle, runtime) = sleeping();
    if stand_in_lacks("runc 1.1.5 has no --pidfd-socket") {
        return;
    }
    let socket = FdSocket::new(&bundle.beside("s"));
    bundle.probe(&["sleep"]);
    runtime.create_with(&bundle, &["--pidfd-socket", socket.path()]).ok();
    let (fd, data) = socket.receive(host::LIMIT).expect("a pidfd of init");
    assert_eq!(String::from_utf8_lossy(&data), "standard");
    assert_eq!(pid_of(&fd), runtime.pid(bundle.id()));

    runtime.call(&["start", bundle.id()]).ok();
    let file = bundle.beside("pid");
    let words = [
        "exec",
        "-d",
        "--pidfd-socket",
        socket.path(),
        "--pid-file",
        file.to_str().unwrap(),
        bundle.id(),
        "/probe",
        "sleep",
    ];
    runtime.call(&words).ok();
    let (fd, data) = socket.receive(host::LIMIT).expect("a pidfd of the exec");
    assert_eq!(String::from_utf8_lossy(&data), "setns");
    assert_eq!(pid_of(&fd).to_string(), fs::read_to_string(&file).unwrap());
}

fn pid_of(pidfd: &std::os::fd::OwnedFd) -> i32 {
    use std::os::fd::AsRawFd;
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    about.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().parse().unwrap()
}

/// What a process object leaves out is the container's own, so that nobody gains by forgetting; and nobody's umask is
/// the caller's, if both leave that out (runtime-spec, config.md#user).
#[test]
fn a_process_json_that_leaves_fields_out_takes_the_container_s() {
    let (mut bundle, runtime) = sleeping();
    let caps = json!(["CAP_CHOWN", "CAP_KILL"]);
    bundle
        .set("/process/capabilities", json!({"bounding": caps, "effective": caps, "permitted": caps}))
        .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "hard": 700, "soft": 600}]))
        .set("/process/oomScoreAdj", json!(321))
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6}));
    runtime.start(&bundle);
    let file = bundle.beside("process.json");
    fs::write(&file, json!({"args": ["/probe"], "cwd": "/"}).to_string()).unwrap();
    let seen = runtime.call(&["exec", "--process", file.to_str().unwrap(), bundle.id()]).ok().json();
    for set in ["bounding", "effective", "permitted"] {
        assert_eq!(seen["capabilities"][set], caps, "{set}");
    }
    assert_eq!(seen["rlimits"]["RLIMIT_NOFILE"], json!({"soft": 600, "hard": 700}));
    if !stand_in_lacks("runc 1.1.5 has no ioPriority") {
        assert_eq!(seen["oom_score_adj"], 321);
    }

    fs::write(&file, json!({"args": ["/probe"], "cwd": "/", "capabilities": {}}).to_string()).unwrap();
    let seen = runtime.call(&["exec", "--process", file.to_str().unwrap(), bundle.id()]).ok().json();
    assert_eq!(seen["capabilities"]["bounding"], json!([]), "none is not the same as left out");
}
