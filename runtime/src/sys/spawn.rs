//! A program in a child of its own: clone, a few system calls, execve. Between the clone and the exec nothing
//! allocates and no lock is taken, so that it is sound in any process. It gives a pidfd, and the errno of an exec
//! that failed.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Pid;

use super::clone::{Clone, Side, clone};
use super::{check, fs, process, signals};

/// What to run. The child leads a process group of its own, has default signals, and no descriptors but these.
#[derive(Debug)]
pub struct Program<'a> {
    /// The file.
    pub path: &'a CStr,
    /// `argv`.
    pub args: &'a [CString],
    /// `environ`, all of it.
    pub env: &'a [CString],
    /// Working directory; none: the caller's.
    pub dir: Option<&'a CStr>,
    /// Standard input, output, error.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Descriptors 3 and up, at most [`MORE`].
    pub more: &'a [BorrowedFd<'a>],
}

/// The most descriptors beside the standard ones.
pub const MORE: usize = 3;

/// As many numbers as a program can get.
const TARGETS: RawFd = 6;

/// Starts the program: its pid and pidfd once the exec has happened. The pid stays its own until it is waited for.
pub fn spawn(program: &Program<'_>) -> nix::Result<(Pid, OwnedFd)> {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(program.args), pointers(program.env));
    let (outcome, report) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the child runs only `child`, which makes system calls on memory made before and takes no lock: other
    // threads, if there are any, can't have left anything it needs in a wrong state. It ends in execve or _exit.
    match unsafe { clone(&Clone::default()) }? {
        Side::Child => {
            child(program, &args, &env, report.as_raw_fd());
            process::exit_now(127)
        }
        Side::Parent(pid, pidfd) => {
            drop(report);
            let mut errno = [0; 4];
            if read(&outcome, &mut errno)? == 0 {
                return Ok((pid, pidfd));
            }
            let _ = nix::sys::wait::waitpid(pid, None);
            Err(Errno::from_raw(i32::from_ne_bytes(errno)))
        }
    }
}

fn read(pipe: &OwnedFd, buffer: &mut [u8]) -> nix::Result<usize> {
    loop {
        match nix::unistd::read(pipe, buffer) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// The child's part: returns only on failure, whose errno it has then written to `report`.
fn child(program: &Program<'_>, args: &[*const libc::c_char], env: &[*const libc::c_char], report: RawFd) {
    // The pipe's own descriptor may be one of those that are about to be replaced.
    let Ok(report) = above_targets(report) else { return };
    let errno = match become_it(program, args, env) {
        Ok(never) => match never {},
        Err(errno) => errno,
    };
    let number = std::io::Error::from(errno).raw_os_error().unwrap_or(libc::EINVAL);
    // SAFETY: the pointer is valid for the bytes of the number. That it fails can't be told to anybody.
    unsafe { libc::syscall(libc::SYS_write, report, std::ptr::from_ref(&number), size_of::<i32>()) };
}

fn become_it(
    program: &Program<'_>,
    args: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> nix::Result<Infallible> {
    nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    let mut sources = [0; 3 + MORE];
    let mut count = 0;
    for (source, fd) in sources.iter_mut().zip(program.stdio.iter().chain(program.more)) {
        *source = above_targets(fd.as_raw_fd())?;
        count += 1;
    }
    for (target, source) in (0..count).zip(sources) {
        // SAFETY: no pointers. Nothing in this process uses the descriptors that are replaced.
        check(unsafe { libc::syscall(libc::SYS_dup3, source, target, 0) })?;
    }
    fs::cloexec_from(count)?;
    signals::default_all()?;
    signals::unblock_all()?;
    if let Some(dir) = program.dir {
        // SAFETY: a valid C string.
        check(unsafe { libc::syscall(libc::SYS_chdir, dir.as_ptr()) })?;
    }
    // SAFETY: a valid C string and two arrays of valid C strings that end with null; all of them live in the caller.
    check(unsafe { libc::syscall(libc::SYS_execve, program.path.as_ptr(), args.as_ptr(), env.as_ptr()) })?;
    unreachable!("invariant: execve returns only on failure")
}

/// A close-on-exec copy with a number above those that the program gets.
fn above_targets(fd: RawFd) -> nix::Result<RawFd> {
    // SAFETY: no pointers.
    let copy = check(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, TARGETS) })?;
    RawFd::try_from(copy).map_err(|_| Errno::EBADF)
}
