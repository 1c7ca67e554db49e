//! What many tests of ctr begin with. The program that they are in has the daemon and chooses the shim.

use integration::engine::Container;

use crate::{CTR, RUN};

/// The image that the tests run.
pub const IMAGE: &str = "docker.io/library/busybox:latest";

/// A container that runs in the background and does nothing for ten minutes.
#[track_caller]
pub fn asleep<'a>(name: &str, flags: &str) -> Container<'a> {
    let container = CTR.named(name);
    CTR.output(&format!("{RUN} -d {flags} {IMAGE} {container} sleep 600"));
    container
}
