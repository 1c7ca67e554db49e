//! Networks: what a container's network namespace gets. It never makes an interface and never talks to the network.

pub mod devices;
mod netlink;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::error::{OrFail, Result};
use crate::sys::net::set_up;

/// Brings up the loopback device of the network namespace that the caller is in.
pub fn loopback_up() -> Result<()> {
    let what = || "bring up the loopback device";
    // A unix socket, because a kernel may lack the internet protocols and still have lo.
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .or_fail("socket", what)?;
    set_up(socket, "lo").or_fail("ioctl(SIOCSIFFLAGS)", what)
}
