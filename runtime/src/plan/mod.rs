//! plan.

pub mod creds;
pub mod options;
