//! A private dockerd with the runtime under test as its default, and the shell whose `docker` talks to it. It must
//! never use the host's sockets, state, configuration or bridge.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use serde_json::{Value, json};

use super::containerd;
use super::image;
use super::room::{Room, program};
use super::shell::{Container, Shell};
use crate::host::{LIMIT, eventually};
use crate::host_process::{ends_within, send};
use crate::runtime_binary;

/// A dockerd and the shell whose `docker` talks to it.
#[derive(Debug)]
pub struct Docker {
    shell: Shell,
    daemon: i32,
}

impl Docker {
    /// Starts one that has the image `busybox`, and `pinnace` as its default runtime.
    pub fn new() -> Self {
        Self::with(&json!({ "default-runtime": "pinnace" }), "true")
    }

    /// Starts one whose containerd finds our shim where it looks for runc's.
    pub fn on_our_shim() -> Self {
        Self::with(&json!({ "default-runtime": "pinnace" }), Self::OUR_SHIM)
    }

    /// Prepares a room so that its containerd finds our shim where it looks for runc's.
    pub const OUR_SHIM: &str = "mkdir -p $ROOM/shims && \
         ln -s $(dirname $PINNACE)/containerd-shim-pinnace-v2 $ROOM/shims/containerd-shim-runc-v2";

    /// Starts one that knows `pinnace`, with more settings of daemon.json, after a shell line that prepares the room.
    pub fn with(settings: &Value, prepare: &str) -> Self {
        let mut config = json!({ "runtimes": { "pinnace": { "path": runtime_binary() } } });
        for (key, value) in settings.as_object().into_iter().flatten() {
            match value.as_object().filter(|_| key == "runtimes") {
                Some(more) => more.iter().for_each(|(name, runtime)| config[key][name] = runtime.clone()),
                None => config[key] = value.clone(),
            }
        }
        let room = Room::new("docker");
        let containerd = containerd::start(&room);
        let mut shell = Shell::new(room);
        if !shell.translates_addresses() {
            config["iptables"] = false.into();
            config["ip6tables"] = false.into();
        }
        fs::write(shell.room().path("daemon.json"), config.to_string()).expect("write daemon.json");
        shell.set("DOCKER_HOST", &format!("unix://{}", shell.room().path("docker.sock")));
        shell.script("docker", &format!("exec {} \"$@\"", program("docker")));
        shell.output(prepare);
        let answers = eventually(LIMIT, || Path::new(&containerd).exists().then_some(()));
        assert!(answers.is_some(), "containerd does not listen\n{}", shell.room().logs());
        let mut docker = Self { shell, daemon: 0 };
        docker.start();
        let archive = image::tar(docker.room());
        docker.output(&format!(
            "docker import --change 'CMD [\"sh\"]' {} {}",
            archive.display(),
            image::NAME
        ));
        docker
    }

    /// Starts dockerd; returns when it answers.
    pub fn start(&mut self) {
        let room = self.shell.room();
        let flags = [
            ("--config-file", room.path("daemon.json")),
            ("--containerd", room.path("containerd.sock")),
            ("--data-root", room.path("docker")),
            ("--exec-root", room.path("docker-exec")),
            ("--pidfile", room.path("docker.pid")),
            ("--host", format!("unix://{}", room.path("docker.sock"))),
            ("--cgroup-parent", room.cgroup().to_owned()),
            ("--exec-opt", "native.cgroupdriver=cgroupfs".to_owned()),
            ("--log-level", "warn".to_owned()),
        ];
        let words = flags.iter().flat_map(|(flag, value)| [*flag, value.as_str()]);
        let words: Vec<&str> = std::iter::once("dockerd").chain(words).collect();
        self.daemon = room.start(&words);
        let up = eventually(LIMIT, || (self.shell.sh("docker version").code == 0).then_some(()));
        assert!(up.is_some(), "dockerd does not answer\n{}", self.shell.room().logs());
    }

    /// Ends dockerd as its service manager does.
    pub fn stop(&self) {
        assert!(send(self.daemon, libc::SIGTERM), "no dockerd to stop");
        assert!(ends_within(self.daemon, LIMIT), "dockerd does not stop\n{}", self.shell.room().logs());
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
