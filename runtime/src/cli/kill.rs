//! `kill`: a signal to a container's init.

use super::{Call, signal};
use crate::error::{Kind, Result};

/// Sends the signal. `--all` is what engines of old said; it makes it no error that nothing runs.
pub(crate) fn kill(call: &Call) -> Result<u8> {
    let all = call.matches.on("all");
    let container = call.container()?;
    let signal = match call.matches.operands.get(1).map(String::as_str) {
        None | Some("") => libc::SIGTERM,
        Some(text) => signal::parse(text)?,
    };
    match container.kill(signal, all) {
        Err(error) if all && error.kind() == Kind::NotRunning => Ok(0),
        other => other.map(|()| 0),
    }
}
