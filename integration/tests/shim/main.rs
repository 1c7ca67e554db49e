//! What containerd's `ctr` does with our shim: each test types the commands that a user would, to a containerd of its
//! own. It must never ask the shim directly.

#[path = "../ctr/run.rs"]
mod run;
#[path = "../ctr/scene.rs"]
mod scene;
#[path = "../ctr/task.rs"]
mod task;

mod bootstrap;
mod checkpoint;
mod events;
mod exec;
mod faults;
mod loops;
mod streams;
mod survival;

use std::sync::LazyLock;

use integration::engine::Containerd;
use scene::{IMAGE, asleep};

/// The containerd of this test program.
static CTR: LazyLock<Containerd> = LazyLock::new(Containerd::new);

/// How a user chooses our shim.
const RUN: &str = "ctr run --runtime io.containerd.pinnace.v2";
/// A shell line's words that find the pid of a container's shim.
fn shim_of(name: &str) -> String {
    format!("pgrep -f '[c]ontainerd-shim-pinnace-v2 .*-id {name} '")
}
