//! The kernel's own file systems in a container: proc, sysfs, devpts, mqueue, shm and cgroup.

#![allow(clippy::unwrap_used)]

use integration::host::cgroup_mount;
use integration::{Bundle, skip, stand_in_lacks};
use serde_json::{Value, json};

fn mount<'a>(seen: &'a Value, point: &str) -> &'a Value {
    let found = seen["mounts"].as_array().unwrap().iter().rfind(|mount| mount["point"] == point);
    found.unwrap_or_else(|| panic!("no mount on {point} in {}", seen["mounts"]))
}

#[test]
fn each_is_of_its_type_and_has_its_options() {
    let bundle = Bundle::new();
    let seen = bundle.runtime().see(&bundle);
    for (point, kind, options) in [
        ("/proc", "proc", ["rw", "nosuid", "nodev", "noexec"].as_slice()),
        ("/dev", "tmpfs", &["rw", "nosuid"]),
        ("/dev/pts", "devpts", &["rw", "nosuid", "noexec"]),
        ("/dev/shm", "tmpfs", &["rw", "nosuid", "nodev", "noexec"]),
        ("/dev/mqueue", "mqueue", &["rw", "nosuid", "nodev", "noexec"]),
        ("/sys", "sysfs", &["ro", "nosuid", "nodev", "noexec"]),
    ] {
        let mount = mount(&seen, point);
        assert_eq!(mount["type"], kind, "{point}");
        for option in options {
            assert!(mount["options"].as_array().unwrap().contains(&json!(option)), "no {option} in {mount}");
        }
    }
    let devpts = mount(&seen, "/dev/pts")["super"].as_array().unwrap();
    for option in ["gid=5", "mode=620", "ptmxmode=666"] {
        assert!(devpts.contains(&json!(option)), "no {option} in {devpts:?}");
    }
}

#[test]
fn proc_shows_the_new_pid_namespace() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["see", "file=/proc/1/comm", "list=/proc"]);
    let seen = runtime.see(&bundle);
    assert_eq!(seen["file"]["/proc/1/comm"], "probe\n");
    let pids =
        seen["list"]["/proc"].as_object().unwrap().keys().filter(|name| name.parse::<u32>().is_ok()).count();
    assert_eq!(pids, 1);
}

#[test]
fn sysfs_is_read_only_and_of_the_new_network() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["see", "list=/sys/class/net", "create=/sys/new", "mkdir=/sys/fs/cgroup/new"]);
    let seen = runtime.see(&bundle);
    assert_eq!(seen["list"]["/sys/class/net"].as_object().unwrap().keys().collect::<Vec<_>>(), ["lo"]);
    assert_eq!(seen["create"]["/sys/new"], "EROFS");
}

#[test]
fn terminals_queues_and_shared_memory_work() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&[
        "see",
        "create=/dev/ptmx",
        "create=/dev/mqueue/queue",
        "create=/dev/shm/memory",
        "list=/dev/pts",
        "statfs=/dev/shm",
    ]);
    let seen = runtime.see(&bundle);
    for (path, result) in seen["create"].as_object().unwrap() {
        assert_eq!(result, "ok", "{path}");
    }
    // A new instance has no terminals of others.
    assert_eq!(seen["list"]["/dev/pts"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ptmx"]);
    let shm = &seen["statfs"]["/dev/shm"];
    assert_eq!(shm["blocks"].as_u64().unwrap() * shm["block_size"].as_u64().unwrap(), 65536 << 10);
    assert_eq!(seen["dev"]["shm"]["mode"], 0o1777);
}

/// v1: a tmpfs with a mount for each hierarchy that shows the container's own cgroup as its root.
#[test]
fn cgroups_are_the_containers_own() {
    if cgroup_mount("memory").is_none() {
        return skip("no cgroup v1 hierarchies");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let name = bundle.id().to_owned();
    for (namespaced, mode) in [(true, "ro"), (true, "rw"), (false, "ro"), (false, "rw")] {
        bundle.unmount("/sys/fs/cgroup");
        bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", mode]);
        bundle.share("cgroup");
        if namespaced {
            bundle.push("/linux/namespaces", json!({"type": "cgroup"}));
        }
        bundle.probe(&[
            "see",
            "file=/sys/fs/cgroup/memory/cgroup.procs",
            "file=/sys/fs/cgroup/pids/cgroup.procs",
            "mkdir=/sys/fs/cgroup/memory/below",
            "create=/sys/fs/cgroup/new",
            "list=/sys/fs/cgroup",
        ]);
        let seen = runtime.see(&bundle);
        let case = format!("cgroup namespace {namespaced}, {mode}");
        for controller in ["memory", "pids", "cpu", "cpuset", "devices", "freezer", "blkio", "systemd"] {
            let mount = mount(&seen, &format!("/sys/fs/cgroup/{controller}"));
            assert_eq!(mount["type"], "cgroup", "{case}");
            // In /proc/self/mountinfo of a cgroup namespace its root is "/".
            let root = if namespaced { "/".to_owned() } else { format!("/{name}") };
            assert_eq!(mount["root"], root, "{case}: {controller}");
            for option in ["nosuid", "nodev", "noexec", mode] {
                assert!(mount["options"].as_array().unwrap().contains(&json!(option)), "{case}: {mount}");
            }
        }
        for (path, text) in seen["file"].as_object().unwrap() {
            assert_eq!(text, "1\n", "{case}: {path}");
        }
        let expected = if mode == "ro" { "EROFS" } else { "ok" };
        assert_eq!(seen["mkdir"]["/sys/fs/cgroup/memory/below"], expected, "{case}");
        let open = seen["create"]["/sys/fs/cgroup/new"] == "ok";
        if mode == "ro" && !(open && stand_in_lacks("runc 1.1.5 leaves the tmpfs writable")) {
            assert_eq!(seen["create"]["/sys/fs/cgroup/new"], "EROFS", "{case}");
        }
        runtime.leaves_nothing(bundle.id());
    }
}

/// CVE-2023-25809: a container of a user namespace must not write to the host's cgroups.
#[test]
fn cgroups_are_not_writable_from_a_user_namespace() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.map_users(100_000, 65_536);
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "ro"]);
    for namespaced in [true, false] {
        if !namespaced {
            bundle.share("cgroup");
        }
        let mut words = vec!["see".to_owned(), "mkdir=/sys/fs/cgroup/below".to_owned()];
        let v1 = ["memory", "pids"].into_iter().filter(|name| cgroup_mount(name).is_some());
        words.extend(v1.map(|name| format!("mkdir=/sys/fs/cgroup/{name}/below")));
        bundle.probe(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let outcome = runtime.run(&bundle);
        if outcome.code != 0 && stand_in_lacks("runc 1.1.5 fails") {
            return;
        }
        for (path, result) in outcome.ok().json()["mkdir"].as_object().unwrap() {
            assert_eq!(result, "EROFS", "{path}, cgroup namespace {namespaced}");
        }
    }
}
