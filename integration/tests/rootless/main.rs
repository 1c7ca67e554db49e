//! The runtime as an ordinary user: a user namespace of its own, cgroups as far as somebody has given it any, and its
//! state below its own XDG_RUNTIME_DIR. Touches no user's files but those that it makes.

#![allow(clippy::unwrap_used)]

mod life;
mod maps;
mod systemd;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use integration::host_process::without_forks;
use integration::runtime_bin::Outcome;
use integration::{Bundle, Runtime, runtime_binary};
use serde_json::{Value, json};

/// A user whom nobody knows.
const NOBODYS: u32 = 65_500;

/// A bundle that belongs to an ordinary user, and what is his.
struct Home {
    bundle: Bundle,
    uid: u32,
    /// A copy of the runtime: the one under test may lie where he can't go.
    binary: PathBuf,
    runtime_dir: PathBuf,
}

impl Home {
    /// For a user with a single id, mapped to root inside.
    fn new() -> Self {
        let mut home = Self::of(NOBODYS);
        home.map(&json!([{"containerID": 0, "hostID": NOBODYS, "size": 1}]));
        home
    }

    fn of(uid: u32) -> Self {
        let mut bundle = Bundle::new();
        let binary = bundle.beside("pinnace");
        without_forks(|| fs::copy(runtime_binary(), &binary).unwrap());
        let runtime_dir = bundle.make_beside("run");
        bundle.share("network").remove("/linux/resources");
        // What a user can't mount or own.
        bundle.unmount("/sys").unmount("/dev/pts").remove("/linux/cgroupsPath");
        bundle.push("/linux/namespaces", json!({"type": "user"}));
        bundle.probe(&["sleep"]);
        Self { bundle, uid, binary, runtime_dir }
    }

    fn map(&mut self, map: &Value) {
        self.bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map.clone());
    }

    fn runtime(&self) -> Runtime {
        self.bundle.runtime()
    }

    /// A command as that user.
    fn command(&self, program: &str) -> Command {
        self.bundle.write();
        let directory = self.bundle.directory().display().to_string();
        let owner = format!("{0}:{0}", self.uid);
        let done =
            without_forks(|| Command::new("chown").args(["-R", "-h", &owner, &directory]).status().unwrap());
        assert!(done.success());
        let mut command = Command::new(program);
        command.uid(self.uid).gid(self.uid).current_dir(self.bundle.path()).stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.bundle.directory()).env("XDG_RUNTIME_DIR", &self.runtime_dir);
        command
    }

    /// The runtime as that user, with the flags that it would have from a shell.
    #[track_caller]
    fn call(&self, args: &[&str]) -> Outcome {
        let mut command = self.command(self.binary.to_str().unwrap());
        command.args(args);
        self.runtime().finish(command)
    }

    fn id(&self) -> &str {
        self.bundle.id()
    }

    /// Makes and starts the container; its init's pid.
    #[track_caller]
    fn start(&self, flags: &[&str]) -> i32 {
        self.call(&[flags, &["run", "--detach", self.id()]].concat()).ok();
        self.state()["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap()
    }

    #[track_caller]
    fn state(&self) -> Value {
        self.call(&["state", self.id()]).ok().json()
    }

    #[track_caller]
    fn delete(&self) {
        self.call(&["delete", "--force", self.id()]).ok();
        let left = self.runtime_dir.join("pinnace").join(self.id());
        assert!(!left.exists(), "left behind: {}", left.display());
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ =
                self.command(self.binary.to_str().unwrap()).args(["delete", "--force", self.id()]).status();
        }
    }
}
