//! The child that becomes CRIU: it enters the container's cgroups, in which what it restores is born, and sets a stage in
//! a mount namespace of its own, which the host never sees. Nothing here returns to the parent's code but a failure.
//!
//! CRIU takes the numbers of its directories as descriptors of the process that has made its socket, and mounts in
//! these directories: so both are made here, where the mount namespace is its own.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, FcntlArg, FdFlag, OFlag, fcntl};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use super::join::join_cgroups;
use super::root::{Make, Root, is_directory};
use super::{hide, mounts, rootfs, session};
use crate::cgroup::Entry;
use crate::container::Stdio;
use crate::error::{Error, OrFail, Result};
use crate::launch::open_namespace;
use crate::net;
use crate::plan::Plan;
use crate::plan::mounts::{Kind, Mount};
use crate::sys::fs::cloexec_from;
use crate::sys::mount::{Attr, attach, clone_tree, set_attr};
use crate::sys::process::exit_now;
use crate::sys::signals;
use crate::sys::socket::{packet_pair, send};
use crate::wire;

/// What the parent has prepared.
#[derive(Debug)]
pub struct Criu<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its environment.
    pub env: &'a [CString],
    /// The directory of the images, and the one of everything else.
    pub directories: [&'a Path; 2],
    /// Takes the runtime's end of CRIU's socket.
    pub meeting: &'a OwnedFd,
    /// Descriptors that it keeps, by their numbers.
    pub inherited: &'a [OwnedFd],
    /// Its standard input, output and error; none: the caller's.
    pub stdio: Option<&'a Stdio>,
    /// Way into the cgroups.
    pub entry: &'a Entry,
    /// What a restore finds.
    pub stage: Option<&'a Stage<'a>>,
    /// Way to the runtime, until the program has taken over.
    pub wire: &'a wire::Child,
}

/// What a restore finds in a mount namespace of its own.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// The container.
    pub plan: &'a Plan,
    /// The directory that the root file system is mounted on. CRIU wants a mount of its own, with nothing on top of what
    /// is above it.
    pub root: &'a Path,
    /// The directory that gets what masked paths are covered with.
    pub covers: &'a Path,
}

/// Becomes CRIU. Comes back only with a failure, which the runtime has been told.
pub fn run(criu: &Criu<'_>) -> Error {
    let Err(error) = become_criu(criu);
    criu.wire.fail(&error);
    error
}

fn become_criu(criu: &Criu<'_>) -> Result<Infallible> {
    join_cgroups(criu.entry, criu.wire)?;
    if let Some(stage) = criu.stage {
        stage.set()?;
    }
    criu.stdio.map_or(Ok(()), session::take_stdio)?;
    let what = || format!("start {}", criu.program.display());
    signals::default_all().or_fail("rt_sigaction", what)?;
    signals::unblock_all().or_fail("rt_sigprocmask", what)?;
    cloexec_from(3).or_fail("close_range", what)?;
    let (runtime_end, socket) = packet_pair().or_fail("socketpair", what)?;
    let [images, work] = criu.directories;
    let (images, work) = (open_directory(images)?, open_directory(work)?);
    let keep = criu.inherited.iter().chain([&socket, &images, &work]);
    keep.map(AsFd::as_fd).try_for_each(inherit).or_fail("fcntl", what)?;
    let told = [images.as_raw_fd(), work.as_raw_fd()].map(i32::to_le_bytes);
    send(criu.meeting, told.as_flattened(), Some(runtime_end.as_fd())).or_fail("sendmsg", what)?;
    let program = CString::new(criu.program.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(format!("{}: a path can't have a NUL", what())))?;
    let number =
        CString::new(socket.as_raw_fd().to_string()).map_err(|_| Error::invalid("a number has no NUL"))?;
    let args: [&CStr; 3] = [c"criu", c"swrk", &number];
    nix::unistd::execve(&program, &args, criu.env).or_fail("execve", what)
}

/// In a child of its own: brings up the loopback device of the network namespace that `pid` has, since CRIU leaves a new
/// one as the kernel makes it. Comes back only with a failure, which the runtime has been told.
pub fn loopback_up(pid: Pid, wire: &wire::Child) -> Error {
    let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
    let done = open_namespace(&path).and_then(|namespace| {
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .or_fail("setns", || format!("enter {}", path.display()))?;
        net::loopback_up()
    });
    match done {
        Ok(()) => exit_now(0),
        Err(error) => {
            wire.fail(&error);
            error
        }
    }
}

/// A directory that CRIU works in. It has to be opened in the mount namespace that CRIU is in.
fn open_directory(path: &Path) -> Result<OwnedFd> {
    nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .or_fail("open", || format!("open the checkpoint's directory {}", path.display()))
}

fn inherit(fd: BorrowedFd<'_>) -> nix::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

impl Stage<'_> {
    fn set(&self) -> Result<()> {
        rootfs::set_propagation("/", MsFlags::MS_SLAVE | MsFlags::MS_REC)?;
        self.make_mount_points()?;
        self.mount_root()?;
        let place = rootfs::host_directory(self.covers)
            .or_fail("open", || format!("open {}", self.covers.display()))?;
        hide::covers_at(&place)
    }

    /// The root file system, on a mount of its own.
    fn mount_root(&self) -> Result<Root> {
        let rootfs = &self.plan.rootfs;
        let failed = || format!("mount root file system {} for criu", rootfs.path.display());
        let tree = clone_tree(AT_FDCWD, &rootfs.path, true).or_fail("open_tree", failed)?;
        let private = Attr { propagation: MsFlags::MS_PRIVATE.bits(), ..Attr::default() };
        set_attr(&tree, private, true).or_fail("mount_setattr", failed)?;
        let place = rootfs::host_directory(self.root).or_fail("open", failed)?;
        attach(&tree, &place).or_fail("move_mount", failed)?;
        Ok(Root::new(tree))
    }

    /// CRIU mounts on what is there. What `create` would have made to mount on is made here, also below bind mounts,
    /// for which they are mounted meanwhile. What lies on a file system of the container comes with that.
    fn make_mount_points(&self) -> Result<()> {
        let root = self.mount_root()?;
        for (index, mount) in self.plan.mounts.iter().enumerate() {
            let before = self.plan.mounts.get(..index).unwrap_or_default();
            if !before.iter().any(|above| holds(above, mount)) {
                make_mount_point(&root, mount)
                    .map_err(|error| error.within(format!("mount \"/{}\"", mount.target.display())))?;
            }
        }
        drop(root);
        umount2(self.root, MntFlags::MNT_DETACH)
            .or_fail("umount2", || format!("clear {}", self.root.display()))
    }
}

/// Whether `mount` lies on the new file system that `above` is.
fn holds(above: &Mount, mount: &Mount) -> bool {
    !matches!(above.kind, Kind::Bind { .. })
        && mount.target != above.target
        && mount.target.starts_with(&above.target)
}

fn make_mount_point(root: &Root, mount: &Mount) -> Result<()> {
    let Kind::Bind { source, recursive } = &mount.kind else {
        return root.ensure(&mount.target, Make::Directory).map(drop);
    };
    let tree = mounts::open_source(source, *recursive)?;
    let make = if is_directory(&tree, &mount.target)? { Make::Directory } else { Make::File };
    let (target, _) = root.ensure(&mount.target, make)?;
    attach(&tree, &target).or_fail("move_mount", || "attach it")
}
