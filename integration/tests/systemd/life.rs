//! A scope from its making to its end.

use integration::host::{self, LIMIT};
use integration::host_process::Process;
use integration::runtime_bin::Running;
use serde_json::{Value, json};

use super::{call, cgroup_of, create, is_gone, is_v2, scene, shown, start, systemctl, unit};

#[test]
fn a_container_is_a_scope_in_its_slice() {
    let Some((bundle, runtime)) = scene() else { return };
    let pid = start(&bundle, &runtime);
    let unit = unit(&bundle);
    assert_eq!(cgroup_of(pid), format!("/pinnacetest.slice/{unit}"));
    for (property, value) in [
        ("ActiveState", "active"),
        ("Slice", "pinnacetest.slice"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("ControlGroup", &cgroup_of(pid)),
        // Otherwise systemd reads the unit anew at the next occasion, and with it the limits.
        ("NeedDaemonReload", "no"),
    ] {
        assert_eq!(shown(&unit, property), value, "{property}");
    }
    let state: Value =
        serde_json::from_slice(&std::fs::read(runtime.root().join(bundle.id()).join("state.json")).unwrap())
            .unwrap();
    let cgroups = &state["config"]["cgroups"];
    assert_eq!(cgroups["Systemd"], true);
    assert_eq!(cgroups["parent"], "pinnacetest.slice");
    assert_eq!((&cgroups["scope_prefix"], &cgroups["name"]), (&json!("it"), &json!(bundle.id())));
    // The commands that follow are not told which driver it was.
    runtime.call(&["pause", bundle.id()]).ok();
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.call(&["resume", bundle.id()]).ok();
    let file = bundle.beside("exec.pid");
    let name = file.display().to_string();
    runtime.call(&["exec", "--detach", "--pid-file", &name, bundle.id(), "/probe", "sleep"]).ok();
    let exec: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(cgroup_of(exec), cgroup_of(pid));
    let ps = runtime.call(&["ps", "--format", "json", bundle.id()]).ok().json();
    assert_eq!(ps.as_array().map(Vec::len), Some(2), "{ps}");
    runtime.call(&["kill", bundle.id(), "KILL"]).ok();
    runtime.wait_for(bundle.id(), "stopped");
    runtime.call(&["delete", bundle.id()]).ok();
    is_gone(&bundle, &runtime);
}

#[test]
fn run_in_the_foreground_and_again_under_the_same_name() {
    let Some((mut bundle, runtime)) = scene() else { return };
    bundle.probe(&["see"]).write();
    let path = bundle.path();
    for _ in 0..5 {
        call(&runtime, &["run", "--bundle", &path, bundle.id()]).ok();
        is_gone(&bundle, &runtime);
    }
}

#[test]
fn what_is_left_out_of_the_path() {
    let Some((mut bundle, runtime)) = scene() else { return };
    for (path, unit, slice) in [
        (String::new(), format!("pinnace-{}.scope", bundle.id()), "system.slice"),
        (format!("::{}", bundle.id()), format!("{}.scope", bundle.id()), "system.slice"),
        (format!("-:it:{}", bundle.id()), unit(&bundle), "-.slice"),
        (format!("pinnacetest-a.slice:it:{}", bundle.id()), unit(&bundle), "pinnacetest-a.slice"),
    ] {
        bundle.set("/linux/cgroupsPath", json!(path));
        start(&bundle, &runtime);
        assert_eq!(shown(&unit, "Slice"), slice, "{path:?}");
        runtime.call(&["delete", "--force", bundle.id()]).ok();
        assert_eq!(shown(&unit, "LoadState"), "not-found", "{path:?}");
        is_gone(&bundle, &runtime);
    }
}

#[test]
fn a_container_in_a_cgroup_below_its_scope() {
    let Some((mut bundle, runtime)) = scene() else { return };
    bundle.set("/annotations/run.oci.systemd.subgroup", json!("inner"));
    bundle.set("/linux/resources/pids", json!({"limit": 20}));
    let pid = start(&bundle, &runtime);
    assert_eq!(cgroup_of(pid), format!("/pinnacetest.slice/{}/inner", unit(&bundle)));
    assert_eq!(shown(&unit(&bundle), "TasksMax"), "20");
    runtime.exec(bundle.id(), &["see"]).ok();
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    is_gone(&bundle, &runtime);
}

#[test]
fn properties_from_annotations() {
    let Some((mut bundle, runtime)) = scene() else { return };
    bundle.set(
        "/annotations",
        json!({
            "org.systemd.property.TimeoutStopUSec": "uint64 7000000",
            "org.systemd.property.Description": "'a \"quoted\" one'",
            "org.systemd.property.After": "['basic.target']",
            "org.systemd.property.SendSIGHUP": "true",
        }),
    );
    start(&bundle, &runtime);
    let unit = unit(&bundle);
    assert_eq!(shown(&unit, "TimeoutStopUSec"), "7s");
    assert_eq!(shown(&unit, "Description"), "a \"quoted\" one");
    assert_eq!(shown(&unit, "SendSIGHUP"), "yes");
    assert!(shown(&unit, "After").split(' ').any(|name| name == "basic.target"));
}

/// systemd can end a container like any other unit.
#[test]
fn stopped_by_systemd() {
    let Some((bundle, runtime)) = scene() else { return };
    let pid = start(&bundle, &runtime);
    systemctl(&["kill", "--signal=KILL", &unit(&bundle)]);
    assert!(integration::host_process::ends_within(pid, LIMIT));
    runtime.wait_for(bundle.id(), "stopped");
    runtime.call(&["delete", bundle.id()]).ok();
    is_gone(&bundle, &runtime);
}

/// The intent knows the unit before systemd does.
#[test]
fn create_killed_at_any_moment() {
    let Some((bundle, runtime)) = scene() else { return };
    bundle.write();
    let path = bundle.path();
    let begin = std::time::Instant::now();
    create(&bundle, &runtime).ok();
    let whole = begin.elapsed();
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    for point in 0..20 {
        let mut command = runtime.command(&["--systemd-cgroup", "create", "--bundle", &path, bundle.id()]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut process = Process::start(&mut command);
        std::thread::sleep(whole * point / 20);
        process.signal(libc::SIGKILL);
        process.wait(LIMIT).expect("it was killed");
        runtime.call(&["delete", "--force", bundle.id()]).ok();
        // One that died before it had an intent leaves its scope to systemd, which sees it empty.
        let gone =
            host::eventually(LIMIT, || (shown(&unit(&bundle), "LoadState") == "not-found").then_some(()));
        assert!(gone.is_some(), "killed at {point}/20: {} is still there", unit(&bundle));
        is_gone(&bundle, &runtime);
    }
    call(&runtime, &["run", "--detach", "--bundle", &path, bundle.id()]).ok();
}

#[test]
fn the_only_process_that_is_allowed_is_the_containers() {
    let Some((mut bundle, runtime)) = scene() else { return };
    bundle.set("/linux/resources/pids", json!({"limit": 1})).probe(&["forks", "5"]);
    bundle.write();
    let outcome = call(&runtime, &["run", "--bundle", &bundle.path(), bundle.id()]).ok();
    assert_eq!(outcome.json()["forked"], 0, "{outcome}");
    is_gone(&bundle, &runtime);
}

/// Hooks and the pids of a container that is made: nobody but the container is in it.
#[test]
fn nobody_else_is_in_it() {
    let Some((mut bundle, runtime)) = scene() else { return };
    if !is_v2() {
        return integration::skip("the hook reads the unified hierarchy");
    }
    let out = bundle.beside("members").display().to_string();
    let members = format!("/sys/fs/cgroup/pinnacetest.slice/{}/cgroup.procs", unit(&bundle));
    bundle.push(
        "/hooks/createRuntime",
        json!({"path": "/bin/sh", "args": ["sh", "-c", format!("cat {members} > {out}")]}),
    );
    let pid = start(&bundle, &runtime);
    assert_eq!(std::fs::read_to_string(&out).unwrap().trim(), pid.to_string());
}

#[test]
fn many_at_once() {
    let scenes: Option<Vec<_>> = (0..8).map(|_| scene()).collect();
    let Some(scenes) = scenes else { return };
    let started: Vec<Running> = scenes
        .iter()
        .map(|(bundle, runtime)| {
            bundle.write();
            let path = bundle.path();
            let args = ["--systemd-cgroup", "run", "--detach", "--bundle", &path, bundle.id()];
            runtime.begin(runtime.command(&args))
        })
        .collect();
    for running in started {
        running.finish().ok();
    }
    for (bundle, runtime) in &scenes {
        assert_eq!(shown(&unit(bundle), "ActiveState"), "active");
        runtime.call(&["delete", "--force", bundle.id()]).ok();
        is_gone(bundle, runtime);
    }
}
