//! `start`: lets the process of a created container go.

use super::Call;
use crate::error::Result;

/// Starts the process.
pub(crate) fn start(call: &Call) -> Result<u8> {
    call.container()?.start()?;
    Ok(0)
}
