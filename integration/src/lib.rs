//! The harness of the integration tests: bundles, the runtime under test, and what the host shows before and after.
//! It must never decide what is right; that stands in the tests.
//!
//! A test makes a [`Bundle`], changes its `config`, and calls the [`Runtime`] of it. When the bundle is dropped every
//! container of it is deleted with `delete --force` and the host is searched for anything that was left.
//!
//! `PINNACE_BIN` names the runtime under test (else `bin/pinnace` of the workspace). Another runtime may stand in for
//! it, to test the tests: see [`stand_in_lacks`].

// A panic is how a test fails, and an assertion hands its subject back for the next one.
#![allow(clippy::missing_panics_doc, clippy::return_self_not_must_use)]

pub mod bundle;
mod bundle_config;
pub mod criu;
pub mod engine;
pub mod host;
pub mod host_leaks;
pub mod host_mounts;
pub mod host_process;
pub mod host_terminal;
pub mod injection;
pub mod runtime_bin;

pub use bundle::Bundle;
pub use host::{eventually, skip};
pub use runtime_bin::{Outcome, Runtime, runtime_binary, stand_in_lacks};
