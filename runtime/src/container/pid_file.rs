//! The file that --pid-file names: written beside and renamed, so that a reader never sees half a number.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
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
    let mut file = OpenOptions::new().write(true).create_new(true).open(&beside).or_fail("open", failed)?;
    file.write_all(pid.to_string().as_bytes()).or_fail("write", failed)?;
    std::fs::rename(&beside, path).or_fail("rename", failed)
}
