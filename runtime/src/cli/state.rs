//! `state`: what a container is doing, as JSON.

use super::{Call, print};
use crate::error::{Error, Result};

/// Prints the state, indented by two blanks and without a line end, as runc does.
pub(crate) fn state(call: &Call) -> Result<u8> {
    let state = call.container()?.oci_state()?;
    let text = serde_json::to_string_pretty(&state)
        .map_err(|error| Error::invalid(format!("write JSON: {error}")))?;
    print(&text)?;
    Ok(0)
}
