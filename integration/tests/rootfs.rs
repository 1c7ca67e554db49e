//! The container's root: that it is the only one, how it is entered, read-only roots, masked and read-only paths.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;

use integration::host_mounts::HostMounts;
use integration::{Bundle, host_leaks, stand_in_lacks};
use serde_json::{Value, json};

fn mount<'a>(seen: &'a Value, point: &str) -> Option<&'a Value> {
    seen["mounts"].as_array().unwrap().iter().rfind(|mount| mount["point"] == point)
}

fn propagation(seen: &Value) -> Vec<String> {
    let fields = mount(seen, "/").unwrap()["propagation"].as_array().unwrap();
    fields.iter().map(|field| field.as_str().unwrap().split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn only_the_containers_mounts_are_there() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.remove("/linux/maskedPaths").remove("/linux/readonlyPaths");
    for more in [&[][..], &["--no-pivot"]] {
        bundle.probe(&["see", "list=/", "list=/.."]);
        let seen = runtime.run_with(&bundle, more).ok().json();
        let mut names: Vec<_> = seen["list"]["/"].as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["bin", "dev", "etc", "home", "mnt", "probe", "proc", "root", "sys", "tmp"]);
        assert_eq!(seen["list"]["/"], seen["list"]["/.."]);
        if more.is_empty() {
            let mut points: Vec<_> =
                seen["mounts"].as_array().unwrap().iter().map(|m| m["point"].as_str().unwrap()).collect();
            points.sort_unstable();
            assert_eq!(points, ["/", "/dev", "/dev/mqueue", "/dev/pts", "/dev/shm", "/proc", "/sys"]);
        }
    }
}

#[test]
fn the_root_may_be_anywhere() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let elsewhere = bundle.beside("elsewhere");
    fs::rename(bundle.rootfs(), &elsewhere).unwrap();
    for path in [elsewhere.to_str().unwrap(), "../elsewhere", "./../elsewhere/"] {
        bundle.set("/root/path", json!(path)).probe(&["say", "here"]);
        assert_eq!(runtime.run(&bundle).ok().stdout, "here\n");
    }
}

#[test]
fn a_read_only_root_leaves_the_mounts_on_it_writable() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let source = bundle.make_beside("source").display().to_string();
    bundle.set("/root/readonly", json!(true)).mount("/mnt", "bind", &source, &["rbind"]);
    for more in [&[][..], &["--no-pivot"]] {
        bundle.probe(&["see", "create=/new", "create=/tmp/new", "create=/mnt/new", "create=/dev/shm/new"]);
        let seen = runtime.run_with(&bundle, more).ok().json();
        assert_eq!(
            seen["create"],
            json!({"/new": "EROFS", "/tmp/new": "EROFS", "/mnt/new": "ok", "/dev/shm/new": "ok"})
        );
        assert_eq!(mount(&seen, "/").unwrap()["options"][0], "ro");
    }
    // The host's file system is as it was.
    fs::write(bundle.rootfs().join("tmp/new"), "").unwrap();
}

#[test]
fn the_roots_propagation_is_the_one_asked_for() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let rootfs = bundle.rootfs().display().to_string();
    let host = || HostMounts::new().bind(&rootfs, &rootfs).change(&rootfs, libc::MS_SHARED);
    for (word, expected) in [
        (json!(null), vec!["master"]),
        (json!("private"), vec![]),
        (json!("rprivate"), vec![]),
        (json!("slave"), vec!["master"]),
        (json!("rslave"), vec!["master"]),
        (json!("shared"), vec!["shared", "master"]),
        (json!("rshared"), vec!["shared", "master"]),
        (json!("unbindable"), vec!["unbindable"]),
        (json!("runbindable"), vec!["unbindable"]),
    ] {
        let late = word.as_str().is_some_and(|word| word.ends_with("shared") || word.ends_with("unbindable"));
        if late && stand_in_lacks("runc before 1.4 can't make it") {
            continue;
        }
        bundle.set("/linux/rootfsPropagation", word.clone());
        let seen = runtime.run_among(&bundle, host()).ok().json();
        let shown = propagation(&seen);
        // Whether a root is a slave of nobody or private is the same to everybody.
        let of_nobody =
            |fields: &[String]| fields.iter().filter(|f| *f != "master").cloned().collect::<Vec<_>>();
        let expected: Vec<_> = expected.into_iter().filter(|f| *f != "master").map(str::to_owned).collect();
        assert_eq!(of_nobody(&shown), expected, "{word}");
        if word == "private" || word == "rprivate" {
            assert_eq!(shown, [""; 0], "{word}");
        }
    }
    bundle.set("/linux/rootfsPropagation", json!("nosuch"));
    runtime.run(&bundle).refuses(&["rootfsPropagation", "nosuch"]);
}

