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

use integration::engine::{Container, Docker};

/// The dockerd of this test program.
static DOCKER: LazyLock<Docker> = LazyLock::new(Docker::on_our_shim);

/// A container that runs in the background and does nothing for ten minutes.
#[track_caller]
fn asleep<'a>(name: &str, flags: &str) -> Container<'a> {
    let container = DOCKER.named(name);
    DOCKER.output(&format!("docker run -d --name {container} {flags} busybox sleep 600"));
    container
}

/// A container in the background that runs a script, after it has said "ready".
#[track_caller]
fn scripted<'a>(name: &str, flags: &str, script: &str) -> Container<'a> {
    let container = DOCKER.named(name);
    DOCKER.output(&format!("docker run -d --name {container} {flags} busybox sh -c '{script}'"));
    DOCKER.comes_to(&format!("docker logs {container} | grep -x ready"), "ready");
    container
}

/// A shell line that prints a cgroup file as the container sees it, in v2 or in v1.
fn cgroup_file(v2: &str, v1: &str) -> String {
    format!("sh -c 'cd /sys/fs/cgroup; cat {v2} 2>/dev/null || cat {v1}'")
}

#[test]
fn the_shim_of_a_container_is_ours() {
    let name = asleep("shim-ours", "");
    let pid = DOCKER.output(&format!("docker inspect --format '{{{{.State.Pid}}}}' {name}"));
    DOCKER.output(&format!(
        "shim=$(awk '/^PPid/ {{ print $2 }}' /proc/{pid}/status); \
         grep -aq io.containerd.pinnace.v2 /proc/$shim/exe && grep -x 'Threads:\t1' /proc/$shim/status"
    ));
}
