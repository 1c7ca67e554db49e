//! The six kinds of hooks: when, where and with what they run, and what their failure does.

#![allow(clippy::unwrap_used)]

use std::fs;

use integration::host::{LIMIT, eventually};
use integration::{Bundle, Runtime, host, stand_in_lacks};
use serde_json::{Value, json};

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A shell script as a hook; startContainer's is looked up in the container.
fn hook(kind: &str, script: &str) -> Value {
    let shell = "/bin/sh";
    json!({"path": shell, "args": ["sh", "-c", script, kind], "env": ["PATH=/usr/bin:/bin"]})
}

/// A bundle whose hooks note their kind and their standard input; those in the container note it there.
fn noting() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    let log = bundle.beside("log").display().to_string();
    for kind in KINDS {
        let log = if kind == "startContainer" { "/log".to_owned() } else { log.clone() };
        let script = format!(
            "echo $0 $(cat) >> {log}; readlink /proc/self/ns/mnt /proc/self/ns/net >> {log}.{kind}; pwd >> {log}.{kind}"
        );
        bundle.push(&format!("/hooks/{kind}"), hook(kind, &script));
    }
    bundle.set("/annotations", json!({"told": "to hooks"}));
    let runtime = bundle.runtime();
    (bundle, runtime)
}

fn notes(bundle: &Bundle) -> Vec<(String, Value)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut lines = read(bundle.beside("log"));
    lines.push_str(&read(bundle.rootfs().join("log")));
    lines
        .lines()
        .map(|line| {
            let (kind, state) = line.split_once(' ').unwrap_or((line, ""));
            (kind.to_owned(), serde_json::from_str(state).unwrap_or_else(|e| panic!("{e}: {line}")))
        })
        .collect()
}

#[test]
fn each_runs_at_its_moment_with_the_state() {
    let (mut bundle, runtime) = noting();
    for applet in ["readlink", "pwd"] {
        std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin").join(applet)).unwrap();
    }
    bundle.probe(&["sleep"]);
    let kinds = |bundle: &Bundle| notes(bundle).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    let pid = runtime.create(&bundle);
    let before_start = kinds(&bundle);
    if before_start.len() == 4 && stand_in_lacks("runc 1.1.5 runs poststart hooks in create") {
        return;
    }
    assert_eq!(before_start, ["prestart", "createRuntime", "createContainer"]);
    runtime.call(&["start", bundle.id()]).ok();
    assert_eq!(
        kinds(&bundle),
        ["prestart", "createRuntime", "createContainer", "poststart", "startContainer"],
        "the last one's note is in the container"
    );
    runtime.call(&["kill", bundle.id(), "KILL"]).ok();
    runtime.wait_for(bundle.id(), "stopped");
    assert_eq!(kinds(&bundle).len(), 5);
    runtime.call(&["delete", bundle.id()]).ok();

    let notes = notes(&bundle);
    assert_eq!(notes.len(), 6);
    for (kind, state) in &notes {
        assert_eq!(state["id"], *bundle.id(), "{kind}");
        assert_eq!(state["bundle"], bundle.path(), "{kind}");
        assert_eq!(state["annotations"]["told"], "to hooks", "{kind}");
        assert!(state["ociVersion"].is_string(), "{kind}");
        let (status, its_pid) = match kind.as_str() {
            "startContainer" => ("created", json!(pid)),
            "poststart" => ("running", json!(pid)),
            "poststop" => ("stopped", json!(0)),
            _ => ("creating", json!(pid)),
        };
        assert_eq!(state["status"], status, "{kind}");
        // Of a stopped container it may be left out; in the container runc has the pid of the container's namespace.
        let shown = &state["pid"];
        let shown = if shown.is_null() { &json!(0) } else { shown };
        assert!(*shown == its_pid || (kind == "startContainer" && *shown == 1), "{kind}: {shown}");
    }
    namespaces_are_right(&bundle);
}

