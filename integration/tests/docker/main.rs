//! What `docker` does with the runtime: each test types the command that a user would.

use std::sync::LazyLock;

use integration::engine::Docker;

/// The dockerd of this test program.
static DOCKER: LazyLock<Docker> = LazyLock::new(Docker::new);

#[test]
fn hello() {
    DOCKER.prints("docker run --rm busybox echo hello", "hello");
}
