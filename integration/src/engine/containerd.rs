//! A private containerd, alone for the tests of ctr, or below dockerd. It must never use the host's sockets or state.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::symlink;

use super::image;
use super::room::{PATH, Room};
use super::shell::{Container, Shell};
use crate::host::{LIMIT, eventually};
use crate::host_process::{ends_within, send};
use crate::runtime_binary;

/// A containerd and the shell whose `ctr` talks to it.
#[derive(Debug)]
pub struct Containerd {
    shell: Shell,
    daemon: i32,
}

impl Containerd {
    /// Starts one that has the image `docker.io/library/busybox:latest`.
    pub fn new() -> Self {
        let room = Room::new("ctr");
        provide_shim(&room, "containerd-shim-pinnace-v2");
        let (socket, daemon) = start(&room);
        let shell = Shell::new(room);
        // ctr's containers have the cgroup /NAMESPACE/NAME: the namespace keeps them in the room's.
        let namespace = shell.room().cgroup().trim_start_matches('/');
        let ctr = format!("exec /usr/bin/ctr --address {socket} --namespace {namespace} \"$@\"");
        shell.script("ctr", &ctr);
        answers(&shell);
        let archive = image::oci_archive(shell.room(), &format!("docker.io/library/{}:latest", image::NAME));
        shell.output(&format!("ctr image import {}", archive.display()));
        Self { shell, daemon }
    }

    /// Ends containerd without a warning; its containers go on.
    pub fn kill(&self) {
        assert!(send(self.daemon, libc::SIGKILL), "no containerd to kill");
        assert!(ends_within(self.daemon, LIMIT), "containerd does not die\n{}", self.shell.room().logs());
    }

    /// Starts it again; returns when it answers.
    pub fn start_again(&mut self) {
        (_, self.daemon) = start(self.shell.room());
        answers(&self.shell);
    }

    /// A name for a container whose task and self are removed when the guard is dropped.
    pub fn named(&self, name: &str) -> Container<'_> {
        self.shell.named(name, "f() { ctr task rm --force $1; ctr container rm $1; }; f")
    }
}

impl Default for Containerd {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Containerd {
    type Target = Shell;

    fn deref(&self) -> &Shell {
        &self.shell
    }
}

fn answers(shell: &Shell) {
    let up = eventually(LIMIT, || (shell.sh("ctr version").code == 0).then_some(()));
    assert!(up.is_some(), "containerd does not answer\n{}", shell.room().logs());
}

/// Starts containerd in a room, without the plugin that serves Kubernetes; its socket and its pid.
pub(super) fn start(room: &Room) -> (String, i32) {
    let socket = room.path("containerd.sock");
    let config = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\naddress = {socket:?}\n",
        room.path("containerd"),
        room.path("containerd-state"),
    );
    let path = room.path("containerd.toml");
    fs::write(&path, config).expect("write containerd's configuration");
    let daemon = room.start(&["env", &search(room), "containerd", "--config", &path, "--log-level", "warn"]);
    (socket, daemon)
}

/// PATH with the room's shims in front, where containerd looks for what a runtime's name means.
fn search(room: &Room) -> String {
    format!("PATH={}:{PATH}", room.path("shims"))
}

/// Makes containerd find our shim under a name, if it was built beside the runtime under test.
pub(super) fn provide_shim(room: &Room, name: &str) {
    let shims = room.directory().join("shims");
    fs::create_dir_all(&shims).expect("make a directory for shims");
    let shim = runtime_binary().with_file_name("containerd-shim-pinnace-v2");
    if shim.is_file() {
        symlink(shim, shims.join(name)).expect("link the shim");
    }
}
