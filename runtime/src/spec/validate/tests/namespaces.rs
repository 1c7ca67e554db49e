//! Namespaces, and what only makes sense in one. Tests only.

use serde_json::{Value, json};

use super::{allowed, linux, merge, only, process, refused, spec};
use crate::spec::{sysctl_path, validate};

#[test]
fn host_and_domain_names() {
    refused([
        (
            json!({"hostname": "h", "linux": {"namespaces": [{"type": "mount"}]}}),
            "unable to set hostname without a private UTS namespace",
        ),
        (
            json!({"domainname": "h", "linux": {"namespaces": [{"type": "mount"}]}}),
            "unable to set domainname without a private UTS namespace",
        ),
        (json!({"hostname": "x".repeat(65)}), "hostname: 65 bytes"),
    ]);
    allowed([
        json!({"hostname": "x".repeat(64), "domainname": "d"}),
        json!({"hostname": "", "linux": {"namespaces": [{"type": "mount"}]}}),
    ]);
}

#[test]
fn namespaces_and_their_paths() {
    refused([
        (only(&["mount", "pid", "pid"], json!({})), "malformed spec file: duplicated ns \"pid\""),
        (
            linux(json!({"namespaces": [{"type": "mount"}, {"type": "network", "path": "run/ns"}]})),
            "linux.namespaces[1]: path \"run/ns\" is not absolute",
        ),
    ]);
    allowed([
        only(&["mount"], json!({})),
        linux(json!({"namespaces": [{"type": "mount", "path": ""}, {"type": "network", "path": "/run/ns"}]})),
    ]);
}

#[test]
fn user_namespaces() {
    let map = |inside: u32, outside: u32, size: u32| json!({"containerID": inside, "hostID": outside, "size": size});
    let maps =
        |list: Value| only(&["mount", "user"], json!({"uidMappings": list, "gidMappings": [map(0, 1, 10)]}));
    refused([
        (
            only(&["mount", "user"], json!({})),
            "user namespaces enabled, but no namespace path to join nor mappings to apply specified",
        ),
        (
            linux(json!({"uidMappings": [map(0, 1, 10)]})),
            "user namespace mappings specified, but user namespace isn't enabled",
        ),
        (maps(json!([])), "linux.uidMappings: is missing"),
        (maps(json!([map(0, 1, 0)])), "linux.uidMappings[0]: size is 0"),
        (maps(json!([map(0, 1, 10), map(9, 100, 2)])), "linux.uidMappings[1]: overlaps"),
        (maps(json!([map(0, 1, 10), map(10, 5, 2)])), "linux.uidMappings[1]: overlaps"),
        (maps(json!([map(0, u32::MAX, 1)])), "reaches beyond the last id"),
        (maps(json!([map(u32::MAX, 1, 1)])), "reaches beyond the last id"),
        (maps(json!((0..341).map(|i| map(i, i, 1)).collect::<Vec<_>>())), "341 mappings"),
        (maps(json!([map(1, 1, 10)])), "cannot set uid to unmapped 0 in user namespace"),
    ]);
    let mut unmapped = maps(json!([map(0, 1, 10)]));
    merge(&mut unmapped, process(json!({"user": {"uid": 9, "gid": 10}})));
    refused([(unmapped.clone(), "cannot set gid to unmapped 10 in user namespace")]);
    merge(&mut unmapped, process(json!({"user": {"gid": 9, "additionalGids": [3, 11]}})));
    refused([(unmapped, "cannot set additional group to unmapped 11")]);
    allowed([
        maps(json!([map(0, 1, 10), map(10, 11, 5)])),
        maps(json!([map(0, 0, u32::MAX)])),
        linux(
            json!({"namespaces": [{"type": "mount"}, {"type": "user", "path": "/proc/1/ns/user"}], "uidMappings": [map(5, 5, 1)]}),
        ),
    ]);
}

