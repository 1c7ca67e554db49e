//! The steps that make the process who it is to be: session, terminal, labels, ids, capabilities, filter. What takes
//! rights away comes last.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::procfs::Proc;
use super::root::{Root, shown};
use super::verify::{Mirror, Wanted};
use super::{Who, console, creds, devices, labels as lsm, session};
use crate::error::{Error, Kind, OrFail, Result, errno_text};
use crate::plan::creds::CapSets;
use crate::plan::mounts::clean;
use crate::sys::process::close_all_but;
use crate::sys::pty;

/// The terminal, or the caller's own stdio, made the process's.
pub fn terminal(who: &Who<'_>, root: &Root) -> Result<()> {
    let process = who.process;
    if !process.terminal {
        return stdio(who, root);
    }
    let path = Path::new("dev/pts");
    let pts = root.open_plain(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(|errno| {
        Error::os("openat2", errno, shown("open", path)).hint("a terminal needs a devpts mount at /dev/pts")
    })?;
    let size = process.console_size.as_ref().map(console::Size::decide).transpose()?.flatten();
    let console = console::open(&pts, size)?;
    if who.first {
        let path = Path::new("dev");
        let dev = root
            .open_plain(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .or_fail("openat2", || shown("open", path))?;
        console::mount_on_dev_console(&dev, &console.slave)?;
    }
    who.wire.console(&console.master)?;
    console::adopt(&console.slave)?;
    console::own_stdio(who.credentials.uid)
}

/// A descriptor of the host's null device becomes the container's own; the others become the user's.
fn stdio(who: &Who<'_>, root: &Root) -> Result<()> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let is_null = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].map(|fd| pty::device(fd) == Ok((1, 3)));
    if is_null != [false; 3] {
        match devices::null(root) {
            Ok(null) => {
                let replace: [fn(&OwnedFd) -> nix::Result<()>; 3] = [
                    |fd| nix::unistd::dup2_stdin(fd),
                    |fd| nix::unistd::dup2_stdout(fd),
                    |fd| nix::unistd::dup2_stderr(fd),
                ];
                for (_, replace) in is_null.iter().zip(replace).filter(|(is_null, _)| **is_null) {
                    replace(&null).or_fail("dup2", || "open the container's /dev/null for stdio")?;
                }
            }
            // A container without /dev/null keeps the host's.
            Err(error) if error.errno() == Some(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    console::own_stdio(who.credentials.uid)
}

/// Closes every descriptor but the process's own and those in `keep`, and sees that they are closed.
pub fn purge(who: &Who<'_>, mirror: &mut Mirror, mut keep: Vec<i32>) -> Result<()> {
    let first = 3 + who.preserve_fds;
    keep.extend(mirror.held());
    close_all_but(first, &mut keep).or_fail("close_range", || "close the runtime's descriptors")?;
    mirror.descriptors(first, &keep)
}

/// Whether the process gets labels, which are written to a procfs.
pub fn needs_proc(who: &Who<'_>) -> bool {
    who.process.apparmor_profile.is_some() || who.process.selinux_label.is_some()
}

/// Labels, working directory, ids, capabilities, no_new_privs and the filter, in the order that each needs. Gives the
/// capabilities that could be granted.
pub fn become_user(who: &Who<'_>, proc: Option<&Proc>) -> Result<CapSets> {
    let (process, credentials) = (who.process, who.credentials);
    if let Some(proc) = proc {
        if let Some(profile) = &process.apparmor_profile {
            lsm::apparmor(proc, profile)?;
        }
        if let Some(label) = &process.selinux_label {
            lsm::selinux_exec(proc, label)?;
        }
    }
    session::set_umask(credentials);
    let cwd = Path::new("/").join(clean(Path::new(&process.cwd)));
    // Root may enter what the user can't, and the user what root can't (a FUSE or NFS mount): either is enough.
    let as_root = nix::unistd::chdir(&cwd);
    if as_root.is_ok() {
        refuse_outside()?;
    }
    // All that can come before the filter does: a profile may know of little that is called behind it.
    session::reset_inherited()?;
    creds::no_new_privs(credentials)?;
    if !credentials.no_new_privs {
        filter(who)?;
    }
    let granted = creds::apply(credentials, proc)?;
    if as_root.is_err() {
        nix::unistd::chdir(&cwd).map_err(|errno| unreachable_cwd(&cwd, errno))?;
        refuse_outside()?;
    }
    if credentials.no_new_privs {
        filter(who)?;
    }
    Ok(granted)
}

/// Sees that the process is who it was to become.
pub fn verify(who: &Who<'_>, mirror: Mirror, granted: &CapSets) -> Result<()> {
    mirror.process(&Wanted { credentials: who.credentials, caps: granted, filtered: who.filter.is_some() })
}

/// The wording is runc's, which engines show and tests look for.
fn unreachable_cwd(cwd: &Path, errno: Errno) -> Error {
    Error::new(
        Kind::Host,
        format!("chdir to cwd (\"{}\") set in config.json failed: {}", cwd.display(), errno_text(errno)),
    )
}

/// A working directory outside the root shows as "(unreachable)" (CVE-2024-21626), of which some C libraries make ENOENT.
fn refuse_outside() -> Result<()> {
    if mutant!("outside") {
        return Ok(());
    }
    let shown = match nix::unistd::getcwd() {
        Ok(cwd) if cwd.is_absolute() => return Ok(()),
        Ok(cwd) => cwd.display().to_string(),
        Err(Errno::ENOENT) => String::new(),
        Err(errno) => return Err(Error::os("getcwd", errno, "look at the working directory")),
    };
    Err(Error::invalid(format!("working directory {shown} lies outside the container"))
        .hint("process.cwd must be a directory of the image"))
}

/// Loads the filter. A listener's number is told before: behind the filter no call may be free to tell it.
fn filter(who: &Who<'_>) -> Result<()> {
    let Some(filter) = who.filter.filter(|_| !mutant!("filter")) else { return Ok(()) };
    if filter.needs_listener() {
        // The number that the kernel gives next is the lowest that is free.
        let probe =
            std::io::stdin().as_fd().try_clone_to_owned().or_fail("fcntl", || "find a free descriptor")?;
        let number = probe.as_raw_fd();
        // Free before the runtime looks, or it would take this copy for the listener.
        drop(probe);
        who.wire.listener(number)?;
    }
    let listener = filter.load().map_err(|errno| {
        Error::os("seccomp", errno, "load the seccomp filter")
            .hint("does the kernel know its flags? see pinnace features")
    })?;
    // The runtime takes its copy by number; ours goes at exec.
    std::mem::forget(listener);
    Ok(())
}
