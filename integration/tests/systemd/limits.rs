//! Limits: what systemd is told, what the kernel holds, and that both stay so.

use integration::skip;
use serde_json::{Value, json};

use super::{file, is_v2, scene, shown, start, systemctl, unit};

/// A limit of config.json, the property with its value, and the file with its value. The controller must be there.
const LIMITS: [(&str, &str, &str, &str, &str, &str); 6] = [
    ("memory", r#"{"limit": 67108864}"#, "MemoryMax", "67108864", "memory.max", "67108864"),
    ("memory", r#"{"reservation": 1048576}"#, "MemoryLow", "1048576", "memory.low", "1048576"),
    ("pids", r#"{"limit": 33}"#, "TasksMax", "33", "pids.max", "33"),
    ("cpu", r#"{"shares": 512}"#, "CPUWeight", "59", "cpu.weight", "59"),
    // systemd has whole percents; the file has what was asked for.
    (
        "cpu",
        r#"{"quota": 12345, "period": 100000}"#,
        "CPUQuotaPerSecUSec",
        "130ms",
        "cpu.max",
        "12345 100000",
    ),
    ("cpuset", r#"{"cpus": "0"}"#, "AllowedCPUs", "0", "cpuset.cpus", "0"),
];

fn has(controller: &str) -> bool {
    let all = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    all.split_whitespace().any(|name| name == controller)
}

#[test]
fn properties_and_files() {
    let Some((mut bundle, runtime)) = scene() else { return };
    if !is_v2() {
        return skip("the properties are those of cgroup v2");
    }
    for (controller, limit, property, value, name, content) in LIMITS {
        if !has(controller) {
            skip(&format!("no controller {controller}"));
            continue;
        }
        let part = if controller == "cpuset" { "cpu" } else { controller };
        let limit: Value = serde_json::from_str(limit).unwrap();
        bundle.set("/linux/resources", json!({part: limit, "devices": [{"allow": false, "access": "rwm"}]}));
        let pid = start(&bundle, &runtime);
        assert_eq!(shown(&unit(&bundle), property), value, "{limit}");
        assert_eq!(file(pid, name).as_deref(), Some(content), "{limit}");
        runtime.call(&["delete", "--force", bundle.id()]).ok();
    }
}

#[test]
fn an_update_outlives_a_reload() {
    let Some((mut bundle, runtime)) = scene() else { return };
    if !is_v2() || !has("memory") || !has("pids") {
        return skip("no cgroup v2 with memory and pids");
    }
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}));
    bundle.set("/linux/resources/pids", json!({"limit": 100}));
    let pid = start(&bundle, &runtime);
    let unit = unit(&bundle);
    runtime.call(&["update", "--memory", "48M", "--pids-limit", "50", bundle.id()]).ok();
    let now = || (file(pid, "memory.max").unwrap(), file(pid, "pids.max").unwrap());
    let expected = ((48 << 20).to_string(), "50".to_owned());
    assert_eq!(now(), expected);
    assert_eq!((shown(&unit, "MemoryMax"), shown(&unit, "TasksMax")), expected);
    systemctl(&["daemon-reload"]);
    // A unit is written anew when something of it changes.
    systemctl(&["set-property", "--runtime", &unit, "CPUWeight=50"]);
    assert_eq!(now(), expected);
    assert_eq!(shown(&unit, "NeedDaemonReload"), "no");
    runtime.call(&["update", "--memory", "-1", "--pids-limit", "-1", bundle.id()]).ok();
    assert_eq!(now(), ("max".to_owned(), "max".to_owned()));
    assert_eq!(shown(&unit, "MemoryMax"), "infinity");
}

/// What is enforced for real: the kernel kills, and systemd does not keep the unit as a failed one.
#[test]
fn more_memory_than_allowed() {
    let Some((mut bundle, runtime)) = scene() else { return };
    if !is_v2() || !has("memory") {
        return skip("no cgroup v2 with memory");
    }
    bundle.set("/linux/resources/memory", json!({"limit": 32 << 20, "swap": 32 << 20}));
    bundle.probe(&["alloc", "128"]);
    bundle.write();
    super::call(&runtime, &["run", "--bundle", &bundle.path(), bundle.id()]).fails(137, &[]);
    super::is_gone(&bundle, &runtime);
}
