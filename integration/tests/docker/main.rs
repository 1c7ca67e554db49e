//! What `docker` does with the runtime: each test types the commands that a user would, to a dockerd of its own whose
//! default runtime it is. It must never ask the runtime directly.

mod build;
mod command;
mod daemon;
mod exec;
mod files;
mod info;
mod lifecycle;
mod limits;
mod network;
mod observe;
mod security;
mod sharing;
mod signals;
mod terminal;
mod volumes;

use std::sync::LazyLock;

use integration::engine::{Container, Docker};

/// The dockerd of this test program.
static DOCKER: LazyLock<Docker> = LazyLock::new(Docker::new);

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
