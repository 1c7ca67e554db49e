//! `pause` and `resume`.

use super::Call;
use crate::error::Result;

/// Suspends all processes of a container.
pub(crate) fn pause(call: &Call) -> Result<u8> {
    call.container()?.pause()?;
    Ok(0)
}

/// Lets them go on.
pub(crate) fn resume(call: &Call) -> Result<u8> {
    call.container()?.resume()?;
    Ok(0)
}
