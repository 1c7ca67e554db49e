//! Fields of config.json that no other test of a container looks at: what each comes to, seen from inside where it shows
//! there, else in the container's cgroups.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::process::Command;

use integration::host::controller_mount;
use integration::{Bundle, Runtime, host_process, runtime_binary, skip, stand_in_lacks};
use serde_json::{Value, json};

/// A limit as the kernel has it: the file of the v1 controller or of v2; none if this host has no such file.
fn limit(runtime: &Runtime, id: &str, controller: &str, v1: &str, v2: &str) -> Option<String> {
    let text = fs::read_to_string(runtime.root().join(id).join("state.json")).unwrap();
    let state: Value = serde_json::from_str(&text).unwrap();
    let paths = &state["cgroup_paths"];
    let (directory, file) = match paths[controller].as_str() {
        Some(directory) => (directory, v1),
        None => (paths[""].as_str()?, v2),
    };
    fs::read_to_string(format!("{directory}/{file}")).ok().map(|text| text.trim().to_owned())
}

fn sleeping() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]);
    let runtime = bundle.runtime();
    (bundle, runtime)
}

#[test]
fn labels_are_refused_where_the_host_has_no_such_module() {
    let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    for (pointer, module, words) in [
        ("/process/apparmorProfile", "apparmor", "apparmor: config provided but apparmor not supported"),
        ("/process/selinuxLabel", "selinux", "selinux label is specified in config, but selinux is disabled"),
        ("/linux/mountLabel", "selinux", "selinux label is specified in config, but selinux is disabled"),
    ] {
        if modules.contains(module) {
            skip(&format!("this host has {module}"));
            continue;
        }
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.set(pointer, json!("some_u:some_r:some_t:s0"));
        runtime.run(&bundle).refuses(&[words]);
        runtime.leaves_nothing(bundle.id());
        bundle.set(pointer, json!(""));
        runtime.run(&bundle).ok();
    }
}

#[test]
fn exec_cpu_affinity_holds_for_an_exec_alone() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).unwrap_or_default().to_owned()
    };
    let Some(second) = allowed(&status).split([',', '-']).nth(1).map(str::to_owned) else {
        return skip("this host has one CPU");
    };
    if stand_in_lacks("runc 1.1.5 does not know it") {
        return;
    }
    let (mut bundle, runtime) = sleeping();
    bundle.set("/process/execCPUAffinity", json!({"initial": second, "final": second}));
    let pid = runtime.start(&bundle);
    assert_ne!(allowed(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap()), second);
    let outcome = runtime.call(&["exec", bundle.id(), "cat", "/proc/self/status"]).ok();
    assert_eq!(allowed(&outcome.stdout), second);
}

#[test]
fn a_memory_policy_is_the_process_s() {
    if stand_in_lacks("runc 1.1.5 does not know it") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle
        .set("/linux/memoryPolicy", json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}))
        .set("/process/args", json!(["cat", "/proc/self/numa_maps"]));
    let outcome = runtime.run(&bundle);
    if outcome.stderr.contains("function not implemented") {
        return skip("this kernel has no NUMA policies");
    }
    assert!(outcome.ok().stdout.contains("interleave:0"));
}

#[test]
fn a_network_device_moves_in_under_its_new_name() {
    if stand_in_lacks("runc 1.1.5 does not know them") {
        return;
    }
    if !host_process::has_program("ip") {
        return skip("needs ip (Debian: iproute2)");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/linux/netDevices", json!({"inside0": {"name": "moved0"}})).write();
    // In a network namespace of the test's own, so that nothing of the host's is touched.
    let script = "ip link add inside0 type veth peer name outside0 || exit 77; \
        ip addr add 192.0.2.7/24 dev inside0; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", script, "sh"]).arg(runtime_binary());
    command.args(runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]).get_args());
    let outcome = runtime.finish(command);
    if outcome.code == 77 {
        return skip("this kernel makes no veth devices");
    }
    let seen = outcome.ok().json();
    let text = seen["interfaces"].to_string();
    assert!(text.contains("moved0") && !text.contains("inside0"), "{text}");
}

#[test]
fn memory_fields_reach_the_kernel() {
    let (mut bundle, runtime) = sleeping();
    bundle.set(
        "/linux/resources/memory",
        json!({"limit": 64 << 20, "reservation": 32 << 20, "swappiness": 10, "disableOOMKiller": true}),
    );
    let pid = runtime.create(&bundle);
    let id = bundle.id();
    let read = |v1, v2| limit(&runtime, id, "memory", v1, v2);
    assert_eq!(read("memory.limit_in_bytes", "memory.max"), Some((64 << 20).to_string()));
    assert_eq!(read("memory.soft_limit_in_bytes", "memory.low"), Some((32 << 20).to_string()));
    // v2 has neither of these.
    if let Some(swappiness) = read("memory.swappiness", "none") {
        assert_eq!(swappiness, "10");
        assert!(read("memory.oom_control", "none").unwrap().contains("oom_kill_disable 1"));
    }
    assert!(host_process::alive(pid));
}

