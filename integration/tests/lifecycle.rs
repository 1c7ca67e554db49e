//! create, start, state, kill, delete, run, list and ps in their order, and what each says. What the container is like
//! inside is asked elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration::host::{LIMIT, eventually};
use integration::{Bundle, host_process, stand_in_lacks};
use serde_json::json;

#[test]
fn run_passes_the_exit_code() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for code in [0, 1, 7, 127, 255] {
        bundle.probe(&["exit", &code.to_string()]);
        assert_eq!(runtime.run(&bundle).code, code);
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn run_adds_128_to_the_signal_that_killed() {
    let mut bundle = Bundle::new();
    // The kernel keeps a pid namespace's first process from killing itself.
    bundle.share("pid");
    let runtime = bundle.runtime();
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV] {
        bundle.probe(&["signal", &signal.to_string()]);
        assert_eq!(runtime.run(&bundle).code, 128 + signal);
    }
}

#[test]
fn run_passes_the_streams() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["say", "to", "out", "+", "complain", "to", "err", "+", "echo"]);
    bundle.write();
    let path = bundle.path();
    let mut command = runtime.command(&["run", "--bundle", &path, bundle.id()]);
    let input = bundle.beside("input");
    fs::write(&input, "from in\n").unwrap();
    command.stdin(fs::File::open(input).unwrap());
    let outcome = runtime.finish(command).ok();
    assert_eq!(outcome.stdout, "to out\nfrom in\n");
    assert_eq!(outcome.stderr, "to err\n");
}

#[test]
fn from_create_to_delete() {
    let mut bundle = Bundle::new();
    bundle.probe(&["write", "/started", "+", "trap-term", "7"]).set("/annotations", json!({"a.b/c": "d"}));
    let runtime = bundle.runtime();
    let id = bundle.id();

    let pid = runtime.create(&bundle);
    let state = runtime.state(id);
    assert_eq!(state["status"], "created");
    assert_eq!(state["id"], *id);
    assert_eq!(state["bundle"], bundle.path());
    assert_eq!(state["annotations"]["a.b/c"], "d");
    assert_eq!(state["rootfs"], bundle.rootfs().to_str().unwrap());
    assert!(state["ociVersion"].as_str().unwrap().starts_with("1."));
    assert!(host_process::alive(pid));
    assert!(!bundle.rootfs().join("started").exists(), "the program ran before start");

    runtime.call(&["start", id]).ok();
    assert!(eventually(LIMIT, || bundle.rootfs().join("started").exists().then_some(())).is_some());
    assert_eq!(runtime.status(id), "running");
    assert_eq!(runtime.pid(id), pid);

    // After "ready" on the output of `create` a signal can't be missed.
    eventually(LIMIT, || {
        fs::read_dir(bundle.beside("calls"))
            .unwrap()
            .flatten()
            .find(|entry| fs::read_to_string(entry.path()).unwrap_or_default().contains("ready"))
    })
    .expect("the program says ready");
    runtime.call(&["kill", id, "TERM"]).ok();
    runtime.wait_for(id, "stopped");
    assert_eq!(runtime.state(id)["pid"], 0);

    runtime.call(&["delete", id]).ok();
    runtime.leaves_nothing(id);
    runtime.call(&["state", id]).fails(1, &["container does not exist"]);
}

#[test]
fn kill_takes_names_and_numbers() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for (word, number) in [("SIGUSR1", 10), ("usr1", 10), ("Hup", 1), ("12", 12), ("SIGRTMIN+3", 37)] {
        if number == 37 && stand_in_lacks("runc 1.1.5 knows no real-time signals by name") {
            continue;
        }
        bundle.probe(&["trap"]);
        bundle.write();
        let running = runtime.begin(runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]));
        running.says("ready");
        runtime.call(&["kill", bundle.id(), "0"]).ok();
        runtime.call(&["kill", bundle.id(), word]).ok();
        assert_eq!(running.finish().code, number, "kill {word}");
    }
}

#[test]
fn kill_sends_term_by_default() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["trap"]).write();
    let running = runtime.begin(runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]));
    running.says("ready");
    runtime.call(&["kill", bundle.id()]).ok();
    assert_eq!(running.finish().code, libc::SIGTERM);
}

