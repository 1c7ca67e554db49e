//! How the kernel treats the calling process: scheduler, I/O priority, CPUs, memory nodes, personality.

use nix::errno::Errno;

use super::check;

/// `IOPRIO_WHO_PROCESS` (linux/ioprio.h).
const WHO_PROCESS: libc::c_int = 1;

/// `struct sched_attr` of sched_setattr(2), first version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Attr {
    /// Bytes of this structure.
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Static priority.
    pub priority: u32,
    /// Nanoseconds.
    pub runtime: u64,
    /// Nanoseconds.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

impl Attr {
    /// SCHED_ATTR_SIZE_VER0 (linux/sched/types.h).
    pub const SIZE: u32 = 48;
}

const _: () = assert!(size_of::<Attr>() == 48, "the layout of struct sched_attr");

/// sched_setattr(2) of the calling thread.
pub fn set_attr(attr: &Attr) -> nix::Result<()> {
    // SAFETY: the structure has the kernel's layout and says its own size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(attr), 0) })?;
    Ok(())
}

/// sched_getattr(2) of the calling thread.
pub fn attr() -> nix::Result<Attr> {
    let mut attr = Attr::default();
    // SAFETY: the pointer is valid for the size given.
    check(unsafe {
        libc::syscall(libc::SYS_sched_getattr, 0, std::ptr::from_mut(&mut attr), Attr::SIZE, 0)
    })?;
    Ok(attr)
}

/// ioprio_set(2) of the calling thread.
pub fn set_io_priority(priority: i32) -> nix::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, priority) })?;
    Ok(())
}

/// ioprio_get(2) of the calling thread.
pub fn io_priority() -> nix::Result<i32> {
    // SAFETY: no pointers.
    let priority = check(unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_PROCESS, 0) })?;
    i32::try_from(priority).map_err(|_| Errno::EOVERFLOW)
}

/// sched_setaffinity(2) of the calling thread. The kernel cuts the mask to the CPUs it has and the cpuset allows.
pub fn set_affinity(mask: &[u64]) -> nix::Result<()> {
    // SAFETY: the pointer is valid for as many bytes as the size says.
    check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(mask), mask.as_ptr()) })?;
    Ok(())
}

/// sched_getaffinity(2) of the calling thread, in a mask of `words`.
pub fn affinity(words: usize) -> nix::Result<Vec<u64>> {
    let mut mask = vec![0; words];
    // SAFETY: the pointer is valid for as many bytes as the size says.
    check(unsafe {
        libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&mask[..]), mask.as_mut_ptr())
    })?;
    Ok(mask)
}

/// set_mempolicy(2) of the calling thread.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> nix::Result<()> {
    // One more than there are: the kernel takes the number of bits plus one (man 2 set_mempolicy, BUGS).
    let bits = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 };
    let pointer = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: null with no bits, or valid for the bits that the kernel reads.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) })?;
    Ok(())
}

/// personality(2).
pub fn set_personality(domain: u32) -> nix::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_personality, domain) })?;
    Ok(())
}
