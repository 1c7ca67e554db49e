//! Containers that manage cgroups themselves, in a cgroup namespace: a user namespace's root, this runtime once more, and
//! systemd. Only cgroup v2 hands cgroups on safely, so these tests ask nothing of other hosts.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use integration::host::{LIMIT, cgroup_mount, eventually};
use integration::{Bundle, Outcome, host_process, runtime_binary, skip};
use serde_json::{Value, json};

/// True where there is v2 alone; else a skip is noted.
#[track_caller]
fn unified() -> bool {
    let alone = cgroup_mount("").is_some_and(|mount| mount == Path::new("/sys/fs/cgroup"));
    if !alone {
        skip("this host has cgroup v1");
    }
    alone
}

/// A bundle whose process may do anything to its own cgroup, and runs a script.
fn free(script: &str) -> Bundle {
    let mut bundle = Bundle::new();
    let all: Vec<Value> = capabilities().map(Value::from).collect();
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), all.clone().into());
    }
    bundle.set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
    bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
    bundle.set("/process/args", json!(["/bin/sh", "-ec", script]));
    bundle
}

fn capabilities() -> impl Iterator<Item = String> {
    let words = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_ADMIN \
        NET_RAW IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE MKNOD AUDIT_WRITE \
        SETFCAP";
    words.split_whitespace().map(|word| format!("CAP_{word}"))
}

/// Delegation: root of a user namespace divides its cgroup, and can't lift the limits of it.
#[test]
fn root_of_a_user_namespace_divides_its_cgroup() {
    if !unified() {
        return;
    }
    let mut bundle = free(
        "cd /sys/fs/cgroup; mkdir own below; echo 0 > own/cgroup.procs
         echo '+memory +pids' > cgroup.subtree_control
         echo 7 > below/pids.max; cat below/pids.max
         for file in pids.max memory.max cgroup.max.depth; do
           if echo max 2>/dev/null > $file; then echo $file is open; fi
         done; cat pids.max",
    );
    bundle.map_users(100_000, 65_536).set("/linux/resources/pids", json!({"limit": 20}));
    let outcome = bundle.runtime().run(&bundle).ok();
    assert_eq!(outcome.stdout, "7\n20\n", "{outcome}");
}

/// A container of this runtime, whose process runs this runtime with a bundle of its own.
fn inside(before: &str, limit: &Value) -> Outcome {
    let mut inner = Bundle::new();
    inner.set("/linux/cgroupsPath", json!("/inner")).set("/linux/resources/memory", limit.clone());
    inner.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "ro"]);
    inner.set("/process/args", json!(["/bin/cat", "/sys/fs/cgroup/memory.max", "/proc/self/cgroup"]));
    inner.write();
    let script = format!(
        "{before}; code=0; /runtime --root /tmp/state run --bundle {} inner || code=$?
         ls -d /sys/fs/cgroup/inner /tmp/state/inner 2>/dev/null || true; exit $code",
        inner.path()
    );
    let mut outer = free(&script);
    let directory = inner.directory().to_str().unwrap().to_owned();
    outer.mount(&directory, "bind", &directory, &["rbind", "rw"]);
    let runtime = runtime_binary();
    outer.mount("/runtime", "bind", runtime.to_str().unwrap(), &["bind", "ro"]);
    outer.runtime().run(&outer)
}

#[test]
fn this_runtime_in_a_container_of_its_own() {
    if !unified() {
        return;
    }
    let limit = json!({"limit": 64 << 20});
    let moved = "cd /sys/fs/cgroup; mkdir own; echo 0 > own/cgroup.procs";
    let outcome = inside(moved, &limit).ok();
    assert_eq!(outcome.stdout, format!("{}\n0::/\n", 64 << 20), "{outcome}");
    // Who stays in the cgroup keeps it from handing the memory controller on.
    let outcome = inside("true", &limit).fails(1, &["with domain controllers"]);
    assert_eq!((outcome.lines().len(), outcome.stdout.as_str()), (1, ""), "{outcome}");
    let outcome = inside("true", &json!({})).fails(1, &["memory.max"]);
    assert_eq!(outcome.stdout, "0::/\n", "without a limit it runs: {outcome}");
}

/// systemd as the first process moves itself away and hands controllers on; what comes later goes where it is.
#[test]
fn systemd_is_the_first_process() {
    const SYSTEMD: &str = "/usr/lib/systemd/systemd";
    if !unified() {
        return;
    }
    if !Path::new(SYSTEMD).exists() {
        return skip("this host has no systemd");
    }
    let mut bundle = free("");
    bundle.set("/process/args", json!([SYSTEMD, "--unit=ready.service", "--show-status=no"]));
    bundle.set("/process/env", json!(["PATH=/usr/bin:/bin", "container=oci"]));
    bundle.mount("/usr", "bind", "/usr", &["rbind", "ro"]);
    for directory in ["/run", "/tmp"] {
        bundle.mount(directory, "tmpfs", "tmpfs", &["nosuid", "nodev"]);
    }
    let root = bundle.rootfs();
    symlink("usr/lib", root.join("lib")).unwrap();
    symlink("usr/lib64", root.join("lib64")).unwrap();
    let units = root.join("etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    fs::write(root.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let service = "[Unit]\nDefaultDependencies=no\n[Service]\nStandardOutput=file:/ready\nMemoryMax=64M\n\
        ExecStart=/bin/sh -c 'echo ready; exec sleep 600'\n";
    fs::write(units.join("ready.service"), service).unwrap();
    let runtime = bundle.runtime();
    let pid = runtime.start(&bundle);
    let ready = || fs::read_to_string(root.join("ready")).is_ok_and(|text| text == "ready\n").then_some(());
    assert!(eventually(LIMIT, ready).is_some(), "systemd starts no service");

    let own = format!("0::/{}", bundle.id());
    let of = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap().trim().to_owned();
    assert_eq!(of(pid), format!("{own}/init.scope"));
    let limit = format!("/sys/fs/cgroup/{}/system.slice/ready.service/memory.max", bundle.id());
    assert_eq!(fs::read_to_string(limit).unwrap().trim(), (64 << 20).to_string());
    // Its own cgroup is shut, and exec goes where init is.
    let file = bundle.beside("pid");
    let words = ["exec", "-d", "--pid-file", file.to_str().unwrap(), bundle.id(), "/probe", "sleep"];
    runtime.call(&words).ok();
    let exec: i32 = fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(of(exec), format!("{own}/init.scope"));
    // All of it stands still, is counted, and goes.
    runtime.call(&["pause", bundle.id()]).ok();
    assert_eq!(runtime.status(bundle.id()), "paused");
    runtime.call(&["resume", bundle.id()]).ok();
    let stats = runtime.call(&["events", "--stats", bundle.id()]).ok().json();
    assert!(stats["data"]["pids"]["current"].as_u64().unwrap() >= 3, "{stats}");
    // A zombie that nobody here has reaped would make systemd wait for it.
    assert!(host_process::send(exec, libc::SIGKILL));
    let reaped = eventually(LIMIT, || {
        host_process::reap_orphans();
        (!Path::new(&format!("/proc/{exec}")).exists()).then_some(())
    });
    assert!(reaped.is_some(), "the process of the exec stays");
    // "Immediately halts the machine" (man 1 systemd); a halt in order would take as long as its slowest service.
    runtime.call(&["kill", bundle.id(), "RTMIN+13"]).ok();
    let ended = host_process::ends_within(pid, LIMIT);
    assert!(ended, "systemd does not end on SIGRTMIN+13");
    runtime.call(&["delete", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
}
