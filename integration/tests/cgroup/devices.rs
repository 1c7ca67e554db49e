//! Which devices a process may open, in both versions.

use std::ffi::CString;
use std::sync::LazyLock;

use nix::sys::wait::WaitStatus;
use pinnace::cgroup::Cgroup;

use super::{Process, Scene, resources};

/// The node that [`open_device`] makes, with the numbers of /dev/kmsg.
static NODE: LazyLock<CString> = LazyLock::new(|| {
    // Where nodes can be opened; /tmp is often mounted without devices.
    CString::new(format!("/dev/pinnace-cgroup-node-{}", std::process::id())).unwrap()
});

fn open_device() -> i32 {
    // SAFETY: constant C strings; the descriptors are not used.
    unsafe {
        if libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) < 0 {
            return 2;
        }
        let made = libc::mknod(NODE.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 11));
        if made != 0 {
            return 3;
        }
        let opened = libc::open(NODE.as_ptr(), libc::O_RDONLY);
        libc::unlink(NODE.as_ptr());
        if opened >= 0 { 4 } else { *libc::__errno_location() }
    }
}

#[test]
fn devices_are_those_allowed() {
    assert!(NODE.to_bytes().starts_with(b"/"), "named here, so that no child has to allocate");
    for (json, expected) in [
        (r#"{"devices": [{"allow": false, "access": "rwm"}]}"#, libc::EPERM),
        ("{}", libc::EPERM),
        (r#"{"devices": [{"allow": true, "access": "rwm"}]}"#, 4),
        (
            r#"{"devices": [{"allow": true, "access": "rwm"},
                         {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "r"}]}"#,
            libc::EPERM,
        ),
        (r#"{"devices": [{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}"#, 4),
    ] {
        let scene = Scene::made(json);
        let child = Process::born(&scene.cgroup.entry().unwrap(), open_device);
        assert_eq!(child.end(), WaitStatus::Exited(child.pid, expected), "{json}");
        // Again on what is there: the difference only.
        let again = Cgroup::place("unused", Some(&scene.path)).unwrap();
        again.create(&resources(json)).unwrap();
        let child = Process::born(&again.entry().unwrap(), open_device);
        assert_eq!(child.end(), WaitStatus::Exited(child.pid, expected), "{json}");
    }
}
