//! Those that the runtime speaks to do not answer: an error within bounded time, and nothing is left.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{Backlog, listen};
use serde_json::json;

use crate::{is_cleaned_up, remains, sleeping};

/// A socket that nobody accepts from, its queue full.
fn deaf(path: &Path) -> (UnixListener, Vec<UnixStream>) {
    let listener = UnixListener::bind(path).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let mut waiting = Vec::new();
    loop {
        let stream: OwnedFd = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Unix,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_NONBLOCK | nix::sys::socket::SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        let address = nix::sys::socket::UnixAddr::new(path).unwrap();
        if nix::sys::socket::connect(stream.as_raw_fd(), &address).is_err() {
            return (listener, waiting);
        }
        waiting.push(stream.into());
    }
}

#[test]
fn a_console_socket_that_nobody_accepts_from() {
    let (mut bundle, runtime) = sleeping();
    bundle.set("/process/terminal", json!(true));
    let path = bundle.beside("console");
    let _held = deaf(&path);
    runtime
        .create_with(&bundle, &["--console-socket", path.to_str().unwrap()])
        .refuses(&["console", path.to_str().unwrap()]);
    let left = remains(&bundle, &runtime);
    assert!(left.is_empty(), "not undone:\n{}", left.join("\n"));
    is_cleaned_up(&bundle, &runtime, "a deaf console socket");
}

#[test]
fn a_pidfd_socket_that_nobody_accepts_from() {
    let (bundle, runtime) = sleeping();
    let path = bundle.beside("pidfd");
    let _held = deaf(&path);
    runtime
        .create_with(&bundle, &["--pidfd-socket", path.to_str().unwrap()])
        .refuses(&[path.to_str().unwrap()]);
    let left = remains(&bundle, &runtime);
    assert!(left.is_empty(), "not undone:\n{}", left.join("\n"));
}

#[test]
fn a_seccomp_agent_that_does_not_accept() {
    let (mut bundle, runtime) = sleeping();
    let path = bundle.beside("agent");
    let _held = deaf(&path);
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path,
               "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_NOTIFY"}]}),
    );
    runtime.create_with(&bundle, &[]).refuses(&[path.to_str().unwrap()]);
    let left = remains(&bundle, &runtime);
    assert!(left.is_empty(), "not undone:\n{}", left.join("\n"));
}
