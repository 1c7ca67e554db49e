//! A bundle in a directory of its own: config.json as plain JSON (so that wrong ones can be written too), a rootfs
//! with the probe and busybox. Dropping it deletes its containers and searches the host for leftovers.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::{Runtime, bundle_config, host_leaks, host_process};

/// What busybox is called by in the rootfs.
const APPLETS: [&str; 16] = [
    "cat", "echo", "env", "false", "id", "kill", "ln", "ls", "mkdir", "mount", "ps", "sh", "sleep", "stat",
    "touch", "true",
];

/// A bundle and everything that belongs to one test.
#[derive(Debug)]
pub struct Bundle {
    /// What [`Bundle::write`] (and each `create` and `run`) writes to config.json.
    pub config: Value,
    name: String,
    directory: PathBuf,
    searched: bool,
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

impl Bundle {
    /// An ordinary bundle; its process is the probe, looking.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        host_process::become_subreaper();
        let name = format!("pinnace-test-{}-{}.", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(&name);
        let bundle =
            Self { config: bundle_config::ordinary(&format!("/{name}")), name, directory, searched: false };
        bundle.lay_out();
        bundle
    }

    fn lay_out(&self) {
        let rootfs = self.rootfs();
        let make = |path: &Path, mode| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(path)
                .expect("make a directory of the bundle");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set a directory's mode");
        };
        make(&self.directory, 0o755);
        for directory in ["bin", "dev", "etc", "proc", "sys", "root", "mnt", "home"] {
            make(&rootfs.join(directory), 0o755);
        }
        make(&rootfs.join("tmp"), 0o1777);
        host_process::without_forks(|| {
            fs::copy(probe(), rootfs.join("probe")).expect("copy the probe");
            fs::copy("/bin/busybox", rootfs.join("bin/busybox"))
                .expect("copy busybox (Debian: busybox-static)");
        });
        for applet in APPLETS {
            symlink("busybox", rootfs.join("bin").join(applet)).expect("link an applet");
        }
        fs::write(
            rootfs.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        )
        .expect("write passwd");
        fs::write(rootfs.join("etc/group"), "root:x:0:\nuser:x:1000:\n").expect("write group");
    }

    /// The runtime under test, with a state directory that belongs to this bundle.
    pub fn runtime(&self) -> Runtime {
        Runtime::new(self.directory.join("state"), self.directory.join("calls"))
    }

    /// Unique on this host while the test runs: the id to use for the first container, the name of its cgroup, and what
    /// every path of this test contains. It ends with a dot so that no other name begins with it.
    pub fn id(&self) -> &str {
        &self.name
    }

    /// Everything of this test is below here.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The bundle's directory as an argument.
    pub fn path(&self) -> String {
        self.directory.join("bundle").display().to_string()
    }

    /// The root file system as the host sees it.
    pub fn rootfs(&self) -> PathBuf {
        self.directory.join("bundle/rootfs")
    }

    /// A path for something of the test itself, outside of the bundle.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A new directory of the test's own, outside of the bundle.
    pub fn make_beside(&self, name: &str) -> PathBuf {
        let path = self.beside(name);
        fs::create_dir_all(&path).expect("make a directory beside the bundle");
        path
    }

    /// Writes `config` to config.json.
    pub fn write(&self) {
        self.write_raw(self.config.to_string().as_bytes());
    }

    /// Writes anything to config.json.
    pub fn write_raw(&self, bytes: &[u8]) {
        fs::write(self.directory.join("bundle/config.json"), bytes).expect("write config.json");
    }

    /// The probe's command line.
    pub fn probe(&mut self, words: &[&str]) -> &mut Self {
        let args: Vec<&str> = std::iter::once("/probe").chain(words.iter().copied()).collect();
        self.set("/process/args", json!(args))
    }

