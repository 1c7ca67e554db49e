//! Device rules and `systemctl daemon-reload`, after which others' containers lose their GPUs.

use std::fs::File;

use integration::{Bundle, Runtime, skip};
use pinnace::sys::bpf::{self, Insn, Reg};
use serde_json::json;

use super::{cgroup_of, is_v2, scene, start, systemctl};

/// Opens the kernel's log for writing, which no rule allows: a node that the container makes itself.
fn may_open(bundle: &Bundle, runtime: &Runtime) -> bool {
    let script = "busybox rm -f /tmp/node; busybox mknod /tmp/node c 1 11 && : >/tmp/node";
    runtime.call(&["exec", bundle.id(), "/bin/sh", "-c", script]).code == 0
}

fn programs(pid: i32) -> Vec<u32> {
    let dir = File::open(format!("/sys/fs/cgroup{}", cgroup_of(pid))).unwrap();
    bpf::device_filters(&dir).unwrap()
}

/// As a hook for GPUs does it: its own program in the place of the runtime's.
#[test]
fn what_a_hook_has_allowed_outlives_a_reload() {
    let Some((bundle, runtime)) = scene() else { return };
    if !is_v2() {
        return skip("cgroup v1 has no programs");
    }
    let pid = start(&bundle, &runtime);
    let before = programs(pid);
    assert_eq!(before.len(), 1, "one program, which is ours: {before:?}");
    assert!(!may_open(&bundle, &runtime));
    systemctl(&["daemon-reload"]);
    assert_eq!(programs(pid), before);
    assert!(!may_open(&bundle, &runtime));

    let dir = File::open(format!("/sys/fs/cgroup{}", cgroup_of(pid))).unwrap();
    let all = bpf::load_device_filter(&[Insn::set(Reg::R0, 1), Insn::exit()]).unwrap();
    let ours = bpf::by_id(before[0]).unwrap();
    bpf::attach_device_filter(&dir, &all, Some(&ours)).unwrap();
    assert!(may_open(&bundle, &runtime));
    let hooked = programs(pid);
    systemctl(&["daemon-reload"]);
    assert_eq!(programs(pid), hooked);
    assert!(may_open(&bundle, &runtime));
    runtime.call(&["update", "--pids-limit", "70", bundle.id()]).ok();
    assert_eq!(programs(pid), hooked, "an update touches no device rules");
}

#[test]
fn a_device_of_config_json_outlives_a_reload() {
    let Some((mut bundle, runtime)) = scene() else { return };
    bundle.push(
        "/linux/resources/devices",
        json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"}),
    );
    start(&bundle, &runtime);
    assert!(may_open(&bundle, &runtime));
    systemctl(&["daemon-reload"]);
    assert!(may_open(&bundle, &runtime));
}
