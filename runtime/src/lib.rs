//! pinnace: an OCI runtime that stands in for runc.
//!
//! The corridor: config.json → [`spec`] → [`plan`] (pure) → [`launch`] (clone3) → [`init`] (the child, to execve),
//! with [`container`] as the parent's side of each verb. docs/design.md tells it in one page.

#![deny(unsafe_code)]

#[macro_use]
mod mutant;

pub mod cgroup;
pub mod cli;
pub mod container;
pub mod dbus;
pub mod error;
#[cfg(test)]
mod fuzz;
pub mod hook;
pub mod init;
pub mod launch;
pub mod net;
pub mod plan;
pub mod resctrl;
pub mod seccomp;
pub mod spec;
#[allow(unsafe_code, reason = "what needs it is here, and at the two clone calls of `launch`")]
pub mod sys;
pub mod trace;
pub mod wait;
pub mod wire;