    /// Sets one field by its JSON pointer; missing objects on the way are made.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let (parent, field) = pointer.rsplit_once('/').expect("a JSON pointer begins with a slash");
        let mut place = &mut self.config;
        for part in parent.split('/').skip(1) {
            place = match place {
                Value::Array(items) => &mut items[part.parse::<usize>().expect("an array's index")],
                object => &mut object[part],
            };
        }
        place[field] = value;
        self
    }

    /// Appends to an array by its JSON pointer; made if it is missing.
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        if self.config.pointer(pointer).is_none() {
            self.set(pointer, json!([]));
        }
        self.config.pointer_mut(pointer).and_then(Value::as_array_mut).expect("an array").push(value);
        self
    }

    /// Removes a field by its JSON pointer.
    pub fn remove(&mut self, pointer: &str) -> &mut Self {
        let (parent, field) = pointer.rsplit_once('/').expect("a JSON pointer begins with a slash");
        if let Some(parent) = self.config.pointer_mut(parent).and_then(Value::as_object_mut) {
            parent.remove(field);
        }
        self
    }

    /// Appends a mount.
    pub fn mount(&mut self, destination: &str, kind: &str, source: &str, options: &[&str]) -> &mut Self {
        self.push(
            "/mounts",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// Drops the mount on a destination.
    pub fn unmount(&mut self, destination: &str) -> &mut Self {
        let mounts = self.config["mounts"].as_array_mut().expect("an array");
        mounts.retain(|mount| mount["destination"] != destination);
        self
    }

    /// Takes the host's namespace of that type.
    pub fn share(&mut self, kind: &str) -> &mut Self {
        self.config["linux"]["namespaces"].as_array_mut().expect("an array").retain(|ns| ns["type"] != kind);
        self
    }

    /// Joins a namespace by path.
    pub fn join(&mut self, kind: &str, path: &str) -> &mut Self {
        self.share(kind).push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    /// A new user namespace that maps 0 and up to `first` and up, `count` ids; the rootfs is given to them.
    pub fn map_users(&mut self, first: u32, count: u32) -> &mut Self {
        let map = json!([{"containerID": 0, "hostID": first, "size": count}]);
        self.share("user")
            .push("/linux/namespaces", json!({"type": "user"}))
            .set("/linux/uidMappings", map.clone())
            .set("/linux/gidMappings", map);
        give(&self.rootfs(), first);
        self
    }

    /// Deletes the containers and fails if the host still shows anything of this test. `drop` does it too.
    pub fn search(&mut self) {
        self.searched = true;
        let complaints = self.delete_all();
        let mut left = host_leaks::left_behind(&self.name);
        left.extend(complaints);
        left.extend(self.state_left());
        host_leaks::clear(&self.name);
        self.remove_directory();
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }

    fn state_left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.join("state")).into_iter().flatten().flatten();
        entries.map(|entry| format!("state {}", entry.path().display())).collect()
    }

    fn delete_all(&self) -> Vec<String> {
        let runtime = self.runtime();
        let mut complaints = Vec::new();
        for entry in fs::read_dir(self.directory.join("state")).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            let outcome = runtime.call(&["delete", "--force", &id]);
            if outcome.code != 0 {
                complaints.push(format!("delete --force {id}: exit {}: {}", outcome.code, outcome.stderr));
            }
        }
        complaints
    }

    fn remove_directory(&self) {
        // Never by a tool that crosses mounts: something of the host may still be mounted below after a failed test.
        let mounted = host_leaks::mounts().iter().any(|line| line.contains(&self.name));
        if !mounted {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if self.searched {
            return;
        }
        if std::thread::panicking() {
            self.delete_all();
            host_leaks::clear(&self.name);
            self.remove_directory();
        } else {
            self.search();
        }
    }
}

/// The probe's file: cargo builds it before it runs a test of this crate.
pub fn probe() -> PathBuf {
    const {
        assert!(
            cfg!(target_env = "musl"),
            "the probe must be static: use --target x86_64-unknown-linux-musl"
        );
    };
    built("probe")
}

/// The file of a program of this crate.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let directory = test.ancestors().find(|path| path.join(name).is_file());
    directory.unwrap_or_else(|| panic!("{name} is built beside the tests")).join(name)
}

fn give(path: &Path, owner: u32) {
    lchown(path, Some(owner), Some(owner))
        .unwrap_or_else(|e| panic!("give {} to {owner}: {e}", path.display()));
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("read a directory of the rootfs").flatten() {
            give(&entry.path(), owner);
        }
    }
}
