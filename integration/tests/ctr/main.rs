//! What containerd's `ctr` does with the runtime below its runc shim: each test types the commands that a user would,
//! to a containerd of its own. It must never ask the runtime directly.

mod checkpoint;
mod run;
mod scene;
mod task;

use std::sync::LazyLock;

use integration::engine::Containerd;
use scene::{IMAGE, asleep};

/// The containerd of this test program.
static CTR: LazyLock<Containerd> = LazyLock::new(Containerd::new);

/// How a user chooses a runtime for containerd's runc shim.
const RUN: &str = "ctr run --runtime io.containerd.runc.v2 --runc-binary $PINNACE";
