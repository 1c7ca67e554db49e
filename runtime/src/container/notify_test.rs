//! What goes through to the service manager, and what does not.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use nix::sys::socket::{ControlMessageOwned, recvmsg};

use super::*;
use crate::spec::Process;

fn state_dir(test: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("pinnace-notify-{test}-{}", std::process::id()));
    std::fs::create_dir_all(dir.join(DIR)).unwrap();
    dir
}

#[test]
fn only_a_line_of_its_own_is_ready() {
    assert_eq!(ready(b"READY=1"), Some(&b"READY=1"[..]));
    assert_eq!(ready(b"STATUS=up\nREADY=1\nMAINPID=5\n"), Some(&b"READY=1"[..]));
    for message in [&b""[..], b"STATUS=READY=1", b"ready=1", b"RELOADING=1\n", b"READY"] {
        assert_eq!(ready(message), None);
    }
}

#[test]
fn addresses() {
    assert_eq!(address(OsStr::new("/run/x")).unwrap().path(), Some(Path::new("/run/x")));
    assert_eq!(address(OsStr::new("@x")).unwrap().as_abstract(), Some(&b"x"[..]));
    for text in ["x", "vsock:2:1", &format!("/{}", "x".repeat(200))] {
        assert!(address(OsStr::new(text)).is_err(), "{text}");
    }
}

#[test]
fn the_container_gets_a_socket_of_its_own() {
    let mut spec = Spec { process: Some(Process::default()), ..Spec::default() };
    enter(&mut spec, Path::new("/run/x/id"));
    assert_eq!(spec.mounts[0].source.as_deref(), Some("/run/x/id/notify"));
    assert_eq!(spec.process.unwrap().env, ["NOTIFY_SOCKET=/run/notify/notify.sock"]);
}

/// The whole way: the container's words in, READY and MAINPID and the barrier out, nothing else.
#[test]
fn ready_goes_through_with_the_pid_and_a_barrier() {
    let dir = state_dir("through");
    let host_path = dir.join("host.sock");
    let host = UnixDatagram::bind(&host_path).unwrap();
    let notify = Notify::listen_for(&dir, UnixAddr::new(&host_path).unwrap()).unwrap().unwrap();
    let inside = UnixDatagram::unbound().unwrap();
    let pid = Pid::from_raw(4242);
    inside.send_to(b"STATUS=starting", dir.join("notify/notify.sock")).unwrap();
    assert!(!notify.advance(pid).unwrap());
    inside.send_to(b"STATUS=up\nREADY=1\nMAINPID=1", dir.join("notify/notify.sock")).unwrap();

    let manager = std::thread::spawn(move || {
        let mut said = Vec::new();
        for _ in 0..3 {
            let mut text = [0; 256];
            let mut slices = [std::io::IoSliceMut::new(&mut text)];
            let mut space = nix::cmsg_space!([i32; 1]);
            let message =
                recvmsg::<UnixAddr>(host.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty())
                    .unwrap();
            for control in message.cmsgs().unwrap() {
                if let ControlMessageOwned::ScmRights(fds) = control {
                    for fd in fds {
                        nix::unistd::close(fd).unwrap();
                    }
                }
            }
            let length = message.bytes;
            said.push(String::from_utf8(text[..length].to_vec()).unwrap());
        }
        said
    });
    assert!(notify.advance(pid).unwrap());
    assert_eq!(manager.join().unwrap(), ["READY=1\n", "MAINPID=4242\n", "BARRIER=1"]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_container_without_the_directory_has_nobody_to_listen_to() {
    let none = Notify::listen_for(Path::new("/nonexistent"), UnixAddr::new("/x").unwrap()).unwrap();
    assert!(none.is_none());
}
