//! What a container reaches as /proc/PID/exe must not be the runtime's file on the host (CVE-2019-5736): a write there
//! would give it the host. So the command runs itself again from a detached read-only mount, where a write is refused.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, FcntlArg, SealFlag, fcntl};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::error::{OrFail, Result};
use crate::sys::fs::memfd;
use crate::sys::mount::{Attr, clone_tree, set_attr};

/// What the sealed copy of the command is started with as a sign, behind which the arguments are as they were.
const EXE: &str = "/proc/self/exe";

/// Makes sure that this process runs from something that can't be written; comes back only if it does.
pub fn seal() -> Result<()> {
    let exe = File::open(EXE).or_fail("open", || "open the own executable")?;
    if mutant!("seal") || is_sealed(&exe)? {
        return Ok(());
    }
    let sealed = match readonly_mount() {
        Ok(fd) => fd,
        // Without CAP_SYS_ADMIN there are no mounts: a sealed copy in memory does the same for more time.
        Err(_) => sealed_copy(exe)?,
    };
    let args: Vec<CString> = std::env::args_os().filter_map(|a| CString::new(a.into_vec()).ok()).collect();
    let env: Vec<CString> = std::env::vars_os()
        .filter_map(|(key, value)| CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).ok())
        .collect();
    let flags = nix::fcntl::AtFlags::AT_EMPTY_PATH;
    let Err(errno) = nix::unistd::execveat(&sealed, c"", &args, &env, flags);
    Err(errno).or_fail("execveat", || "start the sealed executable")
}

fn is_sealed(exe: &File) -> Result<bool> {
    let wanted = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK;
    // EINVAL: not a memfd.
    let seals = fcntl(exe, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_truncate);
    if seals.contains(wanted) {
        return Ok(true);
    }
    let stat = fstatvfs(exe).or_fail("fstatvfs", || "look at the own executable")?;
    Ok(stat.flags().contains(FsFlags::ST_RDONLY))
}

fn readonly_mount() -> nix::Result<OwnedFd> {
    let tree = clone_tree(AT_FDCWD, Path::new(EXE), false)?;
    set_attr(&tree, Attr { set: libc::MOUNT_ATTR_RDONLY, ..Attr::default() }, false)?;
    Ok(tree)
}

fn sealed_copy(mut exe: File) -> Result<OwnedFd> {
    let copy = memfd("pinnace").or_fail("memfd_create", || "copy the own executable")?;
    let mut file = File::from(copy);
    io::copy(&mut exe, &mut file).or_fail("write", || "copy the own executable")?;
    let all =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(all)).or_fail("fcntl", || "seal the own executable")?;
    Ok(file.into())
}
