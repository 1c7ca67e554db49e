//! seccomp(2): loads a filter into the calling thread and asks the kernel what it knows. It never builds a filter and
//! never touches no_new_privs: whoever loads one has set it, or holds CAP_SYS_ADMIN.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use seccompiler::sock_filter;

use super::{check, fs::owned};

/// `struct sock_fprog` of linux/filter.h, with the instruction type that the compiler uses.
#[repr(C)]
struct Program {
    len: libc::c_ushort,
    filter: *const sock_filter,
}

/// SECCOMP_SET_MODE_FILTER. With SECCOMP_FILTER_FLAG_NEW_LISTENER among `flags` the answer is the listener, which the
/// kernel opens close-on-exec. EINVAL: a program of no or more than 4096 instructions, or an unknown flag; EACCES:
/// neither no_new_privs nor CAP_SYS_ADMIN.
pub fn set_filter(program: &[sock_filter], flags: libc::c_ulong) -> nix::Result<Option<OwnedFd>> {
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = Program { len, filter: program.as_ptr() };
    // SAFETY: `program` outlives the call, and its pointer and length are those of a slice.
    let ret = check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })?;
    if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 { Ok(None) } else { owned(ret).map(Some) }
}

/// Whether this kernel knows every one of `flags`. The null program makes the kernel stop at EFAULT once it has looked
/// at the flags (seccomp_set_mode_filter in kernel/seccomp.c), so nothing is ever loaded.
pub fn knows_flags(flags: libc::c_ulong) -> bool {
    // SAFETY: the null pointer is what is asked with; the kernel copies from it and fails.
    let ret = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::null::<Program>())
    };
    check(ret) == Err(Errno::EFAULT)
}
