//! What is, compared with what was asked for: the kernel is asked once more, and a difference ends the birth with its
//! name. It knows nothing of how things were done, so that it finds what went wrong there. It never changes anything.
//!
//! Three looks, each as late as it can be: at the descriptors before a path of the container is walked, at the mounts
//! while there are the rights to see all of them, at the process behind its seccomp filter, with one read.

use std::fmt;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, stat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::error::{Error, Kind, OrFail, Result};
use crate::plan::Plan;
use crate::plan::creds::{CapSets, Credentials};
use crate::plan::mounts::clean;
use crate::sys::cred;
use crate::sys::process::close;

/// Room for /proc/PID/status, all but its list of groups, up to the last field that is read.
const STATUS: usize = 8192;

/// The error of a difference.
pub(super) fn differs(what: impl fmt::Display, is: impl fmt::Display, wanted: impl fmt::Display) -> Error {
    Error::new(Kind::Host, format!("verify: {what} is {is}, not {wanted}"))
        .hint("the kernel or a sandbox around this process did not do what it acknowledged")
}

/// A process's view of itself: files of its own in the host's procfs, opened while that is what /proc is.
#[derive(Debug)]
pub struct Mirror {
    status: OwnedFd,
    descriptors: Option<OwnedFd>,
    /// Behind the filter no memory may be had.
    text: Vec<u8>,
}

impl Mirror {
    /// Opens it. After the last fork, and before the container's mounts are entered.
    pub fn hold(credentials: &Credentials) -> Result<Self> {
        let open = |path: &str, flags: OFlag| {
            nix::fcntl::open(path, flags | OFlag::O_CLOEXEC, Mode::empty())
                .or_fail("open", || format!("open {path}"))
        };
        let status = open("/proc/thread-self/status", OFlag::O_RDONLY)?;
        let descriptors = open("/proc/thread-self/fd", OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let kind = fstatfs(&status).or_fail("fstatfs", || "look at /proc")?.filesystem_type();
        if kind != PROC_SUPER_MAGIC {
            return Err(Error::new(Kind::Host, "/proc of the host is no procfs"));
        }
        let groups = if credentials.keep_groups {
            cred::groups().or_fail("getgroups", || "look at the groups that are kept")?.len()
        } else {
            credentials.groups.len()
        };
        // Ten digits and a blank for each group.
        let text = vec![0; STATUS + 11 * groups];
        Ok(Self { status, descriptors: Some(descriptors), text })
    }

    /// What must stay open for the looks to come.
    pub fn held(&self) -> impl Iterator<Item = i32> {
        std::iter::once(&self.status).chain(&self.descriptors).map(AsRawFd::as_raw_fd)
    }

    /// Sees that nothing is open from `first` up but `kept` and what the mirror holds itself. The first look.
    pub fn descriptors(&mut self, first: i32, kept: &[i32]) -> Result<()> {
        let what = || "look at the own descriptors";
        let Some(directory) = self.descriptors.take() else { return Ok(()) };
        if mutant!("verify") {
            return Ok(());
        }
        let own = [directory.as_raw_fd(), self.status.as_raw_fd()];
        for entry in Dir::from_fd(directory).or_fail("fdopendir", what)?.iter() {
            let entry = entry.or_fail("getdents64", what)?;
            let Some(number) = entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            if number >= first && !kept.contains(&number) && !own.contains(&number) {
                return Err(differs(format_args!("descriptor {number}"), "open", "closed"));
            }
        }
        Ok(())
    }

    /// Sees that the process is the one asked for. The last look, behind the filter, where only read(2) is sure to be
    /// allowed: ids and groups were read back when they were set.
    pub fn process(mut self, wanted: &Wanted<'_>) -> Result<()> {
        let read = nix::unistd::read(&self.status, &mut self.text);
        close(self.status.into_raw_fd());
        let length = read.or_fail("read", || "look at the own status")?;
        let text = self.text.get(..length).unwrap_or_default();
        let Wanted { credentials, caps, filtered } = *wanted;
        let sets = [
            ("CapInh", caps.inheritable),
            ("CapPrm", caps.permitted),
            ("CapEff", caps.effective),
            ("CapBnd", caps.bounding),
            ("CapAmb", caps.ambient),
        ];
        let bits = sets.map(|(name, set)| (name, set.bits(), 16));
        let signals = ["SigBlk", "SigIgn"].map(|name| (name, 0, 16));
        let umask = (!credentials.keep_umask).then_some(("Umask", u64::from(credentials.umask), 8));
        // Whoever runs us may have set these before: then they can't be taken back.
        let nnp = credentials.no_new_privs.then_some(("NoNewPrivs", 1, 10));
        // SECCOMP_MODE_FILTER.
        let seccomp = filtered.then_some(("Seccomp", 2, 10));
        if mutant!("verify") {
            return Ok(());
        }
        for (name, wanted, radix) in bits.into_iter().chain(signals).chain(umask).chain(nnp).chain(seccomp) {
            let is = number(text, name, radix);
            if is != Some(wanted) {
                return Err(difference(name, is, wanted, radix));
            }
        }
        Ok(())
    }
}

/// What a process is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// As the plan says.
    pub credentials: &'a Credentials,
    /// What of its capabilities could be granted.
    pub caps: &'a CapSets,
    /// It has a seccomp filter.
    pub filtered: bool,
}

