//! Class E: the runtime's own executable, which a container reaches as /proc/PID/exe of its first process.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use integration::{Bundle, runtime_binary, stand_in_lacks};
use nix::errno::Errno;
use serde_json::json;

/// What the kernel says to a change of a file that changes nothing. To a write it would say ETXTBSY as long as it runs.
fn change_error(path: &str) -> Option<Errno> {
    let mode = fs::metadata(path).unwrap().permissions();
    let changed = fs::set_permissions(path, mode);
    changed.err().and_then(|error| error.raw_os_error()).map(Errno::from_raw)
}

/// CVE-2019-5736: what runs in the container until `start` can't be changed, and not only while it runs.
#[test]
fn the_waiting_inits_executable_is_read_only() {
    if stand_in_lacks("runc 1.1.5 copies itself") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    let pid = runtime.create(&bundle);
    assert_eq!(change_error(&format!("/proc/{pid}/exe")), Some(Errno::EROFS));
}

/// CVE-2019-5736: a container whose program is /proc/self/exe becomes the runtime, and whoever is with it in the
/// container has its executable.
#[test]
fn a_container_that_becomes_the_runtime_can_not_change_it() {
    if stand_in_lacks("runc 1.1.5 copies itself") {
        return;
    }
    let before = fs::read(runtime_binary()).unwrap();
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/process/args", json!(["/proc/self/exe", "--root", "/tmp/none", "events", "none"]));
    let outcome = runtime.run(&bundle);
    assert_ne!(outcome.code, 0, "{outcome}");
    // As its interpreter, while another process of the container waits to write to it.
    fs::write(bundle.rootfs().join("script"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(bundle.rootfs().join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    bundle.probe(&["sleep"]);
    runtime.start(&bundle);
    let writer = "while :; do for exe in /proc/[0-9]*/exe; do echo written >>$exe; done; done 2>/dev/null";
    runtime.call(&["exec", "--detach", bundle.id(), "/bin/sh", "-c", writer]).ok();
    for _ in 0..10 {
        runtime.call(&["exec", bundle.id(), "/script"]);
        runtime.call(&["exec", bundle.id(), "/proc/self/exe", "list"]);
    }
    assert!(fs::read(runtime_binary()).unwrap() == before, "the runtime's file has changed");
}

/// The file that runs is the host's own, or none that the host's path leads to; never a copy that lies about.
#[test]
fn nothing_is_left_of_a_copy() {
    if stand_in_lacks("runc 1.1.5 copies itself") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    let pid = runtime.create(&bundle);
    let runs = fs::metadata(format!("/proc/{pid}/exe")).unwrap();
    let host = fs::metadata(runtime_binary()).unwrap();
    let in_memory = fs::read_link(format!("/proc/{pid}/exe")).unwrap().to_string_lossy().contains("memfd:");
    assert!(in_memory || (runs.dev(), runs.ino()) == (host.dev(), host.ino()));
}