/// prestart, createRuntime, poststart and poststop in the runtime's; createContainer and startContainer in the
/// container's: runtime-spec, config.md#posix-platform-hooks.
fn namespaces_are_right(bundle: &Bundle) {
    let us = i32::try_from(std::process::id()).unwrap();
    let ours = ["mnt", "net"].map(|name| format!("{name}:[{}]", host::namespace(us, name).unwrap()));
    for kind in KINDS {
        let place = if kind == "startContainer" { bundle.rootfs().join("log") } else { bundle.beside("log") };
        let text = fs::read_to_string(format!("{}.{kind}", place.display())).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let inside = matches!(kind, "createContainer" | "startContainer");
        for (line, our) in lines.iter().zip(&ours) {
            assert_eq!(line != our, inside, "{kind}: {line}");
        }
    }
}

/// It sees the container's mounts, but still the host's files beside them.
#[test]
fn create_container_runs_before_the_root_is_changed() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let note = bundle.beside("mounts").display().to_string();
    bundle.push(
        "/hooks/createContainer",
        hook("createContainer", &format!("cat /proc/self/mountinfo > {note}")),
    );
    bundle.probe(&["exit", "0"]);
    runtime.run(&bundle).ok();
    let mounts = fs::read_to_string(&note).unwrap();
    assert!(mounts.contains(&format!("{}/dev/shm", bundle.rootfs().display())), "{mounts}");
}

/// What the network's set-up asks for: the container's namespaces exist, its program has not begun.
#[test]
fn create_runtime_can_reach_the_containers_network() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let note = bundle.beside("note").display().to_string();
    let script = format!(
        "pid=$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'); nsenter --net=/proc/$pid/ns/net cat /proc/net/dev > {note}"
    );
    bundle.push("/hooks/createRuntime", hook("createRuntime", &script)).probe(&["see"]);
    runtime.run(&bundle).ok();
    let interfaces = fs::read_to_string(&note).unwrap();
    assert!(interfaces.contains("lo:") && interfaces.lines().count() == 3, "{interfaces}");
}

#[test]
fn hooks_of_a_kind_run_in_their_order_and_the_first_failure_ends_them() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let log = bundle.beside("log").display().to_string();
    for word in ["one", "two", "three"] {
        let end = if word == "two" { "; exit 3" } else { "" };
        bundle.push("/hooks/createRuntime", hook("x", &format!("echo {word} >> {log}{end}")));
    }
    runtime
        .create_with(&bundle, &[])
        .fails(1, &["hook #1", "exit status 3"])
        .refuses(&["createRuntime hook #1"]);
    assert_eq!(fs::read_to_string(&log).unwrap(), "one\ntwo\n");
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_hooks_path_args_and_environment_are_its_own() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let note = bundle.beside("note").display().to_string();
    let script = bundle.beside("hook");
    fs::write(&script, format!("#!/bin/sh\necho \"$0 $1 $2\" > {note}\nenv >> {note}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).unwrap();
    bundle.set(
        "/hooks/createRuntime",
        json!([{"path": script, "args": ["zero", "a b", ""], "env": ["ONE=1", "TWO=a b"]}]),
    );
    bundle.probe(&["exit", "0"]).write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    command.env("OF_THE_CALLER", "1");
    runtime.finish(command).ok();
    let text = fs::read_to_string(&note).unwrap();
    assert_eq!(text.lines().next().unwrap(), format!("{} a b ", script.display()));
    assert!(
        text.contains("ONE=1\n") && text.contains("TWO=a b\n") && !text.contains("OF_THE_CALLER"),
        "{text}"
    );
}

#[test]
fn a_start_container_hook_finds_its_program_in_the_container() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/hooks/startContainer", json!([{"path": "/probe", "args": ["probe", "write", "/noted"]}]));
    bundle.probe(&["read", "/noted"]);
    assert_eq!(runtime.run(&bundle).ok().stdout, "written\n");
}

