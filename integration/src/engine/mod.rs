//! Engines for tests: dockerd, containerd and podman, each private to one test program, in a room of its own. Must
//! never show itself to the host's own engines, nor decide what is right; that stands in the tests.

mod containerd;
mod docker;
mod image;
mod kubernetes;
mod podman;
mod room;
mod shell;
mod terminal;
mod ttrpc;

pub use containerd::Containerd;
pub use docker::Docker;
pub use podman::Podman;
pub use shell::{Container, Shell};
pub use terminal::Session;
pub use ttrpc::Ttrpc;
