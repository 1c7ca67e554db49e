//! Peak RSS of a program. A small process asks, since a child counts what its parent had when it was cloned.

use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

use crate::Result;

/// Runs the program, passes its status on, and prints its peak (or a child's, if that was higher) in KiB.
pub(crate) fn peak(program: &str, args: &[&str]) -> Result<u8> {
    let status = Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
}
