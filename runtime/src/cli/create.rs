//! pending
use super::Call;
use crate::error::{Error, Result};
pub(crate) fn create(_: &Call) -> Result<u8> {
    Err(Error::invalid("not there yet"))
}
pub(crate) fn run(_: &Call) -> Result<u8> {
    Err(Error::invalid("not there yet"))
}
