//! What many tests of docker begin with. The program that they are in has the daemon.

use integration::engine::Container;

use crate::DOCKER;

/// A container that runs in the background and does nothing for ten minutes.
#[track_caller]
pub fn asleep<'a>(name: &str, flags: &str) -> Container<'a> {
    let container = DOCKER.named(name);
    DOCKER.output(&format!("docker run -d --name {container} {flags} busybox sleep 600"));
    container
}

/// A container in the background that runs a script, after it has said "ready".
#[track_caller]
pub fn scripted<'a>(name: &str, flags: &str, script: &str) -> Container<'a> {
    let container = DOCKER.named(name);
    DOCKER.output(&format!("docker run -d --name {container} {flags} busybox sh -c '{script}'"));
    DOCKER.comes_to(&format!("docker logs {container} | grep -x ready"), "ready");
    container
}

/// A shell line that prints a cgroup file as the container sees it, in v2 or in v1.
pub fn cgroup_file(v2: &str, v1: &str) -> String {
    format!("sh -c 'cd /sys/fs/cgroup; cat {v2} 2>/dev/null || cat {v1}'")
}