#[test]
fn the_hosts_mount_table_never_changes() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    let ours =
        |name: &str| host_leaks::mounts().into_iter().filter(|line| line.contains(name)).collect::<Vec<_>>();
    assert_eq!(ours(bundle.id()), [""; 0]);
    runtime.create(&bundle);
    assert_eq!(ours(bundle.id()), [""; 0]);
    runtime.call(&["start", bundle.id()]).ok();
    runtime.exec(bundle.id(), &["exit", "0"]).ok();
    assert_eq!(ours(bundle.id()), [""; 0]);
}

#[test]
fn masked_paths_are_empty_and_stay_so() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let secret = bundle.rootfs().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "secret").unwrap();
    fs::write(bundle.rootfs().join("etc/key"), "secret").unwrap();
    bundle.set(
        "/linux/maskedPaths",
        json!(["/secret", "/etc/key", "/no/such/path", "/proc/kcore", "/proc/keys", "/secret"]),
    );
    bundle.probe(&[
        "see",
        "list=/secret",
        "file=/etc/key",
        "file=/proc/keys",
        "create=/secret/new",
        "stat=/etc/key",
    ]);
    let seen = runtime.see(&bundle);
    assert_eq!(seen["list"]["/secret"], json!({}));
    for path in ["/etc/key", "/proc/keys"] {
        assert_eq!(seen["file"][path], "", "{path}");
    }
    assert_eq!(seen["create"]["/secret/new"], "EROFS");
    assert_eq!(mount(&seen, "/secret").unwrap()["options"][0], "ro");
    assert_eq!(fs::read_to_string(secret.join("key")).unwrap(), "secret");
    assert!(!bundle.rootfs().join("no").exists());
}

#[test]
fn read_only_paths_are_read_only_and_keep_their_flags() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    fs::create_dir(bundle.rootfs().join("kept")).unwrap();
    fs::write(bundle.rootfs().join("kept/file"), "text").unwrap();
    bundle.set(
        "/linux/readonlyPaths",
        json!(["/kept", "/etc/passwd", "/proc/sys", "/no/such/path", "/proc/bus"]),
    );
    bundle.probe(&[
        "see",
        "create=/kept/new",
        "create=/kept/file",
        "create=/etc/passwd",
        "create=/etc/new",
        "file=/kept/file",
        "create=/proc/sys/kernel/hostname",
    ]);
    let seen = runtime.see(&bundle);
    assert_eq!(
        seen["create"],
        json!({
            "/kept/new": "EROFS", "/kept/file": "EROFS", "/etc/passwd": "EROFS", "/etc/new": "ok",
            "/proc/sys/kernel/hostname": "EROFS"
        })
    );
    assert_eq!(seen["file"]["/kept/file"], "text");
    let options = &mount(&seen, "/proc/sys").unwrap()["options"];
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(options.as_array().unwrap().contains(&json!(option)), "no {option} in {options}");
    }
}

/// CVE-2025-31133: a mask made of the container's own /dev/null is whatever the container put there.
#[test]
fn a_mask_is_not_taken_from_the_containers_dev() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let dev = bundle.make_beside("dev");
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(point);
    }
    symlink("/proc/sys/kernel/core_pattern", dev.join("null")).unwrap();
    bundle.mount("/dev", "bind", dev.to_str().unwrap(), &["rbind"]);
    bundle.set("/linux/maskedPaths", json!(["/proc/keys"])).set("/linux/readonlyPaths", json!([]));
    bundle.probe(&["see", "file=/proc/keys"]);
    let outcome = runtime.run(&bundle);
    if outcome.code == 0 {
        let seen = outcome.json();
        let over = mount(&seen, "/proc/keys").expect("a mask")["root"].as_str().unwrap();
        if over.contains("core_pattern") && stand_in_lacks("runc 1.1.5 mounts what the link says") {
            return;
        }
        assert_eq!(seen["file"]["/proc/keys"], "");
        assert!(!over.contains("core_pattern"), "{over}");
    }
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_container_without_any_mount_runs() {
    if stand_in_lacks("runc 1.1.5 needs the container's /proc") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/mounts", json!([])).probe(&["see", "list=/proc", "list=/dev"]);
    bundle.remove("/linux/maskedPaths").remove("/linux/readonlyPaths");
    let seen = runtime.see(&bundle);
    assert_eq!(seen["list"]["/proc"], json!({}));
    assert_eq!(seen["uid"]["real"], 0);
    assert_eq!(seen["capabilities"]["effective"].as_array().unwrap().len(), 14);
}
