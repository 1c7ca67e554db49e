//! User namespaces: the maps seen from inside, who owns what, and what the new root may and may not do.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use integration::{Bundle, host, runtime_binary, stand_in_lacks};
use serde_json::json;

const FIRST: u32 = 100_000;

fn mapped() -> Bundle {
    let mut bundle = Bundle::new();
    bundle.map_users(FIRST, 65_536);
    bundle
}

#[test]
fn the_maps_are_those_asked_for() {
    let mut bundle = mapped();
    let runtime = bundle.runtime();
    let seen = runtime.see(&bundle);
    assert_eq!(seen["uid_map"], json!([format!("0 {FIRST} 65536")]));
    assert_eq!(seen["gid_map"], json!([format!("0 {FIRST} 65536")]));
    assert_eq!(seen["setgroups"], json!(["allow"]));
    assert_ne!(seen["namespaces"]["user"], json!(host::namespace(1, "user")));
    bundle.set(
        "/linux/uidMappings",
        json!([
            {"containerID": 0, "hostID": FIRST, "size": 1}, {"containerID": 1, "hostID": 5000, "size": 1000}
        ]),
    );
    assert_eq!(runtime.see(&bundle)["uid_map"], json!([format!("0 {FIRST} 1"), "1 5000 1000"]));
}

#[test]
fn who_is_root_inside_is_nobody_outside() {
    let mut bundle = mapped();
    let runtime = bundle.runtime();
    bundle.set("/process/user", json!({"uid": 7, "gid": 8, "additionalGids": [9]})).probe(&["sleep"]);
    let pid = runtime.start(&bundle);
    let about = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = about.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(field("Uid:"), vec![(FIRST + 7).to_string(); 4]);
    assert_eq!(field("Gid:"), vec![(FIRST + 8).to_string(); 4]);
    assert_eq!(field("Groups:"), vec![(FIRST + 9).to_string()]);
    let seen = runtime.exec(bundle.id(), &["see"]).ok().json();
    assert_eq!(
        (&seen["uid"]["real"], &seen["gid"]["real"], &seen["groups"]),
        (&json!(7), &json!(8), &json!([9]))
    );
}

#[test]
fn files_are_owned_by_the_mapped_ids() {
    let mut bundle = mapped();
    let runtime = bundle.runtime();
    fs::write(bundle.rootfs().join("etc/hosts-root"), "").unwrap();
    bundle.set("/process/user", json!({"uid": 33, "gid": 44}));
    bundle.probe(&[
        "see",
        "create=/tmp/mine",
        "stat=/tmp/mine",
        "stat=/etc",
        "stat=/etc/hosts-root",
        "stat=/proc",
    ]);
    let seen = runtime.see(&bundle);
    assert_eq!(seen["create"]["/tmp/mine"], "ok");
    let owner = |path: &str| (seen["stat"][path]["uid"].clone(), seen["stat"][path]["gid"].clone());
    assert_eq!(owner("/tmp/mine"), (json!(33), json!(44)));
    assert_eq!(owner("/etc"), (json!(0), json!(0)));
    // What the map leaves out is the overflow id.
    assert_eq!(owner("/etc/hosts-root"), (json!(65534), json!(65534)));
    let outside = fs::metadata(bundle.rootfs().join("tmp/mine")).unwrap();
    assert_eq!((outside.uid(), outside.gid()), (FIRST + 33, FIRST + 44));
}

/// The namespaces are the new root's, so it may use what they hold.
#[test]
fn the_other_namespaces_belong_to_the_new_root() {
    let mut bundle = mapped();
    let runtime = bundle.runtime();
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})).set("/hostname", json!("mapped"));
    bundle.probe(&["see", "stat=/proc/sys/net", "stat=/dev/pts", "stat=/dev/shm", "statfs=/sys"]);
    let seen = runtime.see(&bundle);
    assert_eq!(seen["hostname"], "mapped");
    assert_eq!(seen["interfaces"]["lo"]["up"], true);
    for path in ["/dev/pts", "/dev/shm"] {
        assert_eq!(seen["stat"][path]["uid"], 0, "{path}");
    }
    // mknod is not for user namespaces: the devices are the host's, bound.
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let device = &seen["dev"][name];
        assert_eq!((&device["type"], &device["mode"]), (&json!("char"), &json!(0o666)), "{name}");
    }
}

#[test]
fn a_bind_source_below_a_private_directory_is_reached() {
    let mut bundle = mapped();
    let runtime = bundle.runtime();
    let private = bundle.make_beside("private");
    let source = private.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "reached").unwrap();
    chown(&source, Some(FIRST), Some(FIRST)).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    bundle.mount("/mnt", "bind", source.to_str().unwrap(), &["rbind", "ro"]);
    bundle.mount("/etc/one", "bind", source.join("file").to_str().unwrap(), &["bind"]);
    bundle.probe(&["see", "file=/mnt/file", "file=/etc/one"]);
    let seen = runtime.see(&bundle);
    assert_eq!(seen["file"], json!({"/mnt/file": "reached", "/etc/one": "reached"}));
}

