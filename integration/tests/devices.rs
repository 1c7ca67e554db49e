//! The container's /dev: the default devices, those asked for, and what the device cgroup lets open.

#![allow(clippy::unwrap_used)]

use std::ffi::CString;
use std::fs;

use integration::{Bundle, host, skip, stand_in_lacks};
use serde_json::{Value, json};

/// runtime-spec, config-linux.md, "Default Devices".
const DEFAULTS: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

fn is_device(entry: &Value, major: u32, minor: u32, mode: u32) -> bool {
    entry["type"] == "char"
        && entry["major"] == major
        && entry["minor"] == minor
        && entry["mode"] == mode
        && entry["uid"] == 0
        && entry["gid"] == 0
}

#[test]
fn the_default_ones_are_there_and_no_others() {
    let bundle = Bundle::new();
    let seen = bundle.runtime().see(&bundle);
    for (name, major, minor) in DEFAULTS {
        assert!(is_device(&seen["dev"][name], major, minor, 0o666), "{name}: {}", seen["dev"][name]);
    }
    for (name, target) in LINKS {
        assert_eq!(seen["dev"][name]["target"], target, "{name}");
    }
    let mut names: Vec<_> = seen["dev"].as_object().unwrap().keys().map(String::as_str).collect();
    names.retain(|name| !DEFAULTS.iter().any(|d| d.0 == *name) && !LINKS.iter().any(|l| l.0 == *name));
    names.sort_unstable();
    // core is where the host has /proc/kcore; console only with a terminal.
    names.retain(|name| *name != "core");
    assert_eq!(names, ["mqueue", "pts", "shm"]);
}

#[test]
fn those_asked_for_are_made() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set(
        "/linux/devices",
        json!([
            {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
            {"path": "/dev/net/tun", "type": "u", "major": 10, "minor": 200, "fileMode": 0o666},
            {"path": "/dev/loop77", "type": "b", "major": 7, "minor": 77, "fileMode": 0o600},
            {"path": "/dev/pipe", "type": "p", "fileMode": 0o622, "uid": 7, "gid": 8},
            {"path": "/deep/place/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o444}
        ]),
    );
    bundle.probe(&["see", "stat=/dev/net/tun", "stat=/deep/place/null"]);
    let seen = runtime.see(&bundle);
    let about =
        |entry: &Value| ["type", "major", "minor", "mode", "uid", "gid"].map(|field| entry[field].clone());
    assert_eq!(
        about(&seen["dev"]["fuse"]),
        [json!("char"), json!(10), json!(229), json!(0o640), json!(5), json!(6)]
    );
    let tun = &seen["stat"]["/dev/net/tun"];
    assert_eq!(about(tun), [json!("char"), json!(10), json!(200), json!(0o666), json!(0), json!(0)]);
    let block = &seen["dev"]["loop77"];
    assert_eq!(about(block), [json!("block"), json!(7), json!(77), json!(0o600), json!(0), json!(0)]);
    let pipe = &seen["dev"]["pipe"];
    assert_eq!((&pipe["type"], &pipe["mode"], &pipe["uid"]), (&json!("fifo"), &json!(0o622), &json!(7)));
    assert!(is_device(&seen["stat"]["/deep/place/null"], 1, 3, 0o444));
}

/// The caller's umask is not the container's.
#[test]
fn modes_are_exact() {
    use std::os::unix::process::CommandExt;
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set(
        "/linux/devices",
        json!([{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]),
    );
    bundle.write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o077);
            Ok(())
        });
    }
    let seen = runtime.finish(command).ok().json();
    for name in ["null", "x"] {
        assert_eq!(seen["dev"][name]["mode"], 0o666, "{name}");
    }
}

