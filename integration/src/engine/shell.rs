//! Command lines as a user types them, run in an engine's room, and what they said. It must never wait without a
//! limit, nor add a flag that the line does not show.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::room::{Room, SEARCH};
use super::terminal::Session;
use crate::host::{LIMIT, eventually};
use crate::runtime_bin::Running;
use crate::{Outcome, runtime_binary};

/// A shell whose `docker`, `podman` or `ctr` is that of a private engine. `$PINNACE` is the runtime under test and
/// `$ROOM` a directory for files.
#[derive(Debug)]
pub struct Shell {
    room: Room,
    environment: Vec<(String, String)>,
}

impl Shell {
    pub(super) fn new(room: Room) -> Self {
        let environment = vec![
            ("PATH".to_owned(), format!("{}:{}", room.path("bin"), *SEARCH)),
            ("HOME".to_owned(), room.path("home")),
            ("ROOM".to_owned(), room.path("")),
            ("LC_ALL".to_owned(), "C".to_owned()),
            ("TERM".to_owned(), "dumb".to_owned()),
            ("PINNACE".to_owned(), runtime_binary().display().to_string()),
        ];
        fs::create_dir_all(room.path("home")).expect("make a home");
        Self { room, environment }
    }

    /// Sets a variable of the environment of each line.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Makes a name stand for a program: a script in the room's `bin`.
    pub fn script(&self, name: &str, body: &str) {
        let path = self.room.path(&format!("bin/{name}"));
        crate::host_process::without_forks(|| {
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("write a script");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make a script executable");
        });
    }

    /// The room around it.
    pub fn room(&self) -> &Room {
        &self.room
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(self.room.directory());
        self.room.enter(&mut command);
        command
    }

    /// Starts a line and leaves it running, without standard input.
    pub fn begin(&self, line: &str) -> Running {
        let mut command = self.command(line);
        command.stdin(Stdio::null());
        Running::start(&mut command, &self.room.directory().join("calls"), line.to_owned())
    }

    /// Runs a line to its end, whatever it says.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Outcome {
        self.begin(line).finish()
    }

    /// Runs a line that must succeed; its output, without the last line's end.
    #[track_caller]
    pub fn output(&self, line: &str) -> String {
        let outcome = self.sh(line);
        assert_eq!(outcome.code, 0, "{outcome}\n{}", self.room.logs());
        outcome.stdout.trim_end().to_owned()
    }

    /// Runs a line that must succeed and print exactly this, but for the last line's end.
    #[track_caller]
    pub fn prints(&self, line: &str, expected: &str) {
        let outcome = self.sh(line);
        assert!(
            outcome.code == 0 && outcome.stdout.trim_end() == expected,
            "wanted {expected:?} from {outcome}\n{}",
            self.room.logs()
        );
    }

    /// Runs a line that must end with this exit code and say these words on standard error.
    #[track_caller]
    pub fn fails(&self, line: &str, code: i32, words: &[&str]) {
        let outcome = self.sh(line);
        let said = words.iter().all(|word| outcome.stderr.contains(word));
        assert!(
            outcome.code == code && said,
            "wanted exit code {code} and {words:?} from {outcome}\n{}",
            self.room.logs()
        );
    }

    /// True where the kernel translates addresses: engines program that, unless they are told that it is not there.
    pub fn translates_addresses(&self) -> bool {
        self.sh("iptables -t nat -N asked && iptables -t nat -X asked").code == 0
    }

    /// Repeats a line until it succeeds and prints exactly this, as a user does who waits for something.
    #[track_caller]
    pub fn comes_to(&self, line: &str, expected: &str) {
        let mut last = String::new();
        let reached = eventually(LIMIT, || {
            let outcome = self.sh(line);
            last = outcome.to_string();
            let reached = outcome.code == 0 && outcome.stdout.trim_end() == expected;
            if !reached {
                std::thread::sleep(Duration::from_millis(100));
            }
            reached.then_some(())
        });
        assert!(reached.is_some(), "never {expected:?}: {last}\n{}", self.room.logs());
    }

    /// Types a line at a terminal of that size and leaves it running.
    pub fn terminal(&self, line: &str, rows: u16, columns: u16) -> Session {
        // A shell between would take control-C for itself too.
        Session::new(self.command(&format!("exec {line}")), line, rows, columns)
    }

    /// A name for a container that is removed by `removal NAME` when the guard is dropped.
    pub(super) fn named(&self, name: &str, removal: &'static str) -> Container<'_> {
        Container { shell: self, name: name.to_owned(), removal }
    }
}

/// The name of a container that a test makes; dropping it removes the container, if there is one.
#[derive(Debug)]
pub struct Container<'a> {
    shell: &'a Shell,
    name: String,
    removal: &'static str,
}

impl fmt::Display for Container<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.shell.begin(&format!("{} {}", self.removal, self.name)).finish_within(LIMIT);
    }
}
