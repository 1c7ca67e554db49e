//! The eight namespaces, new, shared and joined by path, and what belongs to them: names, interfaces, sysctls, clocks.
//! User namespaces have `users.rs`.

use std::fs;

use integration::host_mounts::HostMounts;
use integration::host_process::Process;
use integration::{Bundle, Runtime, host, stand_in_lacks};
use serde_json::json;

/// Type in config.json and name in /proc/PID/ns, but user and time.
const KINDS: [(&str, &str); 6] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
];

fn ours(name: &str) -> serde_json::Value {
    json!(host::namespace(i32::try_from(std::process::id()).expect("a pid"), name))
}

/// A running container whose namespaces others join.
fn target() -> (Bundle, Runtime, i32) {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]);
    let runtime = bundle.runtime();
    let pid = runtime.start(&bundle);
    (bundle, runtime, pid)
}

#[test]
fn each_is_new_if_listed() {
    let bundle = Bundle::new();
    let seen = bundle.runtime().see(&bundle);
    for (kind, name) in KINDS {
        assert_ne!(seen["namespaces"][name], ours(name), "{kind}");
    }
    assert_eq!(seen["namespaces"]["user"], ours("user"));
    assert_eq!(seen["namespaces"]["time"], ours("time"));
}

#[test]
fn each_is_the_hosts_if_left_out() {
    for (kind, name) in KINDS {
        // Without a mount namespace there is no container.
        if kind == "mount" {
            continue;
        }
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.share(kind);
        match kind {
            "uts" => drop(bundle.remove("/hostname")),
            // A sysfs shows a network namespace; the host's needs no new one.
            "network" => drop(bundle.unmount("/sys")),
            "ipc" => drop(bundle.unmount("/dev/mqueue")),
            _ => {}
        }
        let seen = runtime.see(&bundle);
        for (other, name) in KINDS {
            assert_eq!(
                seen["namespaces"][name] == ours(name),
                other == kind,
                "{other} of a container without {kind}"
            );
        }
        assert_eq!(seen["namespaces"][name], ours(name));
    }
}

#[test]
fn each_is_joined_by_path() {
    let (target, _runtime, pid) = target();
    // A joined mount namespace has to have the root file system: below.
    for (kind, name) in KINDS.into_iter().filter(|(kind, _)| *kind != "mount") {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.join(kind, &format!("/proc/{pid}/ns/{name}"));
        if kind == "uts" {
            bundle.remove("/hostname");
        }
        let seen = runtime.see(&bundle);
        assert_eq!(seen["namespaces"][name], json!(host::namespace(pid, name)), "{kind}");
        if kind == "uts" {
            assert_eq!(seen["hostname"], target.config["hostname"]);
        }
        if kind == "pid" {
            assert!(seen["pid"].as_i64().unwrap() > 1);
        }
    }
}

/// The rootfs is looked up there, and the namespace's root becomes the container's.
#[test]
fn a_mount_namespace_that_has_the_root_file_system_is_joined() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let mut command = std::process::Command::new("/bin/sleep");
    command.arg("600");
    HostMounts::new().apply(&mut command);
    let holder = Process::start(&mut command);
    bundle.join("mount", &format!("/proc/{}/ns/mnt", holder.pid()));
    let seen = runtime.see(&bundle);
    assert_eq!(seen["namespaces"]["mnt"], json!(host::namespace(holder.pid(), "mnt")));
    assert_ne!(seen["namespaces"]["mnt"], ours("mnt"));
    assert_eq!(seen["mounts"][0]["point"], "/");
    assert!(seen["mounts"][0]["root"].as_str().unwrap().ends_with("/rootfs"), "{}", seen["mounts"][0]);
}

/// What a pod is: one container's network, ipc and uts in another's.
#[test]
fn several_are_joined_at_once() {
    let (_target, _runtime, pid) = target();
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        bundle.join(kind, &format!("/proc/{pid}/ns/{name}"));
    }
    bundle.remove("/hostname");
    let seen = runtime.see(&bundle);
    for name in ["net", "ipc", "uts", "pid"] {
        assert_eq!(seen["namespaces"][name], json!(host::namespace(pid, name)));
    }
    assert_ne!(seen["namespaces"]["mnt"], json!(host::namespace(pid, "mnt")));
}

/// The first process of a joined pid namespace is another container's: killing ours must reach ours alone.
#[test]
fn deleting_a_guest_of_a_pid_namespace_spares_the_host() {
    let mut target = Bundle::new();
    // Orphans of the guest are its to reap.
    target.probe(&["reap"]);
    let target_runtime = target.runtime();
    let pid = target_runtime.start(&target);
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.join("pid", &format!("/proc/{pid}/ns/pid")).probe(&["spawn-orphan", "+", "sleep"]);
    runtime.start(&bundle);
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
    assert_eq!(target_runtime.status(target.id()), "running");
}

