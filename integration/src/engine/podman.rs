//! A private podman that has the runtime under test. It must never use the host's storage, networks or configuration.

use std::fs;
use std::ops::Deref;

use super::image;
use super::room::Room;
use super::shell::{Container, Shell};
use crate::runtime_binary;

/// The shell whose `podman` has storage of its own.
#[derive(Debug)]
pub struct Podman {
    shell: Shell,
}

impl Podman {
    /// Makes storage that has the image `localhost/busybox`.
    pub fn new() -> Self {
        let room = Room::new("podman");
        let mut shell = Shell::new(room);
        let config = format!(
            // Podman would raise these for root, which needs CAP_SYS_RESOURCE.
            "[containers]\nlog_driver = \"k8s-file\"\ndefault_ulimits = [\"nofile=1024:2048\", \"nproc=4096:8192\"]\n\
             [engine]\nruntime = \"pinnace\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
             lock_type = \"file\"\n\
             [engine.runtimes]\npinnace = [\"{}\"]\n[network]\nnetwork_config_dir = {:?}\n",
            runtime_binary().display(),
            shell.room().path("networks"),
        );
        let path = shell.room().path("containers.conf");
        let firewall = if shell.translates_addresses() { "" } else { "firewall_driver = \"none\"\n" };
        fs::write(&path, config + firewall).expect("write containers.conf");
        // podman 5 warns on stderr, where the tests look, that cgroup v1 is deprecated.
        shell.set("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
        shell.set("CONTAINERS_CONF", &path);
        let [storage, runs, tmp] = ["storage", "runroot", "tmp"].map(|name| shell.room().path(name));
        let podman = format!("exec /usr/bin/podman --root {storage} --runroot {runs} --tmpdir {tmp}");
        let parent = format!("--cgroup-parent {}", shell.room().cgroup());
        // No setting but a flag of these commands keeps podman out of the host's /libpod_parent.
        let script = format!(
            "case \"$*\" in\n*--pod\\ * | *--pod=*) ;;\n\
             run\\ * | create\\ *) verb=$1; shift; {podman} $verb {parent} \"$@\" ;;\n\
             pod\\ create*) shift 2; {podman} pod create {parent} \"$@\" ;;\nesac\n{podman} \"$@\""
        );
        shell.script("podman", &script);
        let archive = image::tar(shell.room());
        shell.output(&format!("podman import --change 'CMD [\"sh\"]' {} {}", archive.display(), image::NAME));
        Self { shell }
    }

    /// A name for a container that is removed, with its volumes, when the guard is dropped.
    pub fn named(&self, name: &str) -> Container<'_> {
        self.shell.named(name, "podman rm --force --volumes --time 0")
    }
}

impl Default for Podman {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Podman {
    type Target = Shell;

    fn deref(&self) -> &Shell {
        &self.shell
    }
}
