//! What is on disk is not as the runtime left it: torn, empty, foreign, from another process's time.

use std::fs;
use std::process::Command;
use std::time::Duration;

use integration::host::LIMIT;
use integration::host_process::{self, Process};
use integration::stand_in_lacks;

use crate::{is_cleaned_up, sleeping};

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
    // The kernel tells start times in hundredths of a second; no pid comes back within one.
    std::thread::sleep(Duration::from_millis(50));
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

/// Before the intent nothing is made: an empty directory says nothing about a cgroup of that name.
#[test]
fn a_stale_directory_is_no_claim_to_a_cgroup() {
    let (mut bundle, runtime) = sleeping();
    // Named after its id then.
    bundle.remove("/linux/cgroupsPath");
    let pid = runtime.start(&bundle);
    let other = bundle.make_beside("other");
    fs::create_dir(other.join(bundle.id())).unwrap();
    let mut command = Command::new(integration::runtime_binary());
    command.arg("--root").arg(&other).args(["delete", "--force", bundle.id()]);
    runtime.finish(command).ok();
    assert!(host_process::alive(pid), "the container of another root was killed");
    assert!(!other.join(bundle.id()).exists());
}

/// Another container's files, or another runtime's words.
#[test]
fn a_foreign_state_is_not_believed() {
    if stand_in_lacks("runc 1.1.5 believes it") {
        return;
    }
    let (victim, theirs) = sleeping();
    let pid = theirs.start(&victim);
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    let state = |runtime: &integration::Runtime, id: &str| runtime.root().join(id).join("state.json");
    fs::copy(state(&theirs, victim.id()), state(&runtime, bundle.id())).unwrap();
    runtime.call(&["state", bundle.id()]).fails(1, &["state.json", victim.id()]);
    runtime.call(&["kill", bundle.id(), "KILL"]).fails(1, &["state.json"]);
    is_cleaned_up(&bundle, &runtime, "with another's state");
    assert!(host_process::alive(pid), "the container whose state it was is dead");
}

/// A cgroup path in the state that is none leads nowhere.
#[test]
fn a_state_that_names_a_directory_removes_nothing_in_it() {
    if stand_in_lacks("runc 1.1.5 removes what it is told to") {
        return;
    }
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    let file = runtime.root().join(bundle.id()).join("state.json");
    let precious = bundle.make_beside("precious");
    fs::create_dir(precious.join("empty")).unwrap();
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let paths = state["cgroup_paths"].as_object_mut().unwrap();
    let before = fs::read(&file).unwrap();
    for path in paths.values_mut() {
        *path = serde_json::json!(precious.display().to_string());
    }
    fs::write(&file, state.to_string()).unwrap();
    runtime.call(&["delete", "--force", bundle.id()]);
    assert!(precious.join("empty").is_dir(), "a directory that is no cgroup was removed");
    if file.parent().unwrap().exists() {
        fs::write(&file, before).unwrap();
        is_cleaned_up(&bundle, &runtime, "with its own state again");
    } else {
        integration::host_leaks::clear(bundle.id());
    }
}

/// A file is written beside and renamed: whoever reads sees the old or the new one.
#[test]
fn a_state_that_is_being_replaced_can_be_read() {
    let (bundle, runtime) = sleeping();
    runtime.start(&bundle);
    let id = bundle.id();
    for round in 0..10 {
        let limit = (64_u32 + round) << 20;
        let words = ["update", "--memory", &limit.to_string(), id];
        let call = runtime.begin(runtime.command(&words));
        while !host_process::ends_within(call.process.pid(), Duration::ZERO) {
            assert_eq!(runtime.status(id), "running");
        }
        call.finish().ok();
    }
}