/// A field of proc_pid_status(5).
fn number(text: &[u8], name: &str, radix: u32) -> Option<u64> {
    let value = text
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))?;
    u64::from_str_radix(std::str::from_utf8(value.trim_ascii()).ok()?, radix).ok()
}

fn difference(name: &str, is: Option<u64>, wanted: u64, radix: u32) -> Error {
    let shown = |number: u64| match radix {
        16 => format!("{number:016x}"),
        8 => format!("{number:04o}"),
        _ => number.to_string(),
    };
    differs(name, is.map_or_else(|| "unknown".to_owned(), shown), shown(wanted))
}

/// Sees every path that is to be hidden or read-only, by the name that the container has for it, after the pivot and
/// before the process gives up its rights. `cover` is the device of what hides. The second look.
pub fn mounts(plan: &Plan, cover: Option<u64>) -> Result<()> {
    if mutant!("verify") {
        return Ok(());
    }
    let linux = plan.linux();
    for path in &linux.masked_paths {
        let path = inside(path);
        match stat(&path) {
            Ok(there) if Some(there.st_dev) == cover => {}
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Ok(_) => return Err(differs(path.display(), "visible", "masked")),
            Err(errno) => return Err(unseen(&path, "stat", errno)),
        }
    }
    for path in &linux.readonly_paths {
        let path = inside(path);
        match is_readonly(&path) {
            Ok(true) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Ok(false) => return Err(differs(path.display(), "writable", "read-only")),
            Err(errno) => return Err(unseen(&path, "statvfs", errno)),
        }
    }
    if plan.rootfs.readonly && is_readonly(Path::new("/")) != Ok(true) {
        return Err(differs("/", "writable", "read-only"));
    }
    for (index, mount) in plan.mounts.iter().enumerate() {
        let covered = plan.mounts.iter().skip(index + 1).any(|later| mount.target.starts_with(&later.target));
        if mount.options.set & libc::MOUNT_ATTR_RDONLY == 0 || covered {
            continue;
        }
        // What can't be asked (a file system of a network that is away, or of one user alone) is as it was made.
        let path = Path::new("/").join(&mount.target);
        if is_readonly(&path) == Ok(false) {
            return Err(differs(path.display(), "writable", "read-only"));
        }
    }
    Ok(())
}

fn inside(path: &str) -> std::path::PathBuf {
    Path::new("/").join(clean(Path::new(path)))
}

/// The kernel shows the flags of the mount and those of the file system together.
fn is_readonly(path: &Path) -> nix::Result<bool> {
    Ok(statvfs(path)?.flags().contains(FsFlags::ST_RDONLY))
}

fn unseen(path: &Path, call: &str, errno: Errno) -> Error {
    Error::os(call, errno, format!("verify: look at {} in the container", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"Name:\tSeccomp:\\n2\nUmask:\t0022\nSigBlk:\t0000000000000200\nCapBnd:\t000001ffffffffff\n\
                          Seccomp:\t2\nSeccomp_filters:\t7\n";

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(number(TEXT, "Umask", 8), Some(0o22));
        assert_eq!(number(TEXT, "SigBlk", 16), Some(0x200));
        assert_eq!(number(TEXT, "CapBnd", 16), Some((1 << 41) - 1));
        assert_eq!(number(TEXT, "Seccomp", 10), Some(2));
        for name in ["Seccomp_filter", "Cap", "Nothing", "Name"] {
            assert_eq!(number(TEXT, name, 10), None, "{name}");
        }
    }

    #[test]
    fn a_difference_says_both() {
        let text = difference("CapEff", Some(0x3000), 0x1000, 16).to_string();
        assert!(text.contains("verify: CapEff is 0000000000003000, not 0000000000001000"), "{text}");
        assert!(difference("Umask", None, 0o22, 8).to_string().contains("Umask is unknown, not 0022"));
    }
}
