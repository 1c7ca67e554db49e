//! Limits as a process in the container meets them. What is written to which cgroup file is asked elsewhere.

#![allow(clippy::unwrap_used)]

use integration::host::{cgroup_mount, controller_mount};
use integration::{Bundle, skip, stand_in_lacks};
use serde_json::json;

#[test]
fn more_memory_than_allowed_kills() {
    if controller_mount("memory").is_none() {
        return skip("no cgroup controller memory");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    bundle.probe(&["alloc", "8"]);
    assert_eq!(runtime.run(&bundle).ok().stdout, "allocated\n");
    bundle.probe(&["alloc", "128"]);
    assert_eq!(runtime.run(&bundle).code, 137);
    runtime.leaves_nothing(bundle.id());
}

/// Docker and Kubernetes show nothing but the last line: it has to say what happened.
#[test]
fn too_little_memory_to_begin_with_is_named() {
    if controller_mount("memory").is_none() {
        return skip("no cgroup controller memory");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    if stand_in_lacks("runc 1.1.5 takes or refuses it as it happens") {
        return;
    }
    bundle.set("/linux/resources/memory", json!({"limit": 4096, "swap": 4096}));
    let outcome = runtime.create_with(&bundle, &[]);
    if outcome.code != 0 {
        outcome.refuses(&["memory"]);
    }
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn more_processes_than_allowed_are_not_forked() {
    if controller_mount("pids").is_none() {
        return skip("no cgroup controller pids");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/linux/resources/pids", json!({"limit": 10})).probe(&["forks", "50"]);
    assert_eq!(runtime.run(&bundle).ok().json(), json!({"forked": 9, "error": "EAGAIN"}));
    bundle.set("/linux/resources/pids", json!({"limit": -1}));
    assert_eq!(runtime.run(&bundle).ok().json(), json!({"forked": 50, "error": null}));
}

#[test]
fn a_fork_storm_is_bounded_and_deleted() {
    if controller_mount("pids").is_none() {
        return skip("no cgroup controller pids");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/linux/resources/pids", json!({"limit": 32}));
    bundle.set("/process/args", json!(["/bin/sh", "-c", "f() { f | f & }; while :; do f; done"]));
    runtime.start(&bundle);
    std::thread::sleep(std::time::Duration::from_millis(100));
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn processors_are_those_allowed() {
    if controller_mount("cpuset").is_none() {
        return skip("no cgroup controller cpuset");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/linux/resources/cpu", json!({"cpus": "0"}));
    assert_eq!(runtime.see(&bundle)["scheduler"]["cpus"], json!([0]));
}

/// The parent's limit is below what the container asks for: the file, the value and the errno.
#[test]
fn limits_that_the_host_can_not_give_are_refused() {
    let file = |v1, v2| if cgroup_mount("cpu").is_some() { v1 } else { v2 };
    // Without the controller it is named by itself.
    let cpuset = if controller_mount("cpuset").is_some() { "cpuset.cpus" } else { "cpuset" };
    for (pointer, value, word) in [
        ("/linux/resources/cpu", json!({"cpus": "4000"}), cpuset),
        ("/linux/resources/cpu", json!({"quota": 1, "period": 100_000}), file("cpu.cfs_quota_us", "cpu.max")),
        ("/linux/resources/cpu", json!({"period": 5}), file("cpu.cfs_period_us", "cpu.max")),
        ("/linux/resources/hugepageLimits", json!([{"pageSize": "3MB", "limit": 0}]), "3MB"),
    ] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        if word == "3MB" && stand_in_lacks("runc 1.1.5 does without hugetlb if v1 has none") {
            continue;
        }
        bundle.set(pointer, value);
        runtime.run(&bundle).refuses(&[word]);
        runtime.leaves_nothing(bundle.id());
    }
}