#[test]
fn a_foreground_run_forwards_signals() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["trap"]).write();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGHUP] {
        let running = runtime.begin(runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]));
        running.says("ready");
        running.process.signal(signal);
        assert_eq!(running.finish().code, signal);
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn run_detached_comes_back_at_once() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    runtime.run_with(&bundle, &["--detach"]).ok();
    assert_eq!(runtime.status(bundle.id()), "running");
    runtime.call(&["kill", bundle.id(), "KILL"]).ok();
    runtime.wait_for(bundle.id(), "stopped");
    runtime.call(&["delete", bundle.id()]).ok();
}

#[test]
fn run_keep_keeps_the_stopped_container() {
    let mut bundle = Bundle::new();
    if stand_in_lacks("runc 1.1.5 keeps nothing to look at when the process has ended") {
        return;
    }
    let runtime = bundle.runtime();
    bundle.probe(&["exit", "3"]);
    assert_eq!(runtime.run_with(&bundle, &["--keep"]).code, 3);
    assert_eq!(runtime.status(bundle.id()), "stopped");
    runtime.call(&["delete", bundle.id()]).ok();
}

#[test]
fn the_pid_file_holds_the_pid_and_nothing_else() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let file = bundle.beside("pid");
    bundle.probe(&["sleep"]);
    runtime.create_with(&bundle, &["--pid-file", file.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), runtime.pid(bundle.id()).to_string());
}

#[test]
fn a_relative_pid_file_is_relative_to_the_caller() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let caller = bundle.make_beside("caller");
    bundle.probe(&["sleep"]).write();
    let path = bundle.path();
    let mut command = runtime.command(&["create", "--bundle", &path, "--pid-file", "pid", bundle.id()]);
    command.current_dir(&caller);
    runtime.finish(command).ok();
    assert_eq!(fs::read_to_string(caller.join("pid")).unwrap(), runtime.pid(bundle.id()).to_string());
}

#[test]
fn the_bundle_is_the_callers_directory_by_default() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["exit", "5"]).write();
    let mut command = runtime.command(&["run", bundle.id()]);
    command.current_dir(bundle.path());
    assert_eq!(runtime.finish(command).code, 5);
}

#[test]
fn delete_force_ends_every_state() {
    for state in ["absent", "created", "running", "paused", "stopped"] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.probe(&["block"]);
        let id = bundle.id();
        match state {
            "absent" => {}
            "created" => drop(runtime.create(&bundle)),
            _ => drop(runtime.start(&bundle)),
        }
        match state {
            "paused" => drop(runtime.call(&["pause", id]).ok()),
            "stopped" => {
                runtime.call(&["kill", id, "KILL"]).ok();
                runtime.wait_for(id, "stopped");
            }
            _ => {}
        }
        runtime.call(&["delete", "--force", id]).ok();
        runtime.leaves_nothing(id);
        runtime.call(&["delete", "--force", id]).ok();
    }
}

#[test]
fn a_container_that_died_before_start_is_stopped() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    let pid = runtime.create(&bundle);
    host_process::send(pid, libc::SIGKILL);
    runtime.wait_for(bundle.id(), "stopped");
    runtime.call(&["start", bundle.id()]).fails(1, &["cannot start a container that has stopped"]);
    runtime.call(&["delete", bundle.id()]).ok();
}

#[test]
fn the_bundle_may_go_while_the_container_runs() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    runtime.start(&bundle);
    fs::remove_file(bundle.beside("bundle/config.json")).unwrap();
    fs::remove_dir_all(bundle.rootfs()).unwrap();
    runtime.state(bundle.id());
    runtime.call(&["kill", bundle.id(), "KILL"]).ok();
    runtime.wait_for(bundle.id(), "stopped");
    runtime.call(&["delete", bundle.id()]).ok();
}

#[test]
fn the_last_process_of_a_shared_pid_namespace_goes_too() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.share("pid").probe(&["spawn-orphan", "+", "exit", "0"]);
    runtime.run_with(&bundle, &["--detach"]).ok();
    runtime.wait_for(bundle.id(), "stopped");
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn others_may_not_read_the_state() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    runtime.create(&bundle);
    let mode = |path: &std::path::Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(runtime.root()) & 0o077, 0, "--root is open to others");
    for entry in fs::read_dir(runtime.root().join(bundle.id())).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_file() {
            assert_eq!(mode(&entry.path()) & 0o077, 0, "{} is open to others", entry.path().display());
        }
    }
}
