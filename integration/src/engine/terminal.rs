//! A command at a terminal, typed to and read as a user does. It must never wait without a limit.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::host::LIMIT;
use crate::host_process::Process;
use crate::host_terminal::{Pty, read_until};

/// A running command and the terminal that it has.
#[derive(Debug)]
pub struct Session {
    pty: Pty,
    process: Process,
    line: String,
    unread: String,
}

impl Session {
    pub(super) fn new(mut command: Command, line: &str, rows: u16, columns: u16) -> Self {
        let pty = Pty::new(rows, columns);
        pty.attach(&mut command);
        let process = Process::start(&mut command);
        // The command keeps its own copies of the slave's descriptor for as long as it may be started again.
        drop(command);
        Self { pty, process, line: line.to_owned(), unread: String::new() }
    }

    /// Reads until the word has come; what came with it. What came after it is there for the next look.
    #[track_caller]
    pub fn sees(&mut self, word: &str) -> String {
        let begin = Instant::now();
        while !self.unread.contains(word) && begin.elapsed() < LIMIT {
            let ended = self.process.wait(Duration::ZERO).is_some();
            let before = std::mem::take(&mut self.unread);
            let found = |more: &str| format!("{before}{more}").contains(word);
            let more = read_until(&self.pty.master, Duration::from_secs(1), found);
            self.unread = before + &more;
            if ended && more.is_empty() {
                break;
            }
        }
        let Some(start) = self.unread.find(word) else {
            panic!("{}: no {word:?} in {:?}", self.line, self.unread)
        };
        let rest = self.unread.split_off(start + word.len());
        std::mem::replace(&mut self.unread, rest)
    }

    /// Types these characters; "\r" is the return key.
    pub fn types(&self, keys: &str) {
        let mut master = File::from(self.pty.master.try_clone().expect("duplicate a terminal"));
        master.write_all(keys.as_bytes()).expect("type at a terminal");
    }

    /// Changes the size of the window.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.pty.resize(rows, columns);
    }

    /// Waits for the command's end; its exit code.
    #[track_caller]
    pub fn ends(mut self) -> i32 {
        let status = self.process.wait(LIMIT);
        let Some(status) = status else {
            panic!(
                "{} still runs; unread: {:?}",
                self.line,
                read_until(&self.pty.master, Duration::ZERO, |_| true)
            )
        };
        status.code().unwrap_or_else(|| panic!("{}: {status}", self.line))
    }
}