/// Without a mount on /dev they are made in the rootfs, where they may be already.
#[test]
fn one_that_is_there_already_is_taken_if_it_is_the_same() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(point);
    }
    // Made by the first run, found by the second.
    for _ in 0..2 {
        let seen = runtime.see(&bundle);
        for (name, major, minor) in DEFAULTS {
            assert!(is_device(&seen["dev"][name], major, minor, 0o666), "{name}: {}", seen["dev"][name]);
        }
    }
    if stand_in_lacks("runc 1.1.5 takes any device of that name") {
        return;
    }
    // Another device under its name.
    let null = bundle.rootfs().join("dev/null");
    fs::remove_file(&null).unwrap();
    let path = CString::new(null.to_str().unwrap()).unwrap();
    // SAFETY: a NUL-terminated path.
    let made = unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 5)) };
    assert_eq!(made, 0);
    runtime.run(&bundle).refuses(&["/dev/null"]);
    runtime.leaves_nothing(bundle.id());
}

/// Standard streams are reopened from the container's /dev/null only if that is the device 1:3 (crun CVE-2026-88265).
#[test]
fn a_false_null_swallows_nothing() {
    if stand_in_lacks("runc 1.1.5 compares numbers that pipes have too") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(point);
    }
    fs::write(bundle.rootfs().join("evil"), "").unwrap();
    std::os::unix::fs::symlink("/evil", bundle.rootfs().join("dev/null")).unwrap();
    bundle.probe(&["say", "through"]);
    let outcome = runtime.run(&bundle);
    assert_eq!(fs::read_to_string(bundle.rootfs().join("evil")).unwrap(), "");
    assert!(outcome.code != 0 || outcome.stdout == "through\n", "{outcome}");
}

#[test]
fn only_what_the_rules_allow_is_opened() {
    if host::controller_mount("devices").is_none() {
        return skip("no cgroup that limits devices");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set(
        "/linux/resources/devices",
        json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"},
            {"allow": true, "type": "b", "major": 7, "access": "m"}
        ]),
    );
    let node = |name: &str, kind: &str, major: i64, minor: i64| json!({"path": format!("/dev/{name}"), "type": kind, "major": major, "minor": minor, "fileMode": 0o666});
    bundle.set(
        "/linux/devices",
        json!([node("mem", "c", 1, 1), node("fuse", "c", 10, 229), node("kmsg", "c", 1, 11)]),
    );
    bundle.probe(&[
        "see",
        "create=/dev/null",
        "create=/dev/zero",
        "create=/dev/mem",
        "create=/dev/kmsg",
        "create=/dev/ptmx",
        "+",
        "mknod",
        "/dev/other",
        "c",
        "1",
        "7",
        "+",
        "mknod",
        "/dev/block",
        "b",
        "7",
        "1",
    ]);
    let outcome = runtime.run(&bundle).ok();
    let (document, rest) = outcome.stdout.split_once('\n').unwrap();
    let seen: Value = serde_json::from_str(document).unwrap();
    // The default devices are allowed whatever the rules say; mknod of any is.
    assert_eq!(
        seen["create"],
        json!({"/dev/null": "ok", "/dev/zero": "ok", "/dev/mem": "EPERM", "/dev/kmsg": "EPERM", "/dev/ptmx": "ok"})
    );
    assert_eq!(rest, "ok\nok\n");
}

#[test]
fn nonsense_is_refused() {
    for device in [
        json!({"path": "/dev/x", "type": "x", "major": 1, "minor": 3}),
        json!({"path": "/dev/x", "type": "p", "major": 1, "minor": 3}),
        json!({"path": "/dev/x", "type": "c", "major": -1, "minor": 3}),
        json!({"path": "", "type": "c", "major": 1, "minor": 3}),
    ] {
        if device["type"] != "x" && stand_in_lacks("runc 1.1.5 makes of it what it can") {
            continue;
        }
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.set("/linux/devices", json!([device.clone()]));
        println!("{device}");
        runtime.run(&bundle).refuses(&["device"]);
        runtime.leaves_nothing(bundle.id());
    }
}
