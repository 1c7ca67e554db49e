//! Scheduling as the kernel sees it afterwards.

use std::fs;
use std::path::Path;

use integration::skip;
use pinnace::init::schedule::{apply, exec_affinity_before_cgroup, exec_affinity_in_cgroup, reset_affinity};
use pinnace::spec::{Linux, Process};
use pinnace::sys::sched;
use serde_json::json;

use super::{Case, status, warnings};

pub const CASES: &[Case] = &[
    ("schedule::everything_that_is_asked_for", everything_that_is_asked_for),
    ("schedule::nothing_of_the_caller_stays", nothing_of_the_caller_stays),
    ("schedule::an_exec_chooses_its_cpus", an_exec_chooses_its_cpus),
];

fn process(value: serde_json::Value) -> Process {
    serde_json::from_value(value).unwrap()
}

fn everything_that_is_asked_for() {
    let process = process(json!({
        "scheduler": { "policy": "SCHED_BATCH", "nice": 7 },
        "ioPriority": { "class": "IOPRIO_CLASS_BE", "priority": 6 },
    }));
    let mut linux: Linux = serde_json::from_value(json!({
        "personality": { "domain": "LINUX32" },
        "memoryPolicy": { "mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] },
    }))
    .unwrap();
    // Kernels without NUMA have no memory policies.
    let numa = Path::new("/proc/self/numa_maps").exists();
    if !numa {
        linux.memory_policy = None;
    }
    apply(&process, &linux).unwrap();
    let attr = sched::attr().unwrap();
    assert_eq!((attr.policy, attr.nice), (3, 7));
    assert_eq!(sched::io_priority().unwrap(), 2 << 13 | 6);
    assert_eq!(fs::read_to_string("/proc/self/personality").unwrap(), "00000008\n");
    if numa {
        let maps = fs::read_to_string("/proc/self/numa_maps").unwrap();
        let policy = maps.lines().next().unwrap().split(' ').nth(1).unwrap();
        assert_eq!(policy, "prefer=static:0");
    } else {
        skip("a kernel without NUMA has no memory policies");
    }
}

/// No address randomization and one CPU are the caller's own business.
fn nothing_of_the_caller_stays() {
    let before = sched::affinity(16).unwrap();
    sched::set_personality(0x004_0000).unwrap();
    sched::set_affinity(&[lowest(&before)]).unwrap();
    if sched::affinity(16).unwrap() == before {
        skip("with one CPU nobody can be kept from the others");
    }
    reset_affinity();
    apply(&Process::default(), &Linux::default()).unwrap();
    let after = sched::affinity(16).unwrap();
    assert!(before.iter().zip(&after).all(|(before, after)| before & !after == 0), "{before:?} {after:?}");
    assert_eq!(fs::read_to_string("/proc/self/personality").unwrap(), "00000000\n");
    assert!(warnings().is_empty());
}

fn lowest(mask: &[u64]) -> u64 {
    let word = mask[0];
    word & word.wrapping_neg()
}

fn an_exec_chooses_its_cpus() {
    let all = status("Cpus_allowed_list");
    if all == ["0"] {
        return skip("with one CPU there is nothing to choose");
    }
    let both = process(json!({ "execCPUAffinity": { "initial": "0", "final": "1" } }));
    exec_affinity_before_cgroup(&both).unwrap();
    assert_eq!(status("Cpus_allowed_list"), ["0"]);
    exec_affinity_in_cgroup(&both).unwrap();
    assert_eq!(status("Cpus_allowed_list"), ["1"]);
    exec_affinity_in_cgroup(&process(json!({ "execCPUAffinity": { "initial": "0" } }))).unwrap();
    assert_eq!(status("Cpus_allowed_list"), ["1"], "without a final one the initial one stays");
    exec_affinity_in_cgroup(&Process::default()).unwrap();
    assert_eq!(status("Cpus_allowed_list"), all);
    let none = process(json!({ "execCPUAffinity": { "final": "60000" } }));
    let error = exec_affinity_in_cgroup(&none).unwrap_err().to_string();
    assert!(
        error.starts_with("error setting final CPU affinity: sched_setaffinity: invalid argument"),
        "{error}"
    );
}
