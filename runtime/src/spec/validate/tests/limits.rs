//! Limits and classes. Tests only.

use serde_json::{Value, json};

use super::{allowed, linux, refused};

#[test]
fn limits() {
    let limit = |patch: Value| linux(json!({ "resources": patch }));
    refused([
        (limit(json!({"memory": {"limit": -2}})), "linux.resources.memory.limit: -2 is no size"),
        (
            limit(json!({"cpu": {"quota": 100, "burst": 101}})),
            "linux.resources.cpu.burst: 101 is above the quota 100",
        ),
        (limit(json!({"cpu": {"idle": 2}})), "linux.resources.cpu.idle: 2"),
        (limit(json!({"cpu": {"cpus": "0-1\n2"}})), "linux.resources.cpu.cpus"),
        (
            limit(json!({"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}})),
            "weightDevice[0]: has neither",
        ),
        (
            limit(json!({"blockIO": {"throttleReadIOPSDevice": [{"major": -8, "minor": 0, "rate": 1}]}})),
            "throttleReadIOPSDevice[0]: -8:0 is no device number",
        ),
        (limit(json!({"rdma": {"a b": {"hcaHandles": 1}}})), "is no device name"),
        (limit(json!({"rdma": {"mlx5": {}}})), "has neither hcaHandles nor hcaObjects"),
        (
            limit(json!({"network": {"priorities": [{"name": "a\nb", "priority": 1}]}})),
            "is no interface name",
        ),
    ]);
    for size in ["", "KB", "2mb", "2M", "../2MB", "2MB/x", "-2MB", "2KBMB"] {
        refused([(limit(json!({"hugepageLimits": [{"pageSize": size, "limit": 1}]})), "is not of the form")]);
    }
    allowed([
        limit(
            json!({"memory": {"limit": -1, "swap": -1}, "cpu": {"quota": -1, "burst": 5, "cpus": "0-3, 7", "mems": ""}}),
        ),
        limit(json!({"hugepageLimits": [{"pageSize": "64KB", "limit": 1}, {"pageSize": "1GB", "limit": 0}]})),
        limit(json!({"pids": {}, "devices": [{"allow": false, "access": "rwm"}]})),
    ]);
}

#[test]
fn listeners_and_resctrl() {
    refused([
        (
            linux(json!({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}})),
            "linux.seccomp.listenerMetadata",
        ),
        (linux(json!({"intelRdt": {"closID": "a/b"}})), "invalid intelRdt.ClosID \"a/b\""),
        (linux(json!({"intelRdt": {"closID": ".."}})), "invalid intelRdt.ClosID"),
        (linux(json!({"intelRdt": {"memBwSchema": "L3:0=f"}})), "linux.intelRdt.memBwSchema"),
        (linux(json!({"intelRdt": {"schemata": ["a", "b\nc"]}})), "linux.intelRdt.schemata[1]"),
    ]);
    allowed([
        linux(json!({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x"}})),
        linux(json!({"intelRdt": {"closID": "/", "memBwSchema": "MB:0=50"}})),
    ]);
}