#[test]
fn an_existing_user_namespace_is_joined() {
    let mut target = mapped();
    let target_runtime = target.runtime();
    target.probe(&["sleep"]);
    let pid = target_runtime.start(&target);

    let mut bundle = mapped();
    let runtime = bundle.runtime();
    bundle.join("user", &format!("/proc/{pid}/ns/user"));
    // containerd and CRI-O pass both the path and the maps.
    for with_maps in [true, false] {
        if !with_maps {
            bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
            if stand_in_lacks("runc 1.1.5 asks for the maps") {
                continue;
            }
        }
        let seen = runtime.see(&bundle);
        assert_eq!(seen["namespaces"]["user"], json!(host::namespace(pid, "user")));
        assert_eq!(seen["uid"]["real"], 0);
        // Other namespaces of the same owner can be joined with it.
        bundle.join("network", &format!("/proc/{pid}/ns/net"));
        let seen = runtime.see(&bundle);
        assert_eq!(seen["namespaces"]["net"], json!(host::namespace(pid, "net")));
    }
}

#[test]
fn maps_that_differ_from_the_joined_namespaces_are_refused() {
    if stand_in_lacks("runc 1.1.5 does not compare them") {
        return;
    }
    let mut target = mapped();
    let target_runtime = target.runtime();
    target.probe(&["sleep"]);
    let pid = target_runtime.start(&target);
    let mut bundle = mapped();
    let runtime = bundle.runtime();
    bundle
        .join("user", &format!("/proc/{pid}/ns/user"))
        .set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 5000, "size": 10}]));
    runtime.run(&bundle).refuses(&["uidMappings"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn maps_that_can_not_be_are_refused() {
    for (maps, what) in [
        (json!([]), "none"),
        (json!([{"containerID": 0, "hostID": FIRST, "size": 0}]), "empty"),
        (json!([{"containerID": 5, "hostID": FIRST, "size": 10}]), "no root"),
        (
            json!([{"containerID": 0, "hostID": FIRST, "size": 10}, {"containerID": 5, "hostID": 5000, "size": 10}]),
            "overlapping",
        ),
        (json!([{"containerID": 0, "hostID": 4_294_967_290_u32, "size": 100}]), "beyond 2^32"),
    ] {
        let mut bundle = mapped();
        let runtime = bundle.runtime();
        bundle.set("/linux/uidMappings", maps);
        let outcome = runtime.run(&bundle);
        assert_eq!(outcome.code, 1, "{what}: {outcome}");
        runtime.leaves_nothing(bundle.id());
    }
}

/// An id that the map leaves out can't be taken.
#[test]
fn a_user_outside_of_the_map_is_refused() {
    let mut bundle = mapped();
    let runtime = bundle.runtime();
    for user in [
        json!({"uid": 70_000, "gid": 0}),
        json!({"uid": 0, "gid": 70_000}),
        json!({"uid": 0, "gid": 0, "additionalGids": [70_000]}),
    ] {
        bundle.set("/process/user", user.clone());
        let outcome = runtime.run(&bundle);
        assert_eq!(outcome.code, 1, "{user}: {outcome}");
        runtime.leaves_nothing(bundle.id());
    }
}

/// A container's init must not be traceable by what shares its user namespace before it has given up the host's
/// descriptors (CVE-2016-9962): its /proc files are the real root's.
#[test]
fn the_waiting_init_is_not_dumpable() {
    let mut bundle = mapped();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    let pid = runtime.create(&bundle);
    assert_eq!(fs::metadata(format!("/proc/{pid}/status")).unwrap().uid(), 0);
}

/// What `spec --rootless` writes runs as it is, for a user who owns nothing but the bundle.
#[test]
fn an_ordinary_user_runs_what_spec_writes() {
    if stand_in_lacks("its own test is bats") {
        return;
    }
    let bundle = Bundle::new();
    bundle.write();
    // The binary and the bundle where that user can reach them.
    let program = bundle.beside("pinnace");
    fs::copy(runtime_binary(), &program).unwrap();
    let path = bundle.path();
    let state = bundle.make_beside("users-state");
    for path in [std::path::Path::new(&path), &state] {
        std::os::unix::fs::lchown(path, Some(4242), Some(4242)).unwrap();
    }
    fs::remove_file(format!("{path}/config.json")).unwrap();
    let as_user = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "4242", "--regid", "4242", "--clear-groups", "--"]).arg(&program);
        command.arg("--root").arg(&state).args(args).stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(as_user(&["spec", "--rootless", "--bundle", &path]), (Some(0), String::new(), String::new()));
    let text = fs::read_to_string(format!("{path}/config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["linux"]["uidMappings"][0]["hostID"], 4242);
    // There is no terminal here, and the rest is as it was written.
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/probe", "see"]);
    config["process"]["oomScoreAdj"] = json!(500);
    fs::write(format!("{path}/config.json"), config.to_string()).unwrap();
    let (code, out, err) = as_user(&["run", "--bundle", &path, bundle.id()]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let seen: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&seen["uid"]["real"], &seen["uid_map"]), (&json!(0), &json!(["0 4242 1"])));
    assert_eq!(seen["oom_score_adj"], 500);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "it is deleted at its end");
}
