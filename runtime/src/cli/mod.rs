//! The command line: parse flags, call the library once, print. The library never prints.

mod bundle;
mod checkpoint;
mod commands;
mod completion;
mod create;
mod criu_flags;
mod delete;
mod duration;
mod events;
mod exec;
mod exec_process;
mod features;
mod foreground;
mod freeze;
mod grammar;
#[cfg(test)]
mod grammar_test;
mod help;
mod kill;
mod list;
mod logger;
mod manual;
mod ps;
mod restore;
mod root;
mod signal;
mod size;
mod spec;
mod start;
mod state;
mod table;
mod update;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;

pub use features::features_json;
pub use help::{COMMIT, RELEASE};

use crate::container::Runtime;
use crate::container::id::Id;
use crate::container::state::Container;
use crate::error::{Error, Result};
use crate::launch;
use crate::sys::{heap, signals};
use crate::trace;
use commands::GRAMMAR;
use grammar::{Matches, Outcome, truth};

/// What a command does with what was said: its exit status, or an error that is logged.
type Verb = fn(&Call) -> Result<u8>;

/// One call of the program, read and checked.
#[derive(Debug)]
struct Call {
    /// The name that the program goes by.
    program: &'static str,
    /// Where containers are kept and how their cgroups are made.
    runtime: Runtime,
    /// The state directory was named by the user: that it is missing is then an error.
    root_given: bool,
    /// Flags and operands.
    matches: Matches,
}

/// Runs the command line of this process and gives its exit status.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let argv0 = args.next().unwrap_or_default();
    let program = program(&argv0);
    // Whoever may start containers is root; a set-id file would make everybody that.
    if nix::unistd::getuid() != nix::unistd::geteuid() || nix::unistd::getgid() != nix::unistd::getegid() {
        logger::install_plain();
        logger::fatal("started as a set-user-id or set-group-id file: chmod ug-s it");
        return ExitCode::from(1);
    }
    let args: std::result::Result<Vec<String>, _> = args.map(std::ffi::OsString::into_string).collect();
    let status = match args {
        Ok(args) => run(program, &argv0.to_string_lossy(), args),
        Err(arg) => {
            logger::install_plain();
            logger::fatal(&format!("the argument {:?} is not UTF-8", arg.to_string_lossy()));
            1
        }
    };
    ExitCode::from(status)
}

/// Called by the name `runc`, the program answers to it: some tools look for the name in what it prints.
fn program(argv0: &OsStr) -> &'static str {
    if Path::new(argv0).file_name() == Some(OsStr::new("runc")) { "runc" } else { "pinnace" }
}

fn run(program: &'static str, argv0: &str, args: Vec<String>) -> u8 {
    let (matches, outcome) = grammar::parse(&GRAMMAR, args);
    let shown = match outcome {
        Outcome::Help(command) => print(&help::page(program, command)),
        Outcome::Version => print(&help::version(program)),
        outcome => return perform(program, argv0, matches, outcome),
    };
    match shown {
        Ok(()) => 0,
        Err(error) => {
            logger::install_plain();
            logger::fatal(&error.to_string());
            1
        }
    }
}

fn perform(program: &'static str, argv0: &str, matches: Matches, outcome: Outcome) -> u8 {
    // A caller that ignores SIGCHLD hands that on, and nobody's exit status could be had (man 2 wait, NOTES).
    let _ = signals::default(libc::SIGCHLD);
    // Before anything is opened, since it may start this program anew.
    let sealed = match &outcome {
        Outcome::Run(command) if command.enters => launch::seal().inspect(|()| heap::expect_stack()),
        _ => Ok(()),
    };
    let traced = matches.path("trace").map_or(Ok(()), |path| trace::begin(Path::new(path)));
    if let Err(error) = traced.and_then(|()| logger::install(&matches)) {
        logger::install_plain();
        logger::fatal(&error.to_string());
        return 1;
    }
    if matches!(&outcome, Outcome::Run(command) if command.enters) && sealed.is_ok() {
        log::debug!("{program} exeseal: using /proc/self/exe clone that nobody can write to");
    }
    // The help is a courtesy beside the error, so that it can't be printed is no error of its own.
    let (text, status) = match outcome {
        Outcome::Run(command) => {
            let outcome =
                sealed.and_then(|()| Call::new(program, matches)).and_then(|call| (command.verb)(&call));
            trace::finish();
            match outcome {
                Ok(status) => return status,
                Err(error) => (error.to_string(), command.failure),
            }
        }
        Outcome::NoTopic(name) => (format!("No help topic for '{name}'"), 3),
        Outcome::Miscounted(command, text) => {
            let _ = print(&format!("Incorrect Usage.\n\n{}", help::page(program, Some(command))));
            (format!("{argv0}: {text}"), 1)
        }
        Outcome::Misused(command, text) => {
            eprintln!("Incorrect Usage: {text}\n");
            let _ = print(&help::page(program, command));
            (text, 1)
        }
        Outcome::Help(_) | Outcome::Version => return 0,
    };
    logger::fatal(&text);
    status
}

impl Call {
    fn new(program: &'static str, matches: Matches) -> Result<Self> {
        let given = matches.text("root");
        if let Some(rootless) = matches.path("rootless")
            && !rootless.eq_ignore_ascii_case("auto")
            && truth(rootless).is_none()
        {
            return Err(Error::invalid(format!(
                "invalid value {rootless:?} for flag -rootless: parse error"
            )));
        }
        let (systemd_cgroup, no_cgroup) = match matches.path("cgroup-manager") {
            None => (matches.on("systemd-cgroup"), false),
            Some("cgroupfs") => (false, false),
            Some("systemd") => (true, false),
            Some("disabled") => (false, true),
            Some(other) => {
                return Err(Error::invalid(format!("unknown cgroup manager specified {other:?}"))
                    .hint("use cgroupfs, systemd or disabled"));
            }
        };
        let rootless = matches.path("rootless").and_then(truth);
        let runtime = Runtime { root: root::resolve(given)?, systemd_cgroup, no_cgroup, rootless };
        Ok(Self { program, root_given: given.is_some(), runtime, matches })
    }

    /// The container that the first operand names.
    fn container(&self) -> Result<Container> {
        Container::load(&self.runtime, &Id::parse(self.matches.first())?)
    }
}

/// Writes to standard output, in one call where the reader keeps up.
fn print(text: &str) -> Result<()> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match nix::unistd::write(std::io::stdout(), rest) {
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::os("write", errno, "print to standard output")),
        }
    }
    Ok(())
}
