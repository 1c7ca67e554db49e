//! The file that --pid-file names: written beside and renamed, so that a reader never sees half a number.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use nix::unistd::Pid;

use crate::error::{Error, OrFail, Result};

/// Writes `pid` without a newline, as runc does.
pub(super) fn write(path: &Path, pid: Pid) -> Result<()> {
    let failed = || format!("write pid file {}", path.display());
    let name = path.file_name().ok_or_else(|| Error::invalid(format!("{}: is no file name", failed())))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    let beside = path.with_file_name(hidden);
    let open = || OpenOptions::new().write(true).create_new(true).open(&beside);
    let file = match open() {
        // Left by one that was killed in the middle of this.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            std::fs::remove_file(&beside).or_fail("unlink", failed)?;
            open()
        }
        other => other,
    };
    let mut file = file.or_fail("open", failed)?;
    let written = file.write_all(pid.to_string().as_bytes()).or_fail("write", failed);
    written.and_then(|()| std::fs::rename(&beside, path).or_fail("rename", failed)).inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}
