//! Class H: the channels by which a container and its shim are controlled.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::LazyLock;

use integration::Bundle;
use integration::engine::Containerd;

/// The containerd of this test program.
static CTR: LazyLock<Containerd> = LazyLock::new(Containerd::new);

/// containerd CVE-2020-15257: a shim with an abstract socket is everybody's who shares its network namespace.
#[test]
fn a_shims_socket_is_for_root_alone() {
    let name = CTR.named("socket");
    let image = "docker.io/library/busybox:latest";
    CTR.output(&format!("ctr run --runtime io.containerd.pinnace.v2 -d {image} {name} sleep 600"));
    CTR.prints("grep -c '@.*containerd' /proc/net/unix || true", "0");
    let tried = "for socket in /run/containerd/s/*; do \
                 setpriv --reuid 1000 --regid 1000 --clear-groups test -w $socket && echo open; done; echo tried";
    CTR.prints(tried, "tried");
    CTR.prints("ls /run/containerd/s | wc -l", "1");
}

/// CVE-2020-15257's kin at the runtime: `start` is a byte that only the owner of the state may write, and nothing in the
/// state listens.
#[test]
fn a_waiting_container_is_started_by_its_owner_alone() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    runtime.create(&bundle);
    let state = runtime.root().join(bundle.id());
    for entry in std::fs::read_dir(&state).unwrap().flatten() {
        let about = entry.metadata().unwrap();
        assert_eq!(about.uid(), 0, "{}", entry.path().display());
        assert_eq!(about.mode() & 0o077, 0, "{}", entry.path().display());
        let socket = about.file_type().is_socket();
        assert!(!socket || UnixStream::connect(entry.path()).is_err(), "{}", entry.path().display());
    }
    assert!(Path::new(&state.join("exec.fifo")).exists());
}
