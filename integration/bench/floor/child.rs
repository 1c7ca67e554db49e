//! The child's side of the floor: from the clone to the exec by the calls that a container of the bench needs.

use std::ffi::CString;
use std::fs::File;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::symlinkat;
use pinnace::seccomp::sock_filter;
use pinnace::sys::cred::{Caps, bounding_drop, set_caps};
use pinnace::sys::process::close_all_but;
use pinnace::sys::seccomp::set_filter;
use pinnace::sys::{keyring, mount as tree, net};

use crate::Result;

/// The capabilities that Docker leaves, as bits.
const CAPABILITIES: u64 = 0xa804_25fb;

const NODES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

const MASKED_FILES: [&str; 5] =
    ["proc/kcore", "proc/keys", "proc/timer_list", "proc/latency_stats", "proc/sched_debug"];
const MASKED_DIRECTORIES: [&str; 3] = ["proc/acpi", "proc/scsi", "sys/firmware"];
const READONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];
const BOUND: [&str; 3] = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];

/// What is to be made.
pub(crate) struct Container<'a> {
    pub(crate) rootfs: &'a str,
    /// There is one: all else that the full configuration says is done too.
    pub(crate) filter: Option<&'a [sock_filter]>,
    /// The `tasks` files of its cgroups.
    pub(crate) doors: &'a [File],
    pub(crate) program: &'a [&'a str],
}

/// A container's first process.
pub(crate) fn create(container: &Container<'_>) -> Result<()> {
    join(container.doors)?;
    nix::unistd::setsid()?;
    keyring::join_session("bench-floor")?;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    net::set_up(&socket, "lo")?;
    drop(socket);
    mounts(container)?;
    nix::unistd::sethostname("bench")?;
    setrlimit(Resource::RLIMIT_NOFILE, 1024, 1024)?;
    become_program(container)
}

/// A process more.
pub(crate) fn enter(container: &Container<'_>) -> Result<()> {
    join(container.doors)?;
    nix::unistd::setsid()?;
    keyring::join_session("bench-floor")?;
    become_program(container)
}

fn join(doors: &[File]) -> Result<()> {
    for door in doors {
        nix::unistd::write(door, b"0")?;
    }
    Ok(())
}

fn mounts(container: &Container<'_>) -> Result<()> {
    const NONE: Option<&str> = None;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(NONE, "/", NONE, MsFlags::MS_SLAVE | MsFlags::MS_REC, NONE)?;
    mount(Some(container.rootfs), container.rootfs, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
    mount(NONE, container.rootfs, NONE, MsFlags::MS_PRIVATE, NONE)?;
    nix::unistd::chdir(container.rootfs)?;
    mount(Some("proc"), "proc", Some("proc"), quiet, NONE)?;
    mount(Some("tmpfs"), "dev", Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755,size=65536k"))?;
    for directory in ["dev/pts", "dev/shm", "dev/mqueue"] {
        nix::unistd::mkdir(directory, Mode::from_bits_truncate(0o755))?;
    }
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let pts = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    mount(Some("devpts"), "dev/pts", Some("devpts"), plain, Some(pts))?;
    mount(Some("shm"), "dev/shm", Some("tmpfs"), quiet, Some("mode=1777,size=65536k"))?;
    mount(Some("mqueue"), "dev/mqueue", Some("mqueue"), quiet, NONE)?;
    mount(Some("sysfs"), "sys", Some("sysfs"), quiet | MsFlags::MS_RDONLY, NONE)?;
    for (name, major, minor) in NODES {
        let path = format!("dev/{name}");
        mknod(path.as_str(), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(major, minor))?;
    }
    for (target, name) in LINKS {
        symlinkat(target, nix::fcntl::AT_FDCWD, format!("dev/{name}").as_str())?;
    }
    if container.filter.is_some() {
        for path in BOUND {
            let host = format!("/{path}");
            mount(Some(host.as_str()), path, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
        }
        hide()?;
    }
    tree::pivot_here()?;
    umount2(".", MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")?;
    Ok(())
}

/// Masks of one tmpfs and of the container's own null device, and read-only paths.
fn hide() -> Result<()> {
    const NONE: Option<&str> = None;
    let there = |path: &&&str| std::path::Path::new(path).exists();
    for path in READONLY.iter().filter(there) {
        let path = *path;
        mount(Some(path), path, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
        let again = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(Some(path), path, NONE, again, NONE)?;
    }
    for path in MASKED_FILES.iter().filter(there) {
        mount(Some("dev/null"), *path, NONE, MsFlags::MS_BIND, NONE)?;
    }
    let mut first = None;
    for path in MASKED_DIRECTORIES.iter().filter(there) {
        match first {
            None => mount(Some("tmpfs"), *path, Some("tmpfs"), MsFlags::MS_RDONLY, NONE)?,
            Some(first) => mount(Some(first), *path, NONE, MsFlags::MS_BIND, NONE)?,
        }
        first = first.or(Some(*path));
    }
    Ok(())
}

fn become_program(container: &Container<'_>) -> Result<()> {
    close_all_but(3, &mut Vec::new())?;
    if let Some(filter) = container.filter {
        set_filter(filter, 0)?;
    }
    for cap in (0..41).filter(|cap| CAPABILITIES & (1 << cap) == 0) {
        bounding_drop(cap)?;
    }
    set_caps(Caps { effective: CAPABILITIES, permitted: CAPABILITIES, inheritable: 0 })?;
    let words: Vec<CString> =
        container.program.iter().map(|word| CString::new(*word)).collect::<std::result::Result<_, _>>()?;
    let program = words.first().ok_or("no program")?;
    let Err(errno) = nix::unistd::execve(program, &words, &[c"PATH=/bin"]);
    Err(format!("exec {}: {errno}", program.to_string_lossy()).into())
}
