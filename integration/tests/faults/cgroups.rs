//! The container's cgroups are not as the runtime left them, or can't be made.

use std::fs;

use integration::host::{LIMIT, cgroup_mount, controller_mount};
use integration::host_mounts::HostMounts;
use integration::{Bundle, host_process, skip, stand_in_lacks};

use crate::{is_cleaned_up, remains, sleeping};

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

/// An administrator, or systemd, has taken them away.
#[test]
fn cgroups_that_are_gone_stop_nobody() {
    let (bundle, runtime) = sleeping();
    let pid = runtime.start(&bundle);
    let mut gone = 0;
    for directory in integration::host_leaks::cgroups(&format!("/{}", bundle.id())) {
        let above = std::path::Path::new(&directory).parent().unwrap();
        fs::write(above.join("cgroup.procs"), pid.to_string()).unwrap();
        gone += i32::from(fs::remove_dir(&directory).is_ok());
    }
    assert!(gone > 0, "the container had no cgroup");
    assert_eq!(runtime.status(bundle.id()), "running");
    runtime.call(&["kill", bundle.id(), "KILL"]).ok();
    assert!(host_process::ends_within(pid, LIMIT));
    is_cleaned_up(&bundle, &runtime, "without cgroups");
}

/// As with a process that hangs in the kernel: an error after a while, nothing is forgotten, and again it works.
#[test]
fn what_can_not_die_yet_is_told_and_deleted_later() {
    let Some(mount) = cgroup_mount("freezer") else { return skip("no cgroup v1 hierarchy of freezer") };
    if stand_in_lacks("runc 1.1.5 leaves the process") {
        return;
    }
    let (mut bundle, runtime) = sleeping();
    bundle.set("/linux/cgroupsPath", serde_json::json!(format!("/{0}/{0}", bundle.id())));
    runtime.start(&bundle);
    // One level above: thawing the container's own does not help.
    let above = mount.join(bundle.id());
    fs::write(above.join("freezer.state"), "FROZEN").unwrap();
    let outcome = runtime.call(&["delete", "--force", bundle.id()]);
    fs::write(above.join("freezer.state"), "THAWED").unwrap();
    outcome.refuses(&["still runs"]);
    assert!(runtime.root().join(bundle.id()).exists(), "it was forgotten");
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    // What was made above the container's own cgroups is not its own.
    integration::host_leaks::clear(bundle.id());
}

/// A create that fails and then can't take a cgroup away does not forget it.
#[test]
fn a_cgroup_that_an_undo_can_not_remove_is_left_to_delete() {
    let mut bundle = Bundle::new();
    bundle.set("/process/args", serde_json::json!(["/no/such/program"])).write();
    let runtime = bundle.runtime();
    let path = bundle.path();
    let args = ["create", "--bundle", &path, bundle.id()];
    let mut points = runtime.survey_to(1, &args);
    points.retain(|point| point.who == 0 && ["rmdir", "unlinkat"].contains(&point.call.as_str()));
    assert!(!points.is_empty(), "nothing is removed by a create that fails");
    for point in points {
        let struck = runtime.strike(&point, "EPERM", &args);
        // A call more or less than the last time: another one was struck.
        if struck.point.as_ref().is_none_or(|struck| struck.call != point.call) {
            continue;
        }
        assert_eq!(struck.outcome.code, 1, "{}", struck.outcome);
        is_cleaned_up(&bundle, &runtime, &format!("{point} answered EPERM"));
        assert!(remains(&bundle, &runtime).is_empty());
    }
}
