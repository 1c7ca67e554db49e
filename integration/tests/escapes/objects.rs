//! Class C: what the runtime takes from the container must be what it looks like, also while somebody changes it.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use integration::{Bundle, stand_in_lacks};
use serde_json::json;

use crate::race::{ROUNDS, Racer};

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
    for _ in 0..ROUNDS {
        // Made, or refused for what was there at the moment.
        runtime.run(&bundle);
    }
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
    for _ in 0..ROUNDS {
        let outcome = runtime.run(&bundle);
        assert!(outcome.code != 0 || outcome.stdout.is_empty(), "{outcome}");
    }
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
