//! What may lie where in the file system. Tests only.

use serde_json::{Value, json};

use super::{allowed, linux, merge, only, refused};

#[test]
fn mounts_over_proc() {
    let mount = |destination: &str, typ: &str| json!({"mounts": [{"destination": destination, "type": typ, "source": "/x"}]});
    refused([
        (mount("/proc", "tmpfs"), "mount \"/proc\": cannot be mounted because it is not of type proc"),
        (mount("/proc/sys", "bind"), "mount \"/proc/sys\": cannot be mounted because it is inside /proc"),
        (mount("/proc/self/attr", "tmpfs"), "inside /proc"),
        (mount("/a/../proc/./sys/net/", "bind"), "inside /proc"),
        (mount("proc/1", "bind"), "inside /proc"),
        (mount("/proc/sys", "proc"), "inside /proc"),
        (mount("//proc//cpuinfo/x", "bind"), "inside /proc"),
        (mount("", "tmpfs"), "mount \"\": destination must not be empty"),
    ]);
    allowed([
        mount("/proc", "proc"),
        mount("/proc/", "bind"),
        mount("/proc/cpuinfo", "bind"),
        mount("/proc/../process", "tmpfs"),
        mount("/x/proc/sys", "tmpfs"),
        mount("relative", "tmpfs"),
    ]);
}

#[test]
fn id_mapped_mounts() {
    let mount = |patch: Value| {
        let mut mount = json!({"destination": "/a", "source": "/b", "options": ["rbind"]});
        merge(&mut mount, patch);
        json!({ "mounts": [mount] })
    };
    let map = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    let empty = json!([{"containerID": 0, "hostID": 1, "size": 0}]);
    refused([
        (
            mount(json!({"type": "tmpfs", "options": ["idmap"]})),
            "id-mapped mounts are only supported for bind-mounts",
        ),
        (
            mount(json!({"options": ["bind", "ridmap"]})),
            "id-mapped mounts must have both uid and gid mappings specified",
        ),
        (mount(json!({"uidMappings": map})), "must have both uid and gid mappings specified"),
        (
            mount(json!({"gidMappings": map, "options": ["bind,idmap"]})),
            "must have both uid and gid mappings specified",
        ),
        (mount(json!({"uidMappings": map, "gidMappings": empty})), "mount \"/a\": gidMappings[0]: size is 0"),
    ]);
    let mut in_user_namespace = mount(json!({"options": ["bind", "idmap"]}));
    merge(&mut in_user_namespace, only(&["mount", "user"], json!({"uidMappings": map, "gidMappings": map})));
    allowed([in_user_namespace, mount(json!({"uidMappings": map, "gidMappings": map}))]);
}

#[test]
fn hidden_paths_and_devices() {
    let device = |patch: Value| {
        let mut device = json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 3});
        merge(&mut device, patch);
        linux(json!({ "devices": [device] }))
    };
    refused([
        (linux(json!({"maskedPaths": ["/a", "b"]})), "linux.maskedPaths[1]: \"b\" is not absolute"),
        (linux(json!({"readonlyPaths": [""]})), "linux.readonlyPaths[0]: \"\" is not absolute"),
        (device(json!({"type": "a"})), "linux.devices[0]: invalid device type \"a\""),
        (device(json!({"path": "dev/x"})), "linux.devices[0]: path \"dev/x\" is not absolute"),
        (device(json!({"major": -1})), "major number -1 is out of range"),
        (device(json!({"major": 4096})), "major number 4096 is out of range"),
        (device(json!({"minor": 1_048_576})), "minor number 1048576 is out of range"),
        (device(json!({"uid": u32::MAX})), "uid 4294967295 is not an id"),
    ]);
    allowed([
        device(json!({"major": 4095, "minor": 1_048_575, "type": "u"})),
        device(json!({"type": "p", "major": null, "minor": null})),
    ]);
}
