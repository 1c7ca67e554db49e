//! A private containerd, alone for the tests of ctr, or below dockerd. It must never use the host's sockets or state.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::symlink;

use super::room::{Room, SEARCH, program};
use super::shell::{Container, Shell};
use super::{image, kubernetes};
use crate::host::{LIMIT, eventually};
use crate::host_process::{ends_within, send};
use crate::{criu, runtime_binary};

/// The name of its socket in the room.
const SOCKET: &str = "containerd.sock";
/// What containerd is told where it does not serve Kubernetes.
const NO_KUBERNETES: &str = "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";

/// A containerd and the shell whose `ctr` talks to it.
#[derive(Debug)]
pub struct Containerd {
    shell: Shell,
    daemon: i32,
    config: String,
}

impl Containerd {
    /// Starts one that has the image `docker.io/library/busybox:latest`.
    pub fn new() -> Self {
        let room = Room::new("ctr");
        // ctr's containers have the cgroup /NAMESPACE/NAME: the namespace keeps them in the room's.
        let namespace = room.cgroup().trim_start_matches('/').to_owned();
        Self::begin(Shell::new(room), &namespace, NO_KUBERNETES.to_owned())
    }

    /// Starts one that serves the CRI: the runtime handler `pinnace` is our shim, and pods are on a bridge.
    pub fn for_kubernetes() -> Self {
        let room = Room::new("cri");
        let config = kubernetes::config(&room);
        let shell = Shell::new(room);
        // The CNI library keeps its results there, whatever it is told.
        shell.output("mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni");
        let containerd = Self::begin(shell, "k8s.io", config);
        let archive = image::pause_archive(containerd.room(), kubernetes::PAUSE);
        containerd.output(&format!("ctr image import {}", archive.display()));
        containerd
    }

    fn begin(shell: Shell, namespace: &str, config: String) -> Self {
        provide_shim(shell.room(), "containerd-shim-pinnace-v2");
        let daemon = start_with(shell.room(), &config);
        let socket = shell.room().path(SOCKET);
        let ctr = format!("exec {} --address {socket} --namespace {namespace} \"$@\"", program("ctr"));
        shell.script("ctr", &ctr);
        answers(&shell);
        let archive = image::oci_archive(shell.room(), &format!("docker.io/library/{}:latest", image::NAME));
        shell.output(&format!("ctr image import {}", archive.display()));
        Self { shell, daemon, config }
    }

    /// The socket that it serves, as a path of the host's.
    pub fn socket(&self) -> String {
        self.shell.room().path(SOCKET)
    }

    /// The pid of containerd.
    pub fn pid(&self) -> i32 {
        self.daemon
    }

    /// Ends containerd without a warning; its containers go on.
    pub fn kill(&self) {
        assert!(send(self.daemon, libc::SIGKILL), "no containerd to kill");
        assert!(ends_within(self.daemon, LIMIT), "containerd does not die\n{}", self.shell.room().logs());
    }

    /// Starts it again; returns when it answers.
    pub fn start_again(&mut self) {
        self.daemon = start_with(self.shell.room(), &self.config);
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

/// Starts containerd in a room, without the plugin that serves Kubernetes; its socket.
pub(super) fn start(room: &Room) -> String {
    start_with(room, NO_KUBERNETES);
    room.path(SOCKET)
}

/// Starts containerd in a room with more lines of configuration; its pid.
fn start_with(room: &Room, more: &str) -> i32 {
    let config = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\n{more}[grpc]\naddress = {:?}\n",
        room.path("containerd"),
        room.path("containerd-state"),
        room.path(SOCKET),
    );
    let path = room.path("containerd.toml");
    fs::write(&path, config).expect("write containerd's configuration");
    room.start(&["env", &search(room), "containerd", "--config", &path, "--log-level", "warn"])
}

/// PATH with the room's shims in front, where containerd looks for what a runtime's name means.
fn search(room: &Room) -> String {
    format!("PATH={}:{}", room.path("shims"), *SEARCH)
}

/// Makes containerd find our shim under a name, if it was built beside the runtime under test.
pub(super) fn provide_shim(room: &Room, name: &str) {
    let shims = room.directory().join("shims");
    fs::create_dir_all(&shims).expect("make a directory for shims");
    let shim = runtime_binary().with_file_name("containerd-shim-pinnace-v2");
    if shim.is_file() {
        symlink(shim, shims.join(name)).expect("link the shim");
    }
    // A shim looks for it in its PATH, which is containerd's.
    if let Ok(criu) = criu::working() {
        let _ = symlink(criu, shims.join("criu"));
    }
}
