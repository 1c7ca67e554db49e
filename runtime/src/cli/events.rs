//! pending
use super::Call;
use crate::error::{Error, Result};
pub(crate) fn events(_: &Call) -> Result<u8> {
    Err(Error::invalid("not there yet"))
}
