//! Memory that a process shares with the children that it clones from then on. It must never hold what a child may not
//! know.

use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Zeroed words, for as long as this process and its children live.
pub fn words(count: usize) -> nix::Result<&'static [AtomicU64]> {
    let bytes = count.checked_mul(size_of::<AtomicU64>()).ok_or(nix::errno::Errno::EOVERFLOW)?;
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping at a place that the kernel chooses.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    let place = if place == libc::MAP_FAILED { None } else { NonNull::new(place.cast::<AtomicU64>()) };
    let place = place.ok_or_else(nix::errno::Errno::last)?;
    // SAFETY: the mapping has room for `count` words, is aligned to a page, is never unmapped, and all that share it
    // reach it as atomics, of which zero is one.
    Ok(unsafe { std::slice::from_raw_parts(place.as_ptr(), count) })
}