#[test]
fn cpu_fields_reach_the_kernel() {
    let (mut bundle, runtime) = sleeping();
    bundle.set(
        "/linux/resources/cpu",
        json!({"shares": 512, "quota": 50_000, "period": 100_000, "burst": 10_000, "cpus": "0", "mems": "0"}),
    );
    if missing("cpu") || missing("cpuset") {
        return skip("this host offers no cpu or cpuset controller");
    }
    if stand_in_lacks("runc 1.1.5 does not know burst") {
        return;
    }
    runtime.create(&bundle);
    for (controller, v1, v2, expected) in [
        ("cpu", "cpu.cfs_quota_us", "cpu.max", ["50000", "50000 100000"]),
        ("cpu", "cpu.cfs_burst_us", "cpu.max.burst", ["10000", "10000"]),
        // 512 of v1 is 59 of v2 by the quadratic formula.
        ("cpu", "cpu.shares", "cpu.weight", ["512", "59"]),
        ("cpuset", "cpuset.cpus", "cpuset.cpus", ["0", "0"]),
        ("cpuset", "cpuset.mems", "cpuset.mems", ["0", "0"]),
    ] {
        let found = limit(&runtime, bundle.id(), controller, v1, v2).unwrap();
        assert!(expected.contains(&found.as_str()), "{v1} or {v2}: {found}");
    }
}

/// Whether no hierarchy of this host has the controller.
fn missing(controller: &str) -> bool {
    controller_mount(controller).is_none()
}

#[test]
fn block_io_fields_reach_the_kernel() {
    let blocks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let numbers = blocks.filter_map(|block| fs::read_to_string(block.path().join("dev")).ok());
    // Memory disks and the like have no queue to throttle on some kernels.
    let disk = numbers.filter_map(|text| {
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    let Some((major, minor)) = disk.filter(|(major, _)| !matches!(major, 1 | 7 | 11)).min() else {
        return skip("this host has no disk");
    };
    if missing("blkio") && missing("io") {
        return skip("this host offers no blkio controller");
    }
    let (mut bundle, runtime) = sleeping();
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    bundle.set(
        "/linux/resources/blockIO",
        json!({"throttleReadBpsDevice": rate(1 << 20), "throttleWriteIOPSDevice": rate(100)}),
    );
    runtime.create(&bundle);
    let read = |v1| limit(&runtime, bundle.id(), "blkio", v1, "io.max").unwrap();
    let (bytes, operations) =
        (read("blkio.throttle.read_bps_device"), read("blkio.throttle.write_iops_device"));
    let device = format!("{major}:{minor} ");
    assert!(bytes.contains(&format!("{device}1048576")) || bytes.contains("rbps=1048576"), "{bytes}");
    assert!(operations.contains(&format!("{device}100")) || operations.contains("wiops=100"), "{operations}");
}

/// A controller that the host lacks is named; one that it has shows the values.
#[test]
fn network_fields_are_set_or_refused() {
    let (mut bundle, runtime) = sleeping();
    bundle.set("/linux/resources/network", json!({"classID": 0x10_0001}));
    if missing("net_cls") {
        if stand_in_lacks("runc 1.1.5 passes it over") {
            return;
        }
        runtime.create_with(&bundle, &[]).refuses(&["net_cls"]);
        runtime.leaves_nothing(bundle.id());
        return;
    }
    runtime.create(&bundle);
    assert_eq!(limit(&runtime, bundle.id(), "net_cls", "net_cls.classid", ""), Some(0x10_0001.to_string()));
}

#[test]
fn a_seccomp_agent_gets_the_state_and_the_metadata() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let socket = bundle.beside("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    bundle.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": socket,
            "listenerMetadata": "what the agent knows",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
        }),
    );
    bundle.set("/process/args", json!(["sh", "-c", "mkdir /made || exit 7"]));
    let agent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut text = String::new();
        // The descriptor that comes along is closed by a read that does not ask for it: then mkdir fails.
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let outcome = runtime.run(&bundle);
    assert_eq!(outcome.code, 7, "{outcome}");
    let told: Value = serde_json::from_str(&agent.join().unwrap()).unwrap();
    assert_eq!(told["metadata"], "what the agent knows");
    assert_eq!(told["fds"], json!(["seccompFd"]));
    assert_eq!(told["state"]["id"], bundle.id());
    assert!(told["pid"].as_i64().unwrap() > 0);
}
