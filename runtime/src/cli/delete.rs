//! `delete`: removes a container and all that it holds.

use super::Call;
use crate::container;
use crate::container::id::Id;
use crate::error::Result;

/// Deletes a container; with `--force` whatever its state is, and if there is none it is as was asked for.
pub(crate) fn delete(call: &Call) -> Result<u8> {
    if call.matches.on("force") {
        container::delete_forced(&call.runtime, &Id::parse(call.matches.first())?)?;
    } else {
        call.container()?.delete()?;
    }
    Ok(0)
}
