//! init.

pub mod console;
pub mod creds;
pub mod labels;
mod procfs;
pub mod program;
mod refusal;
pub mod session;
