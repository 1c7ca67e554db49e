//! What `podman` does with the runtime, as root: each test types the commands that a user would, to storage of its
//! own. It must never ask the runtime directly.

mod exec;
mod lifecycle;
mod pod;
mod run;

use std::sync::LazyLock;

use integration::engine::{Container, Podman};

/// The podman of this test program.
static PODMAN: LazyLock<Podman> = LazyLock::new(Podman::new);

/// A container that runs in the background and does nothing for ten minutes.
#[track_caller]
fn asleep<'a>(name: &str, flags: &str) -> Container<'a> {
    let container = PODMAN.named(name);
    PODMAN.output(&format!("podman run -d --name {container} {flags} busybox sleep 600"));
    container
}

/// A container in the background that runs a script, after it has said "ready".
#[track_caller]
fn scripted<'a>(name: &str, flags: &str, script: &str) -> Container<'a> {
    let container = PODMAN.named(name);
    PODMAN.output(&format!("podman run -d --name {container} {flags} busybox sh -c '{script}'"));
    PODMAN.comes_to(&format!("podman logs {container} | grep -x ready"), "ready");
    container
}