/// Before the program nothing goes on; after it, the container was there already.
#[test]
fn each_kinds_failure_does_what_the_specification_says() {
    for kind in KINDS {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        let script = "echo said; echo complained >&2; exit 7";
        bundle
            .push(&format!("/hooks/{kind}"), hook(kind, script))
            .probe(&["write", "/ran", "+", "sleep", "0.3"]);
        let outcome = runtime.run(&bundle);
        let ran = bundle.rootfs().join("ran");
        match kind {
            // runtime-spec, lifecycle: only a warning, the rest goes on.
            "poststop" => assert_eq!(outcome.code, 0, "{kind}: {outcome}"),
            "poststart" => {
                assert_eq!(outcome.code, 1, "{kind}: {outcome}");
            }
            _ => {
                assert_eq!(outcome.code, 1, "{kind}: {outcome}");
                assert!(!ran.exists(), "{kind}: the program ran");
            }
        }
        if !stand_in_lacks("runc 1.1.5 names no kind, and of some not even the reason") {
            for word in [kind, "hook #0", "exit status 7", "said", "complained"] {
                assert!(outcome.stderr.contains(word), "{kind}: no {word:?} in {outcome}");
            }
        }
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn one_that_can_not_be_started_is_a_failure() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/hooks/prestart", json!([{"path": "/no/such/hook"}]));
    runtime.create_with(&bundle, &[]).refuses(&[
        "prestart hook #0",
        "/no/such/hook",
        "no such file or directory",
    ]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn one_that_takes_too_long_is_killed() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        let mut slow = hook(kind, "echo $$ > $PIDFILE; exec sleep 600");
        slow["timeout"] = json!(1);
        slow["env"] = json!(["PATH=/usr/bin:/bin", format!("PIDFILE={}", bundle.beside("pid").display())]);
        bundle.push(&format!("/hooks/{kind}"), slow);
        runtime.create_with(&bundle, &[]).fails(1, &["hook #0", "timeout"]).refuses(&[kind]);
        // The container's own pid namespace has another number for it; its cgroup is searched below.
        if kind != "createContainer" {
            let pid: i32 = fs::read_to_string(bundle.beside("pid")).unwrap().trim().parse().unwrap();
            assert!(!integration::host_process::alive(pid), "the hook still runs");
        }
        runtime.leaves_nothing(bundle.id());
    }
}

/// One that never reads its input, gets a large state, and says much.
#[test]
fn one_that_does_not_read_and_says_much_is_no_trouble() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/annotations", json!({"large": "x".repeat(300_000)}));
    bundle.push(
        "/hooks/createRuntime",
        hook("x", "exec <&-; head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"),
    );
    bundle.push("/hooks/createRuntime", hook("x", "cat > $NOTE"));
    let note = bundle.beside("note").display().to_string();
    bundle.set("/hooks/createRuntime/1/env", json!(["PATH=/usr/bin:/bin", format!("NOTE={note}")]));
    bundle.probe(&["exit", "0"]);
    runtime.run(&bundle).ok();
    let state: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    assert_eq!(state["annotations"]["large"].as_str().unwrap().len(), 300_000);
}

/// A hook may leave something behind that runs on; the runtime does not wait for it.
#[test]
fn what_a_hook_leaves_running_does_not_hold_the_runtime() {
    let mut bundle = Bundle::new();
    if stand_in_lacks("runc waits until the streams are closed") {
        return;
    }
    let runtime = bundle.runtime();
    let pid = bundle.beside("pid").display().to_string();
    bundle.push("/hooks/createRuntime", hook("x", &format!("sleep 600 & echo $! > {pid}")));
    bundle.probe(&["exit", "0"]);
    runtime.run(&bundle).ok();
    let pid: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    assert!(integration::host_process::send(pid, libc::SIGKILL));
}

#[test]
fn poststop_runs_when_the_last_is_gone() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let note = bundle.beside("note");
    bundle
        .push("/hooks/poststop", hook("x", &format!("ls {} > {}", runtime.root().display(), note.display())));
    bundle.probe(&["sleep"]);
    runtime.start(&bundle);
    assert!(!note.exists());
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    assert!(eventually(LIMIT, || note.exists().then_some(())).is_some());
}
