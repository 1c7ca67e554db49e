//! What `docker` does when its containerd has our shim in place of runc's: the same commands, and no runtime process.
//! It must never ask the shim directly.

#[path = "../docker/command.rs"]
mod command;
#[path = "../docker/exec.rs"]
mod exec;
#[path = "../docker/files.rs"]
mod files;
#[path = "../docker/lifecycle.rs"]
mod lifecycle;
#[path = "../docker/limits.rs"]
mod limits;
#[path = "../docker/network.rs"]
mod network;
#[path = "../docker/observe.rs"]
mod observe;
#[path = "../docker/scene.rs"]
mod scene;
#[path = "../docker/security.rs"]
mod security;
#[path = "../docker/sharing.rs"]
mod sharing;
#[path = "../docker/signals.rs"]
mod signals;
#[path = "../docker/terminal.rs"]
mod terminal;
#[path = "../docker/volumes.rs"]
mod volumes;

mod foreign;
mod newer;

use std::sync::LazyLock;

use integration::engine::Docker;
use scene::{asleep, cgroup_file, scripted};

/// The dockerd of this test program.
static DOCKER: LazyLock<Docker> = LazyLock::new(Docker::on_our_shim);

#[test]
fn the_shim_of_a_container_is_ours() {
    let name = asleep("shim-ours", "");
    let pid = DOCKER.output(&format!("docker inspect --format '{{{{.State.Pid}}}}' {name}"));
    DOCKER.output(&format!(
        "shim=$(awk '/^PPid/ {{ print $2 }}' /proc/{pid}/status); \
         grep -aq io.containerd.pinnace.v2 /proc/$shim/exe && grep -x 'Threads:\t1' /proc/$shim/status"
    ));
}
