//! The runtime under test: its file, a call of it, and what the call said. It must never wait without a limit.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::host::{self, LIMIT, eventually};
use crate::host_mounts::HostMounts;
use crate::host_process::{self, Process};
use crate::{Bundle, host_leaks};

/// The file under test: `PINNACE_BIN`, else `bin/pinnace` of the workspace.
pub fn runtime_binary() -> PathBuf {
    let path =
        std::env::var_os("PINNACE_BIN").map_or_else(|| host::workspace().join("bin/pinnace"), PathBuf::from);
    assert!(path.is_file(), "no runtime at {}: make build, or set PINNACE_BIN", path.display());
    path
}

/// True when `PINNACE_BIN` is another runtime that stands in to test the tests, and it lacks what the test expects: the
/// test is noted as skipped and the caller returns. `what` says what the stand-in does instead.
#[track_caller]
pub fn stand_in_lacks(what: &str) -> bool {
    if stands_in() {
        host::skip(&format!("stand-in: {what}"));
    }
    stands_in()
}

fn stands_in() -> bool {
    runtime_binary().file_name().is_some_and(|name| name != "pinnace")
}

/// What a call said.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code, 128+n after signal n.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// For the message of a failed assertion.
    call: String,
}

impl Outcome {
    /// Fails the test unless the exit code is 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// Fails the test unless the exit code is that one and standard error contains each of the words.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in: {self}");
        }
        self
    }

    /// Fails the test unless the runtime refused with exit code 1 and one line on standard error that contains each of
    /// the words. Of a stand-in only the exit code is asked.
    #[track_caller]
    pub fn refuses(self, words: &[&str]) -> Self {
        if stands_in() {
            return self.fails(1, &[]);
        }
        assert_eq!(self.lines().len(), 1, "not one line: {self}");
        self.fails(1, words)
    }

    /// Standard output as JSON: what the probe saw, a state.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON: {e}: {self}"))
    }

    /// Standard error as log lines, the empty ones left out.
    pub fn lines(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| !line.trim().is_empty()).collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short: String = self.stdout.chars().take(2000).collect();
        write!(f, "{} → {}\nstdout: {short}\nstderr: {}", self.call, self.code, self.stderr)
    }
}

/// The runtime with a state directory of its own.
#[derive(Debug)]
pub struct Runtime {
    root: PathBuf,
    calls: PathBuf,
}

impl Runtime {
    pub(crate) fn new(root: PathBuf, calls: PathBuf) -> Self {
        fs::create_dir_all(&calls).expect("make a directory for the outputs of calls");
        Self { root, calls }
    }

    /// The `--root`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the outputs of its calls are kept.
    pub(crate) fn calls(&self) -> &Path {
        &self.calls
    }

