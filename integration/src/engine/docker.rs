//! A private dockerd with the runtime under test as its default, and the shell whose `docker` talks to it. It must
//! never use the host's sockets, state, configuration or bridge.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use serde_json::json;

use super::containerd;
use super::image;
use super::room::Room;
use super::shell::{Container, Shell};
use crate::host::{LIMIT, eventually};
use crate::runtime_binary;

/// A dockerd and the shell whose `docker` talks to it.
#[derive(Debug)]
pub struct Docker {
    shell: Shell,
}

impl Docker {
    /// Starts one that has the image `busybox`, and `pinnace` as its default runtime.
    pub fn new() -> Self {
        Self::configured(true)
    }

    /// Starts one that knows `pinnace` beside its own default runtime.
    pub fn with_default_runc() -> Self {
        Self::configured(false)
    }

    fn configured(default: bool) -> Self {
        let room = Room::new("docker");
        let containerd = containerd::start(&room);
        let mut config = json!({ "runtimes": { "pinnace": { "path": runtime_binary() } } });
        if default {
            config["default-runtime"] = json!("pinnace");
        }
        fs::write(room.path("daemon.json"), config.to_string()).expect("write daemon.json");
        let host = format!("unix://{}", room.path("docker.sock"));
        let flags = [
            ("--config-file", room.path("daemon.json")),
            ("--containerd", containerd.clone()),
            ("--data-root", room.path("docker")),
            ("--exec-root", room.path("docker-exec")),
            ("--pidfile", room.path("docker.pid")),
            ("--host", host.clone()),
            ("--cgroup-parent", room.cgroup().to_owned()),
            ("--exec-opt", "native.cgroupdriver=cgroupfs".to_owned()),
            ("--log-level", "warn".to_owned()),
        ];
        let words = flags.iter().flat_map(|(flag, value)| [*flag, value.as_str()]);
        let words: Vec<&str> = std::iter::once("dockerd").chain(words).collect();
        let answers = eventually(LIMIT, || Path::new(&containerd).exists().then_some(()));
        assert!(answers.is_some(), "containerd does not listen\n{}", room.logs());
        room.start(&words);
        let mut shell = Shell::new(room);
        shell.set("DOCKER_HOST", &host);
        // The command line tool of Debian, where there is also another.
        if Path::new("/usr/bin/docker").exists() {
            shell.script("docker", "exec /usr/bin/docker \"$@\"");
        }
        let up = eventually(LIMIT, || (shell.sh("docker version").code == 0).then_some(()));
        assert!(up.is_some(), "dockerd does not answer\n{}", shell.room().logs());
        let archive = image::tar(shell.room());
        shell.output(&format!("docker import --change 'CMD [\"sh\"]' {} {}", archive.display(), image::NAME));
        Self { shell }
    }

    /// A name for a container that is removed, with its volumes, when the guard is dropped.
    pub fn named(&self, name: &str) -> Container<'_> {
        self.shell.named(name, "docker rm --force --volumes")
    }
}

impl Default for Docker {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Docker {
    type Target = Shell;

    fn deref(&self) -> &Shell {
        &self.shell
    }
}
