//! poll(2) of descriptors that their owner keeps open meanwhile, by number.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;

/// Waits until one of the descriptors is ready or the moment has come; says whether one is. A descriptor that can't be
/// polled counts as ready: who uses it next gets the error.
pub fn poll(fds: &[(RawFd, PollFlags)], until: Option<Instant>) -> bool {
    let mut polled: Vec<libc::pollfd> =
        fds.iter().map(|(fd, events)| libc::pollfd { fd: *fd, events: events.bits(), revents: 0 }).collect();
    loop {
        let length = libc::nfds_t::try_from(polled.len()).unwrap_or(libc::nfds_t::MAX);
        // SAFETY: the pointer and the length are those of one live array.
        let count = unsafe { libc::poll(polled.as_mut_ptr(), length, milliseconds(until)) };
        match count {
            0 if until.is_some_and(|until| Instant::now() >= until) => return false,
            0 => {}
            1.. => return true,
            _ if Errno::last() == Errno::EINTR => {}
            _ => return true,
        }
    }
}

/// The time until then, rounded up so that a poll that times out is not too early; -1 for no end.
fn milliseconds(until: Option<Instant>) -> i32 {
    let Some(until) = until else { return -1 };
    let left = until.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    i32::try_from(left.as_millis()).unwrap_or(i32::MAX)
}
