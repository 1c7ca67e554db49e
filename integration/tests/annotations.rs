//! What podman says to crun and not to runc: annotations that change what is done, `--cgroup-manager`, `--config`.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;

use integration::{Bundle, runtime_binary, stand_in_lacks};
use serde_json::json;

const SHELL_HOOKS: [&str; 5] =
    ["createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

#[test]
fn original_groups_are_kept_when_asked_for() {
    if stand_in_lacks("it is crun's annotation") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let groups = |bundle: &Bundle| {
        bundle.write();
        let mut command = Command::new("setpriv");
        command.args(["--groups", "4001,4002"]).arg(runtime_binary());
        command.args(runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]).get_args());
        runtime.finish(command).ok().json()["groups"].clone()
    };
    assert_eq!(groups(&bundle), json!([]), "nobody asked");
    bundle.set("/annotations", json!({"run.oci.keep_original_groups": "1"}));
    assert_eq!(groups(&bundle), json!([4001, 4002]));
    bundle.set("/annotations", json!({"run.oci.keep_original_groups": "0"}));
    assert_eq!(groups(&bundle), json!([]));
}

#[test]
fn hooks_print_into_files() {
    if stand_in_lacks("it is crun's annotation") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let [out, err] = ["hooks.out", "hooks.err"].map(|name| bundle.beside(name).display().to_string());
    bundle.set("/annotations", json!({"run.oci.hooks.stdout": out, "run.oci.hooks.stderr": err}));
    for kind in SHELL_HOOKS {
        let script = format!("echo out {kind}; echo err {kind} >&2");
        bundle.push(
            &format!("/hooks/{kind}"),
            json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]}),
        );
    }
    let outcome = runtime.run(&bundle).ok();
    for (path, word) in [(&out, "out"), (&err, "err")] {
        let expected: Vec<_> = SHELL_HOOKS.iter().map(|kind| format!("{word} {kind}")).collect();
        assert_eq!(fs::read_to_string(path).unwrap().lines().collect::<Vec<_>>(), expected);
    }
    assert!(!outcome.stdout.contains("hooks."), "the process has none of the files: {outcome}");

    bundle.set("/annotations", json!({"run.oci.hooks.stdout": "/no/such/directory/file"}));
    runtime.run(&bundle).refuses(&["open the hooks' output /no/such/directory/file", "no such file"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn an_unknown_system_call_is_refused_when_asked_for() {
    if stand_in_lacks("it is crun's annotation") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["exit", "0"]).set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["reboot", "no_such_call"], "action": "SCMP_ACT_ERRNO"}],
        }),
    );
    runtime.run(&bundle).ok();
    bundle.set("/annotations", json!({"run.oci.seccomp_fail_unknown_syscall": "1"}));
    runtime.run(&bundle).refuses(&["unknown system call", "no_such_call"]);
    runtime.leaves_nothing(bundle.id());
}

fn cgroup_of(pid: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap()
}

#[test]
fn without_a_cgroup_manager_a_container_stays_in_the_caller_s_cgroups() {
    if stand_in_lacks("it is crun's flag") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]).write();
    let path = bundle.path();
    let flag = "--cgroup-manager=disabled";
    runtime.call(&[flag, "create", "--bundle", &path, bundle.id()]).ok();
    let pid = runtime.pid(bundle.id()).to_string();
    assert_eq!(cgroup_of(&pid), cgroup_of("self"));
    runtime.call(&[flag, "start", bundle.id()]).ok();
    runtime.exec(bundle.id(), &["exit", "0"]).ok();
    assert_eq!(runtime.status(bundle.id()), "running");
    runtime.call(&[flag, "kill", bundle.id(), "KILL"]).ok();
    runtime.wait_for(bundle.id(), "stopped");
    runtime.call(&[flag, "delete", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());

    bundle.set("/linux/resources/pids", json!({"limit": 100})).write();
    runtime.call(&[flag, "run", "--bundle", &path, bundle.id()]).refuses(&["limit pids", "no cgroup"]);
    runtime.leaves_nothing(bundle.id());
    runtime
        .call(&["--cgroup-manager", "other", "run", "--bundle", &path, bundle.id()])
        .refuses(&["unknown cgroup manager", "other"]);
    bundle.probe(&["exit", "0"]).write();
    runtime.call(&["--cgroup-manager=cgroupfs", "run", "--bundle", &path, bundle.id()]).ok();
}

#[test]
fn another_config_json_may_be_named() {
    if stand_in_lacks("it is crun's flag") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["exit", "7"]).write();
    let other = bundle.beside("other.json");
    fs::write(&other, bundle.config.to_string()).unwrap();
    bundle.write_raw(b"no JSON at all");
    let (path, other) = (bundle.path(), other.display().to_string());
    for flag in ["--config", "-f"] {
        let outcome = runtime.call(&["run", "--bundle", &path, flag, &other, bundle.id()]);
        assert_eq!(outcome.code, 7, "{outcome}");
    }
    runtime.call(&["create", "--bundle", &path, "--config", &other, bundle.id()]).ok();
    let outcome = runtime.call(&["start", bundle.id()]).ok();
    assert_eq!(outcome.stderr, "");
}
