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
mod scene;
mod security;
mod sharing;
mod signals;
mod terminal;
mod volumes;

use std::sync::LazyLock;

use integration::engine::Docker;
use scene::{asleep, cgroup_file, scripted};

/// The dockerd of this test program.
static DOCKER: LazyLock<Docker> = LazyLock::new(Docker::new);
