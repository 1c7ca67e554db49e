//! Limits: in force before the first process comes, changed later, never passed over.

use pinnace::cgroup::{Cgroup, Mode};
use pinnace::wait::block;

use super::{Process, Scene, controllers, killed, resources, sleep};

#[test]
fn limits_are_in_force_when_the_first_process_comes() {
    // user-mode-linux has no cpuset.
    let cpuset = controllers().iter().any(|c| c == "cpuset");
    let sets = if cpuset { r#", "cpus": "0", "mems": "0""# } else { "" };
    let json = format!(
        r#"{{"memory": {{"limit": 33554432, "reservation": 25165824}},
            "cpu": {{"shares": 512, "quota": 50000, "period": 100000{sets}}}, "pids": {{"limit": 20}}}}"#
    );
    let scene = Scene::made(&json);
    for (controller, v1, v2, value) in [
        ("memory", "memory.limit_in_bytes", "memory.max", "33554432"),
        ("memory", "memory.soft_limit_in_bytes", "memory.low", "25165824"),
        ("pids", "pids.max", "pids.max", "20"),
        ("cpuset", "cpuset.cpus", "cpuset.cpus", "0"),
    ] {
        if controller != "cpuset" || cpuset {
            assert_eq!(scene.read(controller, v1, v2), value, "{v1}");
        }
    }
    match Cgroup::mode() {
        Mode::V2 => assert_eq!(scene.read("cpu", "", "cpu.weight"), "59"),
        _ => assert_eq!(scene.read("cpu", "cpu.shares", ""), "512"),
    }
    let child = Process::born(&scene.cgroup.entry().unwrap(), sleep);
    for line in child.cgroups().lines() {
        let joined = line.ends_with(&format!(":{}", scene.path));
        let path = line.rsplit(':').next().unwrap();
        assert!(
            joined || !scene.cgroup.paths().contains_key(line.split(':').nth(1).unwrap()),
            "{line} {path}"
        );
    }
    assert_eq!(scene.cgroup.pids().unwrap(), [child.pid.as_raw()]);
    let stats = scene.cgroup.stats().unwrap();
    assert_eq!((stats.pids.current, stats.pids.limit), (1, 20));
    assert_eq!(stats.memory.usage.limit, 33_554_432);
    block(scene.recorded().signal_all(libc::SIGKILL)).unwrap();
    assert!(killed(child.end()));
    block(scene.recorded().remove()).unwrap();
    assert!(scene.is_gone());
}

#[test]
fn nothing_stays_of_a_create_that_failed() {
    for json in [
        r#"{"cpu": {"cpus": "4000"}}"#,
        r#"{"cpu": {"quota": 5}}"#,
        r#"{"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}"#,
        r#"{"rdma": {"nosuch0": {"hcaHandles": 3}}}"#,
        r#"{"devices": [{"allow": true, "type": "c", "major": 10, "access": "rwm"},
                        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"}]}"#,
    ] {
        let scene = Scene::new();
        let error = scene.cgroup.create(&resources(json)).unwrap_err();
        assert!(scene.is_gone(), "{json}: {error}");
    }
    let scene = Scene::new();
    let error = scene.cgroup.create(&resources(r#"{"rdma": {"nosuch0": {"hcaHandles": 3}}}"#)).unwrap_err();
    // Where the controller is, the kernel does not know the device.
    let known = controllers().iter().any(|c| c == "rdma");
    let text =
        if known { "cannot set rdma limit: " } else { "cannot set rdma limit: container could not join" };
    assert!(error.to_string().starts_with(text), "{error}");
    let error = scene.cgroup.create(&resources(r#"{"cpu": {"quota": 5}}"#)).unwrap_err();
    for part in ["cannot set cpu limit", &scene.path, "\"5", "invalid argument"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn updates_go_up_and_down() {
    let scene = Scene::made(
        r#"{"memory": {"limit": 33554432, "swap": 67108864}, "cpu": {"quota": 500000, "period": 1000000}}"#,
    );
    let recorded = scene.recorded();
    for (limit, both) in
        [(60 << 20, 80 << 20), (30 << 20, 50 << 20), (20 << 20, 20 << 20), (90 << 20, 90 << 20)]
    {
        let json = format!(r#"{{"memory": {{"limit": {limit}, "swap": {both}}}}}"#);
        block(recorded.update(&resources(&json))).unwrap();
        assert_eq!(scene.read("memory", "memory.limit_in_bytes", "memory.max"), limit.to_string());
        if Cgroup::mode() != Mode::V2 {
            assert_eq!(scene.read("memory", "memory.memsw.limit_in_bytes", ""), both.to_string());
        }
    }
    block(recorded.update(&resources(r#"{"memory": {"limit": -1}}"#))).unwrap();
    for (quota, period) in [(10_000, 20_000), (600_000, 900_000), (5_000, 100_000)] {
        let json = format!(r#"{{"cpu": {{"quota": {quota}, "period": {period}}}}}"#);
        block(recorded.update(&resources(&json))).unwrap();
        match Cgroup::mode() {
            Mode::V2 => assert_eq!(scene.read("cpu", "", "cpu.max"), format!("{quota} {period}")),
            _ => assert_eq!(scene.read("cpu", "cpu.cfs_quota_us", ""), quota.to_string()),
        }
    }
    for (limit, text) in [(0, "1"), (12, "12"), (-1, "max")] {
        block(recorded.update(&resources(&format!(r#"{{"pids": {{"limit": {limit}}}}}"#)))).unwrap();
        assert_eq!(scene.read("pids", "pids.max", "pids.max"), text);
    }
}