#[test]
fn clock_offsets() {
    let offsets = json!({"timeOffsets": {"monotonic": {"secs": -5, "nanosecs": 1}}});
    refused([
        (
            linux(offsets.clone()),
            "time namespace offsets specified, but time namespace isn't enabled in the config",
        ),
        (
            linux(
                json!({"namespaces": [{"type": "mount"}, {"type": "time", "path": "/proc/1/ns/time"}], "timeOffsets": {"boottime": {"secs": 1}}}),
            ),
            "both namespace path and time offsets specified",
        ),
        (
            only(&["mount", "time"], json!({"timeOffsets": {"realtime": {"secs": 1}}})),
            "\"realtime\" is no clock",
        ),
        (
            only(&["mount", "time"], json!({"timeOffsets": {"boottime": {"nanosecs": 1_000_000_000}}})),
            "linux.timeOffsets.boottime.nanosecs",
        ),
    ]);
    allowed([only(&["mount", "time"], offsets)]);
}

#[test]
fn network_devices() {
    refused([(
        only(&["mount"], json!({"netDevices": {"eth0": {}}})),
        "unable to move network devices without a NET namespace",
    )]);
    for name in ["", ".", "..", "a/b", "a:b", "a b", "a\tb", "abcdefghijklmnop"] {
        refused([(linux(json!({"netDevices": {name: {}}})), "invalid network device name")]);
        if !name.is_empty() {
            refused([(
                linux(json!({"netDevices": {"eth0": {"name": name}}})),
                "invalid network device name",
            )]);
        }
    }
    allowed([linux(json!({"netDevices": {"eth0": {"name": "eth%d"}, "abcdefghijklmno": {"name": ""}}}))]);
}

#[test]
fn kernel_parameters() {
    let set = |key: &str| linux(json!({"sysctl": {key: "1"}}));
    let without = |key: &str| only(&["mount"], json!({"sysctl": {key: "1"}}));
    allowed(
        [
            "kernel.msgmax",
            "kernel.shm_rmid_forced",
            "kernel/sem",
            "fs.mqueue.msg_max",
            "net.ipv4.ip_forward",
            "net/ipv4/conf/eno2.100/rp_filter",
            "net.ipv4.conf.eno2/100.rp_filter",
            "kernel.domainname",
        ]
        .map(set),
    );
    for (key, expected) in [
        ("kernel.msgmax", "is not allowed in the hosts ipc namespace"),
        ("fs.mqueue.msg_max", "is not allowed in the hosts ipc namespace"),
        ("net.ipv4.ip_forward", "not allowed in host network namespace"),
        ("kernel.domainname", "is not in a separate kernel namespace"),
        ("kernel.hostname", "is not in a separate kernel namespace"),
    ] {
        refused([(without(key), expected)]);
    }
    for key in [
        "kernel.core_pattern",
        "vm.overcommit_memory",
        "net",
        "fs.mqueue",
        "kernel",
        "",
        "kernel.msgmax.x",
        "fs.file-max",
    ] {
        let text = validate(&spec(set(key))).unwrap_err().to_string();
        assert!(text.contains("is not in a separate kernel namespace") || key.is_empty(), "{text}");
    }
    refused([
        (set("kernel.hostname"), "conflicts with the OCI \"hostname\" field"),
        (set("user.max_user_namespaces"), "setting ucounts without a user namespace not allowed"),
    ]);
    // Names that would lead out of what was allowed.
    for key in [
        "net/../kernel/core_pattern",
        "net.//.kernel.core_pattern",
        "net./",
        "net..x",
        "net/",
        "/net/x",
        "net/./x",
        ".net.x",
    ] {
        let error = validate(&spec(set(key))).unwrap_err().to_string();
        assert!(error.contains("in its name"), "{key}: {error}");
    }
}

#[test]
fn kernel_parameters_are_written_where_they_were_checked() {
    for (key, path) in [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eno2.100/rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
        ("net.ipv4.conf.eno2/100.rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
        ("kernel", "kernel"),
    ] {
        assert_eq!(sysctl_path(key).unwrap(), std::path::Path::new(path));
    }
}
