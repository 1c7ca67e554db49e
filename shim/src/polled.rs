//! Descriptors that the loop polls. Each is owned by what is polled, so that its number can't become another's.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Puts a descriptor into the loop's epoll, for reading and writing.
pub(crate) fn polled<T: AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    with_interest(owner, Interest::READABLE | Interest::WRITABLE)
}

/// The same for reading alone.
pub(crate) fn readable<T: AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    with_interest(owner, Interest::READABLE)
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe; every owner here keeps its descriptor open as long as it lives"
)]
fn with_interest<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}
