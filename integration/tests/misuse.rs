//! Every verb in every state that forbids it: the exit code, the words that engines match, and that nothing changed.

use integration::{Bundle, Runtime, host_process, stand_in_lacks};

/// One call, the exit code and the words of the answer.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str]);

/// `ID` in an argument stands for the container's id.
fn check(runtime: &Runtime, id: &str, state: &str, cases: &[Case]) {
    for (call, code, words) in cases {
        let call: Vec<&str> = call.iter().map(|word| if *word == "ID" { id } else { *word }).collect();
        let outcome = runtime.call(&call).fails(*code, words);
        assert!(*code == 0 || !outcome.stderr.is_empty(), "{state}: {outcome}");
        if state != "absent" {
            assert_eq!(runtime.status(id), state, "after {outcome}");
        }
    }
}

const GONE: &[&str] = &["container does not exist"];

#[test]
fn of_no_container() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    check(
        &runtime,
        bundle.id(),
        "absent",
        &[
            (&["state", "ID"], 1, GONE),
            (&["start", "ID"], 1, GONE),
            (&["kill", "ID", "TERM"], 1, GONE),
            (&["delete", "ID"], 1, GONE),
            (&["delete", "--force", "ID"], 0, &[]),
            (&["pause", "ID"], 1, GONE),
            (&["resume", "ID"], 1, GONE),
            (&["exec", "ID", "/probe"], 255, GONE),
            (&["ps", "ID"], 1, GONE),
            (&["update", "--memory", "10000000", "ID"], 1, GONE),
            (&["events", "--stats", "ID"], 1, GONE),
        ],
    );
}

#[test]
fn of_a_created_container() {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]);
    let runtime = bundle.runtime();
    runtime.create(&bundle);
    let path = bundle.path();
    check(
        &runtime,
        bundle.id(),
        "created",
        &[
            (&["create", "--bundle", &path, "ID"], 1, &["container with given ID already exists"]),
            (&["run", "--bundle", &path, "ID"], 1, &["container with given ID already exists"]),
            (&["resume", "ID"], 1, &["container not paused"]),
            (&["kill", "ID", "NOSUCH"], 1, &["unknown signal", "NOSUCH"]),
        ],
    );
    if !stand_in_lacks("runc 1.1.5 passes any number on to the kernel") {
        check(&runtime, bundle.id(), "created", &[(&["kill", "ID", "4711"], 1, &["4711"])]);
    }
    // Not misuse: what was never started needs no force.
    runtime.call(&["delete", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn of_a_running_container() {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]);
    let runtime = bundle.runtime();
    runtime.start(&bundle);
    let path = bundle.path();
    check(
        &runtime,
        bundle.id(),
        "running",
        &[
            (&["create", "--bundle", &path, "ID"], 1, &["container with given ID already exists"]),
            (&["run", "--bundle", &path, "ID"], 1, &["container with given ID already exists"]),
            (&["start", "ID"], 1, &["cannot start an already running container"]),
            (&["delete", "ID"], 1, &["cannot delete container", "that is not stopped: running"]),
            (&["resume", "ID"], 1, &["container not paused"]),
            (&["exec", "ID", "/no/such"], 255, &["no such file or directory"]),
            (&["exec", "ID", "nosuch"], 255, &["executable file not found in $PATH"]),
            (&["exec", "ID", "/etc/passwd"], 255, &["permission denied"]),
            (&["exec", "ID"], 255, &[]),
        ],
    );
}

#[test]
fn of_a_paused_container() {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]);
    let runtime = bundle.runtime();
    runtime.start(&bundle);
    runtime.call(&["pause", bundle.id()]).ok();
    check(
        &runtime,
        bundle.id(),
        "paused",
        &[
            (&["start", "ID"], 1, &["cannot start a container in the paused state"]),
            (&["pause", "ID"], 1, &["container not running"]),
            (&["exec", "ID", "/probe"], 255, &["cannot exec in a paused container"]),
            (&["delete", "ID"], 1, &["that is not stopped: paused"]),
        ],
    );
}

#[test]
fn of_a_stopped_container() {
    let mut bundle = Bundle::new();
    bundle.probe(&["exit", "0"]);
    let runtime = bundle.runtime();
    runtime.start(&bundle);
    runtime.wait_for(bundle.id(), "stopped");
    check(
        &runtime,
        bundle.id(),
        "stopped",
        &[
            (&["start", "ID"], 1, &["cannot start a container that has stopped"]),
            (&["kill", "ID", "KILL"], 1, &["container not running"]),
            (&["kill", "--all", "ID", "KILL"], 0, &[]),
            (&["pause", "ID"], 1, &["container not running"]),
            (&["resume", "ID"], 1, &["container not paused"]),
            (&["exec", "ID", "/probe"], 255, &["cannot exec in a stopped container"]),
            (&["update", "--pids-limit", "5", "ID"], 1, &["container not running"]),
            (&["events", "--stats", "ID"], 1, &["is not running"]),
        ],
    );
}

#[test]
fn an_id_is_taken_once_however_many_ask() {
    let mut bundle = Bundle::new();
    if stand_in_lacks("runc 1.1.5 lets two win now and then") {
        return;
    }
    bundle.probe(&["sleep"]).write();
    let runtime = bundle.runtime();
    let path = bundle.path();
    let calls: Vec<_> = (0..12)
        .map(|_| runtime.begin(runtime.command(&["create", "--bundle", &path, bundle.id()])))
        .collect();
    let outcomes: Vec<_> = calls.into_iter().map(integration::runtime_bin::Running::finish).collect();
    let winners = outcomes.iter().filter(|outcome| outcome.code == 0).count();
    assert_eq!(winners, 1);
    assert_eq!(runtime.status(bundle.id()), "created");
    for loser in outcomes.into_iter().filter(|outcome| outcome.code != 0) {
        loser.fails(1, &["container with given ID already exists"]);
    }
    runtime.call(&["start", bundle.id()]).ok();
}

#[test]
fn a_cgroup_of_somebody_else_is_left_alone() {
    if stand_in_lacks("runc 1.1.5 only warns") {
        return;
    }
    let mut theirs = Bundle::new();
    theirs.probe(&["sleep"]);
    let runtime = theirs.runtime();
    let pid = runtime.create(&theirs);
    runtime.call(&["start", theirs.id()]).ok();
    let mut ours = Bundle::new();
    let state = std::fs::read(runtime.root().join(theirs.id()).join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let Some(mount) = integration::host::controller_mount("pids") else {
        return integration::skip("no cgroup controller pids");
    };
    let paths = &state["cgroup_paths"];
    let path = paths["pids"].as_str().or_else(|| paths[""].as_str()).unwrap();
    let inside = path.strip_prefix(mount.to_str().unwrap()).unwrap();
    ours.set("/linux/cgroupsPath", serde_json::json!(inside));

    runtime.create_with(&ours, &[]).refuses(&["cgroup is not empty"]);

    assert!(host_process::alive(pid), "a refused create killed the processes of another container");
    assert_eq!(runtime.state(theirs.id())["status"], "running");
}