#[test]
fn a_path_of_another_type_is_refused() {
    let (_target, _runtime, pid) = target();
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let path = format!("/proc/{pid}/ns/ipc");
    bundle.join("network", &path);
    runtime.run(&bundle).refuses(&[&path, "invalid argument"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_new_network_has_a_loopback_that_is_up() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    assert_eq!(runtime.see(&bundle)["interfaces"], json!({"lo": {"up": true}}));
    bundle.share("network").unmount("/sys");
    assert!(runtime.see(&bundle)["interfaces"].as_object().unwrap().len() > 1 || host_has_only_loopback());
}

fn host_has_only_loopback() -> bool {
    fs::read_dir("/sys/class/net").is_ok_and(|entries| entries.count() == 1)
}

#[test]
fn hostname_and_domainname_are_set() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/hostname", json!("ship.example"));
    assert_eq!(runtime.see(&bundle)["hostname"], "ship.example");
    if stand_in_lacks("runc 1.1.5 is of before domainname") {
        return;
    }
    bundle.set("/domainname", json!("harbour"));
    let seen = runtime.see(&bundle);
    assert_eq!((&seen["hostname"], &seen["domainname"]), (&json!("ship.example"), &json!("harbour")));
}

/// It would be the host's name.
#[test]
fn a_hostname_without_a_uts_namespace_is_refused() {
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.share("uts");
    runtime.run(&bundle).refuses(&["hostname", "uts"]);
    runtime.leaves_nothing(bundle.id());
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn sysctls_of_its_own_namespaces_are_set() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let values = json!({
        "net.ipv4.ip_forward": "1", "net.ipv4.ping_group_range": "0 77", "kernel.shmmni": "1234",
        "kernel.msgmax": "9999", "fs.mqueue.msg_max": "21",
    });
    bundle.set("/linux/sysctl", values.clone());
    let requests: Vec<String> =
        values.as_object().unwrap().keys().map(|name| format!("sysctl={name}")).collect();
    bundle.probe(&std::iter::once("see").chain(requests.iter().map(String::as_str)).collect::<Vec<_>>());
    let seen = runtime.see(&bundle);
    for (name, value) in values.as_object().unwrap() {
        let there = seen["sysctl"][name].as_str().unwrap_or_default().trim().replace('\t', " ");
        assert_eq!(there, value.as_str().unwrap(), "{name}");
    }
}

/// Slashes where a name of the network has a dot, as sysctl(8) has it.
#[test]
fn a_sysctl_may_be_named_with_slashes() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle
        .set("/linux/sysctl", json!({"net/ipv4/ip_forward": "1"}))
        .probe(&["see", "sysctl=net.ipv4.ip_forward"]);
    assert_eq!(runtime.see(&bundle)["sysctl"]["net.ipv4.ip_forward"], "1\n");
}

#[test]
fn sysctls_of_the_host_are_refused() {
    for (name, value, shared) in [
        ("kernel.core_pattern", "evil", ""),
        ("vm.overcommit_memory", "1", ""),
        ("fs.file-max", "100000", ""),
        ("kernel.shmmni", "4096", "ipc"),
        ("net.ipv4.ip_forward", "1", "network"),
        ("kernel.domainname", "evil", "uts"),
        ("kernel.hostname", "evil", "uts"),
        ("net.ipv4.../../../kernel.core_pattern", "evil", ""),
        ("kernel.msg/../core_pattern", "evil", ""),
    ] {
        let file = format!("/proc/sys/{}", name.replace('.', "/"));
        let before = fs::read_to_string(&file).ok();
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        if !shared.is_empty() {
            bundle.share(shared);
        }
        if shared == "network" {
            bundle.unmount("/sys");
        }
        if shared == "uts" {
            bundle.remove("/hostname");
        }
        if shared == "ipc" {
            bundle.unmount("/dev/mqueue");
        }
        bundle.set("/linux/sysctl", json!({name: value}));
        let outcome = runtime.run(&bundle);
        assert_ne!(outcome.code, 0, "{name}: {outcome}");
        assert_eq!(fs::read_to_string(&file).ok(), before, "{name} of the host was changed");
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn clocks_are_shifted_in_a_new_time_namespace() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    if stand_in_lacks("runc 1.1.5 is of before time namespaces") {
        return;
    }
    bundle
        .push("/linux/namespaces", json!({"type": "time"}))
        .set("/linux/timeOffsets", json!({
            "monotonic": {"secs": 7_000_000, "nanosecs": 5}, "boottime": {"secs": 1_000_000, "nanosecs": 0}
        }))
        .probe(&["see", "file=/proc/uptime"]);
    let seen = runtime.see(&bundle);
    assert_ne!(seen["namespaces"]["time"], ours("time"));
    assert_eq!(seen["timens_offsets"], json!(["monotonic 7000000 5", "boottime 1000000 0"]));
    let uptime: f64 =
        seen["file"]["/proc/uptime"].as_str().unwrap().split('.').next().unwrap().parse().unwrap();
    assert!(uptime >= 1_000_000.0, "{uptime}");
}

#[test]
fn an_exec_and_a_guest_share_the_clocks() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    if stand_in_lacks("runc 1.1.5 is of before time namespaces") {
        return;
    }
    bundle
        .push("/linux/namespaces", json!({"type": "time"}))
        .set("/linux/timeOffsets", json!({"boottime": {"secs": 1_000_000}}))
        .probe(&["sleep"]);
    let pid = runtime.start(&bundle);
    let seen = runtime.exec(bundle.id(), &["see"]).ok().json();
    assert_eq!(seen["namespaces"]["time"], json!(host::namespace(pid, "time")));

    let mut guest = Bundle::new();
    guest.join("time", &format!("/proc/{pid}/ns/time"));
    let seen = guest.runtime().see(&guest);
    assert_eq!(seen["namespaces"]["time"], json!(host::namespace(pid, "time")));
    assert_eq!(seen["timens_offsets"][1], "boottime 1000000 0");
}

#[test]
fn lists_that_contradict_themselves_are_refused() {
    for (namespaces, word) in [
        (json!([{"type": "mount"}, {"type": "mount"}]), "mount"),
        (json!([{"type": "mount"}, {"type": "nosuch"}]), "nosuch"),
        (json!([{"type": "mount"}, {"type": ""}]), ""),
    ] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.remove("/hostname").set("/linux/namespaces", namespaces);
        runtime.run(&bundle).refuses(&[word]);
        runtime.leaves_nothing(bundle.id());
    }
}
