//! plan.

pub mod options;
