//! A seccomp listener on its way to the agent at seccomp.listenerPath, with the container's state in front of it
//! (runtime-spec, config-linux.md#containerprocessstate).

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::Pid;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Error, OrFail, Result};
use crate::spec::OCI_VERSION;
use crate::spec::oci::LinuxSeccomp;
use crate::sys::socket::send as send_packet;
use crate::wait;

/// How long the agent may take to accept, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    metadata: &'a str,
    state: &'a RawValue,
}

/// Sends the listener of process `pid`; `state` is the container's as JSON.
pub(super) async fn send(
    seccomp: Option<&LinuxSeccomp>,
    listener: &OwnedFd,
    state: &[u8],
    pid: Pid,
) -> Result<()> {
    let path = seccomp.and_then(|s| s.listener_path().as_ref()).ok_or_else(|| {
        Error::invalid("linux.seccomp.listenerPath: is missing").hint("SCMP_ACT_NOTIFY needs an agent to ask")
    })?;
    let failed = || format!("failed to connect with seccomp agent at {}", path.display());
    let state = serde_json::from_slice(state).map_err(|e| Error::invalid(format!("write the state: {e}")))?;
    let metadata = seccomp.and_then(|s| s.listener_metadata().as_deref()).unwrap_or("");
    let told =
        ProcessState { oci_version: OCI_VERSION, fds: ["seccompFd"], pid: pid.as_raw(), metadata, state };
    let bytes = serde_json::to_vec(&told).map_err(|e| Error::invalid(format!("write the state: {e}")))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).or_fail("socket", failed)?;
    let address = UnixAddr::new(path).or_fail("connect", failed)?;
    let end = Instant::now() + PATIENCE;
    // An agent that has too many to accept says "again" (unix(7)); there is nothing to poll for.
    while let Err(errno) = connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &address) {
        if errno != Errno::EAGAIN || Instant::now() > end {
            return Err(Error::os("connect", errno, failed()));
        }
        wait::sleep(PAUSE).await;
    }
    send_packet(&socket, &bytes, Some(listener.as_fd())).or_fail("sendmsg", failed)
}
