//! checkpoint and restore with a real CRIU: what a container keeps, what is refused, what is left behind. Where no CRIU
//! works on this kernel, the tests say so and are skipped.

#![allow(clippy::unwrap_used)]

mod kept;
mod options;
mod refused;

use std::path::PathBuf;
use std::process::Command;

use integration::host::{LIMIT, eventually};
use integration::{Bundle, Outcome, Runtime, criu, skip};
use serde_json::json;

/// Counts in its memory and writes the number to a file. Standard input, output and error are the container's own: a
/// file of the host's would be none of the container's.
const COUNTER: &str = "exec </dev/null >/dev/null 2>&1; i=0; while :; do i=$((i+1)); echo $i > /new; mv /new /count; sleep 0.02; done";

/// A container, and a CRIU that works.
struct Room {
    bundle: Bundle,
    runtime: Runtime,
    criu: PathBuf,
    images: String,
}

impl Room {
    /// A bundle whose process is a shell with that script; `None` notes a skip.
    #[track_caller]
    fn new(script: &str) -> Option<Self> {
        let criu = match criu::working() {
            Ok(criu) => criu.clone(),
            Err(why) => {
                skip(why);
                return None;
            }
        };
        let mut bundle = Bundle::new();
        bundle.set("/process/args", json!(["/bin/sh", "-c", script]));
        bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "ro"]);
        let runtime = bundle.runtime();
        let images = bundle.beside("images").display().to_string();
        Some(Self { bundle, runtime, criu, images })
    }

    fn id(&self) -> &str {
        self.bundle.id()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bundle.rootfs().join(name)
    }

    /// Waits for a file of the container's, and reads it.
    #[track_caller]
    fn read(&self, name: &str) -> String {
        let file = self.file(name);
        let text = eventually(LIMIT, || std::fs::read_to_string(&file).ok().filter(|text| !text.is_empty()));
        text.unwrap_or_else(|| panic!("no {}", file.display())).trim().to_owned()
    }

    #[track_caller]
    fn count(&self) -> u64 {
        self.read("count").parse().unwrap()
    }

    /// Waits until the counter is higher than that.
    #[track_caller]
    fn counts_on(&self, from: u64) {
        assert!(eventually(LIMIT, || (self.count() > from).then_some(())).is_some(), "it stands at {from}");
    }

    fn command(&self, verb: &str, more: &[&str]) -> Command {
        let criu = self.criu.display().to_string();
        let words = [&["--criu", &criu, verb, "--image-path", &self.images], more, &[self.id()]].concat();
        self.runtime.command(&words)
    }

    #[track_caller]
    fn checkpoint(&self, more: &[&str]) -> Outcome {
        let outcome = self.runtime.finish(self.command("checkpoint", more));
        integration::host_process::reap_orphans();
        outcome
    }

    #[track_caller]
    fn restore(&self, more: &[&str]) -> Outcome {
        let bundle = self.bundle.path();
        let more = [&["--detach", "--bundle", &bundle], more].concat();
        self.runtime.finish(self.command("restore", &more))
    }

    /// Fails the test if there is a container.
    #[track_caller]
    fn is_gone(&self) {
        self.runtime.call(&["state", self.id()]).fails(1, &["container does not exist"]);
        self.runtime.leaves_nothing(self.id());
    }
}
