//! What containerd's `ctr` does with the runtime below its runc shim: each test types the commands that a user would,
//! to a containerd of its own. It must never ask the runtime directly.

mod checkpoint;
mod run;
mod task;

use std::sync::LazyLock;

use integration::engine::{Container, Containerd};

/// The containerd of this test program.
static CTR: LazyLock<Containerd> = LazyLock::new(Containerd::new);

/// How a user chooses a runtime for containerd's runc shim.
const RUN: &str = "ctr run --runtime io.containerd.runc.v2 --runc-binary $PINNACE";
/// The image that the tests run.
const IMAGE: &str = "docker.io/library/busybox:latest";

/// A container that runs in the background and does nothing for ten minutes.
#[track_caller]
fn asleep<'a>(name: &str, flags: &str) -> Container<'a> {
    let container = CTR.named(name);
    CTR.output(&format!("{RUN} -d {flags} {IMAGE} {container} sleep 600"));
    container
}
