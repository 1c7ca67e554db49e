//! Files of the calling thread in procfs, below a descriptor of a procfs that the runtime has mounted itself. It
//! never goes through the container's /proc, which can be anything (CVE-2019-16884, CVE-2025-52881).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use crate::sys::fs::{STRICT, open_at};

/// Longest file that is read; what is read here is a word or a number.
const LONGEST: u64 = 64 * 1024;

/// Reads a file of this thread: `read_own(proc, "setgroups")`.
pub(super) fn read_own(proc: impl AsFd, name: &str) -> nix::Result<String> {
    let mut text = String::new();
    open_own(proc, name, OFlag::O_RDONLY)?
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| errno(&error))?;
    Ok(text)
}

/// Writes a file of this thread by one write(2), as the kernel wants it for attributes.
pub(super) fn write_own(proc: impl AsFd, name: &str, text: &str) -> nix::Result<()> {
    let mut file = open_own(proc, name, OFlag::O_WRONLY)?;
    let written = file.write(text.as_bytes()).map_err(|error| errno(&error))?;
    if written == text.len() { Ok(()) } else { Err(Errno::EIO) }
}

/// `thread-self` is the one link that is followed, and only as text of the form `N/task/N`: the rest is resolved
/// without links and without leaving this mount.
fn open_own(proc: impl AsFd, name: &str, flags: OFlag) -> nix::Result<File> {
    if fstatfs(proc.as_fd())?.filesystem_type() != PROC_SUPER_MAGIC {
        return Err(Errno::ENODEV);
    }
    let link = readlinkat(proc.as_fd(), "thread-self")?;
    let path = own(&link).ok_or(Errno::ESRCH)?.join(name);
    open_at(proc, &path, flags | OFlag::O_NOCTTY, Mode::empty(), STRICT).map(File::from)
}

fn own(link: &OsStr) -> Option<PathBuf> {
    let parts: Vec<&[u8]> = link.as_bytes().split(|byte| *byte == b'/').collect();
    let number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    match parts[..] {
        [pid, b"task", tid] if number(pid) && number(tid) => Some(link.into()),
        _ => None,
    }
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_own_form_of_the_link() {
        assert_eq!(own(OsStr::new("12/task/13")), Some("12/task/13".into()));
        for link in
            ["", "12", "12/task/", "/12/task/13", "12/task/13/..", "self/task/1", "12/fd/13", "../task/1"]
        {
            assert_eq!(own(OsStr::new(link)), None, "{link}");
        }
    }

    #[test]
    fn own_files_of_the_real_procfs_and_of_nothing_else() {
        let proc = File::open("/proc").unwrap();
        assert!(read_own(&proc, "comm").unwrap().ends_with('\n'));
        assert_eq!(read_own(&proc, "../../../../etc/passwd"), Err(Errno::EXDEV));
        assert_eq!(read_own(&proc, "cwd"), Err(Errno::ELOOP));
        let fake = File::open("/").unwrap();
        assert_eq!(read_own(&fake, "comm"), Err(Errno::ENODEV));
    }
}
