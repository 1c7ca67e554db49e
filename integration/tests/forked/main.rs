//! The parts of the library that change the process they run in, each in a child of its own: credentials, session,
//! terminal, scheduling, network; and hooks, whose parent has one thread as a shim has. This program is single-threaded
//! and brings its own harness, because only then a child may run on after a fork.

// A panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

mod console;
mod creds;
mod hooks;
mod net;
mod orphans;
mod schedule;
mod session;

use std::process::ExitCode;
use std::sync::Mutex;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};

/// A test: its name and what runs in the child, which panics if it fails.
type Case = (&'static str, fn());

/// Seconds after which a child that hangs is killed.
const LIMIT: u32 = 60;

/// What the library has warned of in this process.
struct Warnings(Mutex<Vec<String>>);

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

/// The warnings so far.
fn warnings() -> Vec<String> {
    WARNINGS.0.lock().unwrap().clone()
}

/// A field of this process's /proc/PID/status, its words.
fn status(field: &str) -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().split_whitespace().map(str::to_owned).collect()
}

fn main() -> ExitCode {
    log::set_logger(&WARNINGS).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    assert_eq!(std::fs::read_dir("/proc/self/task").unwrap().count(), 1, "this program has one thread");
    let filter = std::env::args().nth(1).filter(|word| !word.starts_with('-')).unwrap_or_default();
    let all = [
        creds::CASES,
        session::CASES,
        console::CASES,
        schedule::CASES,
        net::CASES,
        hooks::CASES,
        orphans::CASES,
    ]
    .concat();
    let (chosen, others): (Vec<Case>, Vec<Case>) =
        all.into_iter().partition(|(name, _)| name.contains(&filter));
    let mut failed = 0;
    for (name, run) in &chosen {
        let passed = in_child(*run);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    let (word, passed) = (if failed == 0 { "ok" } else { "FAILED" }, chosen.len() - failed);
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out",
        others.len()
    );
    ExitCode::from(u8::from(failed > 0))
}

/// Runs a case in a child; true if it came to its end.
fn in_child(run: fn()) -> bool {
    // SAFETY: this process has one thread, so that no lock is held by another that the child does not have.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            alarm::set(LIMIT);
            run();
            std::process::exit(0)
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, code)) => return code == 0,
                Ok(_) => return false,
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => panic!("wait for a case: {errno}"),
            }
        },
    }
}
