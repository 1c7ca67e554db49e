//! `engine-keeper DIR CGROUP`: holds the room that an engine under test lives in, and empties it when its test program
//! has ended, however that came about. It must never touch what it has not made or started.
//!
//! The room is a mount and a network namespace, a tmpfs over /run and /dev/shm, DIR, and CGROUP in every hierarchy.
//! Each line on standard input is a JSON array: a service to start, whose pid is answered. End of file ends the room.

mod clear;
mod hierarchies;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::setsid;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [directory, cgroup] = args.as_slice() else {
        eprintln!("engine-keeper: wants a directory and a cgroup path");
        return ExitCode::from(2);
    };
    if let Err(what) = make_room() {
        println!("error: {what}");
        return ExitCode::FAILURE;
    }
    println!("ready");
    let mut services = Vec::new();
    serve(Path::new(directory), &mut services);
    let left = clear::room(Path::new(directory), cgroup, services);
    for line in &left {
        eprintln!("engine-keeper: could not clear {line}");
    }
    ExitCode::from(u8::from(!left.is_empty()))
}

/// Namespaces of its own; orphans of everything that is started here come to this process.
fn make_room() -> Result<(), String> {
    let failed = |call: &'static str| move |errno: nix::Error| format!("{call}: {}", errno.desc());
    setsid().map_err(failed("setsid"))?;
    prctl::set_child_subreaper(true).map_err(failed("become a subreaper"))?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
        .map_err(failed("unshare (the engines' tests need root)"))?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(failed("make / private"))?;
    for (target, options) in [("/run", "mode=755"), ("/dev/shm", "mode=1777")] {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options)).map_err(failed("mount a tmpfs"))?;
    }
    hierarchies::tidy()?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if !up.is_ok_and(|status| status.success()) {
        return Err("ip link set lo up: failed".to_owned());
    }
    Ok(())
}

/// Starts what the lines ask for, until there are no more.
fn serve(directory: &Path, services: &mut Vec<Child>) {
    for line in BufReader::new(std::io::stdin()).lines() {
        let Ok(line) = line else { break };
        match start(directory, &line, services.len()) {
            Ok(child) => {
                println!("{}", child.id());
                services.push(child);
            }
            Err(what) => println!("error: {what}"),
        }
        let _ = std::io::stdout().flush();
    }
}

/// Starts a service; it writes to DIR/log/NUMBER-NAME, and dies when the keeper does.
fn start(directory: &Path, line: &str, number: usize) -> Result<Child, String> {
    let words: Vec<String> = serde_json::from_str(line).map_err(|e| format!("read {line:?}: {e}"))?;
    let (program, args) = words.split_first().ok_or("no program named")?;
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path: PathBuf = directory.join("log").join(format!("{number}-{name}"));
    let log = File::create(&path).map_err(|e| format!("create {}: {e}", path.display()))?;
    let mut command = Command::new(program);
    let error = log.try_clone().map_err(|e| format!("duplicate a descriptor: {e}"))?;
    command.args(args).stdin(Stdio::null()).stdout(log).stderr(error);
    // SAFETY: between fork and exec only this one system call is made.
    unsafe {
        command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
    }
    command.spawn().map_err(|e| format!("start {program}: {e}"))
}
