//! Class C: what the runtime takes from the container must be what it looks like, also while somebody changes it.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use integration::{Bundle, stand_in_lacks};
use serde_json::json;

use crate::race::{Racer, race};

fn node(path: &Path, kind: libc::mode_t, device: u64) {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: a NUL-terminated path.
    assert_eq!(unsafe { libc::mknod(path.as_ptr(), kind | 0o600, device) }, 0);
}

/// A device of config.json lies in a directory that others share: the mode that it is to have must not fall on what
/// they put in its place.
#[test]
fn a_device_that_is_swapped_for_a_link_leaves_the_hosts_file_alone() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let shared = bundle.make_beside("shared");
    let victim = bundle.beside("victim");
    fs::write(&victim, "").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    node(&shared.join("zero"), libc::S_IFCHR, libc::makedev(1, 5));
    symlink(&victim, shared.join("link")).unwrap();
    bundle.mount("/mnt", "bind", shared.to_str().unwrap(), &["rbind"]);
    bundle.set(
        "/linux/devices",
        json!([{"path": "/mnt/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o777, "uid": 7}]),
    );
    bundle.probe(&["exit", "0"]);
    let racer = Racer::exchange(&shared.join("zero"), &shared.join("link"));
    race(&runtime, &mut bundle, |_, _| {});
    drop(racer);
    assert_eq!(fs::metadata(&victim).unwrap().permissions().mode() & 0o7777, 0o600);
}

/// crun CVE-2026-88265: standard streams that are the null device are opened again from the container's /dev, which
/// may change between the look and the open.
#[test]
fn a_null_device_that_is_swapped_is_not_opened() {
    if stand_in_lacks("runc 1.1.5 looks first and opens then") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(point);
    }
    let dev = bundle.make_beside("dev");
    for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] {
        node(&dev.join(name), libc::S_IFCHR, libc::makedev(1, minor));
    }
    node(&dev.join("tty"), libc::S_IFCHR, libc::makedev(5, 0));
    fs::write(dev.join("evil"), "evil").unwrap();
    bundle.mount("/dev", "bind", dev.to_str().unwrap(), &["rbind"]);
    // Its standard input is the null device.
    bundle.probe(&["echo"]);
    let racer = Racer::exchange(&dev.join("null"), &dev.join("evil"));
    race(&runtime, &mut bundle, |_, outcome| {
        assert!(outcome.code != 0 || outcome.stdout.is_empty(), "{outcome}");
    });
    drop(racer);
}

/// CVE-2025-52565, CVE-2025-31133: a terminal's name leads to a terminal of somebody else.
#[test]
fn a_terminal_of_the_host_is_not_taken_for_the_containers() {
    if stand_in_lacks("runc 1.1.5 goes by the name") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(point);
    }
    let dev = bundle.make_beside("dev");
    fs::create_dir(dev.join("pts")).unwrap();
    // Every name that the new terminal could have is one of the host's, which the test keeps open.
    let host = nix::pty::openpty(None, None).unwrap();
    let name = nix::unistd::ttyname(&host.slave).unwrap();
    for number in 0..12 {
        symlink(&name, dev.join("pts").join(number.to_string())).unwrap();
    }
    symlink("/dev/ptmx", dev.join("pts/ptmx")).unwrap();
    bundle.mount("/dev", "bind", dev.to_str().unwrap(), &["rbind"]);
    bundle.set("/process/terminal", json!(true)).probe(&["sleep"]);
    let socket = integration::host_terminal::FdSocket::new(&bundle.beside("console"));
    let outcome = runtime.create_with(&bundle, &["--console-socket", socket.path()]);
    outcome.refuses(&["/dev/pts"]);
    runtime.leaves_nothing(bundle.id());
}

/// CVE-2026-88264 (crun): without a mount on /dev, the image says what /dev/console is.
#[test]
fn a_console_that_is_a_link_is_not_made_on_the_host() {
    if stand_in_lacks("runc 1.1.5 creates what the link points to") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for point in ["/dev", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(point);
    }
    let outside = bundle.make_beside("outside");
    symlink(outside.join("made"), bundle.rootfs().join("dev/console")).unwrap();
    bundle.set("/process/terminal", json!(true)).probe(&["sleep"]);
    let socket = integration::host_terminal::FdSocket::new(&bundle.beside("console"));
    let outcome = runtime.create_with(&bundle, &["--console-socket", socket.path()]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was made on the host: {outcome}");
    outcome.refuses(&["/dev/console"]);
    runtime.leaves_nothing(bundle.id());
}

/// CVE-2025-31133, youki CVE-2025-62161: what covers a masked path is not what the container has for /dev/null, also when
/// no standard stream makes the runtime look at that.
#[test]
fn a_mask_is_never_the_containers_null_device() {
    if stand_in_lacks("runc 1.1.5 mounts what the link says") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(point);
    }
    let dev = bundle.make_beside("dev");
    symlink("/proc/sys/kernel/core_pattern", dev.join("null")).unwrap();
    bundle.mount("/dev", "bind", dev.to_str().unwrap(), &["rbind"]);
    bundle.set("/linux/maskedPaths", json!(["/proc/keys"])).set("/linux/readonlyPaths", json!([]));
    bundle.probe(&["see", "file=/proc/keys"]).write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    command.stdin(fs::File::open(bundle.rootfs().join("etc/passwd")).unwrap());
    let seen = runtime.finish(command).ok().json();
    assert_eq!(seen["file"]["/proc/keys"], "");
    let mut mounts = seen["mounts"].as_array().unwrap().iter();
    let over = mounts.rfind(|mount| mount["point"] == "/proc/keys").unwrap();
    assert_eq!(over["type"], "tmpfs", "{over}");
}
