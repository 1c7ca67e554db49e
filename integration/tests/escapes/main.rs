//! The ways out of a container that were found in runtimes so far, tried on ours: each test is named after what it
//! prevents, with the CVEs in its first line. One file per class of docs/security.md; what another test program asks
//! already stands there. It must never try anything on the host outside of the test's own directory.

#![allow(clippy::unwrap_used)]

mod control;
mod descriptors;
mod executable;
mod host;
mod objects;
mod paths;
mod procfs;
mod race;
mod release;
mod verify;