    /// A command of the runtime with its `--root` and no standard input.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(runtime_binary());
        command.arg("--root").arg(&self.root).args(args).stdin(Stdio::null());
        command
    }

    /// Calls the runtime and waits for it.
    #[track_caller]
    pub fn call(&self, args: &[&str]) -> Outcome {
        self.finish(self.command(args))
    }

    /// Waits for a command that [`Runtime::command`] made and the test has changed.
    #[track_caller]
    pub fn finish(&self, command: Command) -> Outcome {
        self.begin(command).finish()
    }

    /// Starts a command and leaves it running.
    pub fn begin(&self, mut command: Command) -> Running {
        let words: Vec<_> =
            command.get_args().skip(2).map(|arg| arg.to_string_lossy().into_owned()).collect();
        Running::start(&mut command, &self.calls, words.join(" "))
    }

    /// `run` in the foreground, with more arguments between the command and the id.
    #[track_caller]
    pub fn run_with(&self, bundle: &Bundle, more: &[&str]) -> Outcome {
        bundle.write();
        let path = bundle.path();
        let args: Vec<&str> = [&["run", "--bundle", &path], more, &[bundle.id()]].concat();
        self.call(&args)
    }

    /// `run` in the foreground.
    #[track_caller]
    pub fn run(&self, bundle: &Bundle) -> Outcome {
        self.run_with(bundle, &[])
    }

    /// `run` where the runtime finds more mounts on its host.
    #[track_caller]
    pub fn run_among(&self, bundle: &Bundle, mounts: HostMounts) -> Outcome {
        bundle.write();
        let mut command = self.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
        mounts.apply(&mut command);
        self.finish(command)
    }

    /// `run` of a bundle whose process is the probe, looking; what it saw.
    #[track_caller]
    pub fn see(&self, bundle: &Bundle) -> Value {
        self.run(bundle).ok().json()
    }

    /// `create`, with more arguments between the command and the id.
    #[track_caller]
    pub fn create_with(&self, bundle: &Bundle, more: &[&str]) -> Outcome {
        bundle.write();
        let path = bundle.path();
        let args: Vec<&str> = [&["create", "--bundle", &path], more, &[bundle.id()]].concat();
        self.call(&args)
    }

    /// `create`; the init's pid.
    #[track_caller]
    pub fn create(&self, bundle: &Bundle) -> i32 {
        self.create_with(bundle, &[]).ok();
        self.pid(bundle.id())
    }

    /// `create` and `start`; the init's pid.
    #[track_caller]
    pub fn start(&self, bundle: &Bundle) -> i32 {
        let pid = self.create(bundle);
        self.call(&["start", bundle.id()]).ok();
        pid
    }

    /// `exec` of the probe.
    #[track_caller]
    pub fn exec(&self, id: &str, words: &[&str]) -> Outcome {
        self.call(&[&["exec", id, "/probe"], words].concat())
    }

    /// What `state` says.
    #[track_caller]
    pub fn state(&self, id: &str) -> Value {
        self.call(&["state", id]).ok().json()
    }

    /// The status in `state`.
    #[track_caller]
    pub fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().expect("a status").to_owned()
    }

    /// The pid in `state`.
    #[track_caller]
    pub fn pid(&self, id: &str) -> i32 {
        self.state(id)["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid")
    }

    /// Waits until `state` shows that status.
    #[track_caller]
    pub fn wait_for(&self, id: &str, status: &str) {
        let reached = eventually(LIMIT, || {
            host_process::reap_orphans();
            (self.status(id) == status).then_some(())
        });
        assert!(reached.is_some(), "{id} is {}, not {status}", self.status(id));
    }

    /// Fails the test unless nothing of that name is left in the state directory, in a cgroup, as a mount or process.
    #[track_caller]
    pub fn leaves_nothing(&self, id: &str) {
        let left = host_leaks::left_behind(&format!("/{id}"));
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
        assert!(!self.root.join(id).exists(), "left behind: {}", self.root.join(id).display());
    }
}

/// A call that was started.
#[derive(Debug)]
pub struct Running {
    /// The runtime's process.
    pub process: Process,
    stdout: PathBuf,
    stderr: PathBuf,
    call: String,
}

impl Running {
    /// Starts a command whose outputs go to files in the directory `calls`; `call` names it in messages.
    pub fn start(command: &mut Command, calls: &Path, call: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Files, not pipes: a detached container keeps them, and nobody waits for their end.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let [stdout, stderr] = ["out", "err"].map(|name| calls.join(format!("{number}.{name}")));
        let open = |path: &Path| File::create(path).expect("make a file for a call's output");
        command.stdout(open(&stdout)).stderr(open(&stderr));
        Self { process: Process::start(command), stdout, stderr, call }
    }

    /// What it has written to standard output so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    /// Waits until standard output contains a word.
    #[track_caller]
    pub fn says(&self, word: &str) {
        eventually(LIMIT, || {
            let over = host_process::ends_within(self.process.pid(), Duration::ZERO);
            (over || self.output().contains(word)).then_some(())
        });
        let complaint = fs::read_to_string(&self.stderr).unwrap_or_default();
        assert!(
            self.output().contains(word),
            "{}: no {word:?} in {:?}: {complaint}",
            self.call,
            self.output()
        );
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Outcome {
        let call = self.call.clone();
        self.finish_within(LIMIT).unwrap_or_else(|| panic!("{call} still runs after {LIMIT:?}"))
    }

    /// Waits for its end; `None` (and it is killed) if it takes longer.
    pub fn finish_within(mut self, limit: Duration) -> Option<Outcome> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.process.wait(limit)?;
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        Some(Outcome {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            call: self.call,
        })
    }
}
