//! pending
use super::Call;
use crate::error::{Error, Result};
pub(crate) fn pause(_: &Call) -> Result<u8> {
    Err(Error::invalid("not there yet"))
}
pub(crate) fn resume(_: &Call) -> Result<u8> {
    Err(Error::invalid("not there yet"))
}
