//! `bench-floor`: what the kernel alone takes for the containers of the bench: its calls in their plainest form, with
//! every number known beforehand. It must never read a config.json, check anything or keep any state: it is the line
//! that a runtime can't get below.
//!
//! ```text
//! bench-floor run ROOTFS FILTER|- CGROUP... -- PROGRAM [ARG...]    a container; with a filter, also limits and masks
//! bench-floor exec PID FILTER|- CGROUP... -- PROGRAM [ARG...]      a process more in a container
//! bench-floor peak PROGRAM [ARG...]                                peak RSS of a program and its children, in KiB
//! ```
//!
//! A CGROUP is `1:` or `2:` (the version) and a directory right below the mount point of a hierarchy.

mod cgroups;
mod child;
mod peak;

use std::error::Error;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use nix::sched::{CloneFlags, setns};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use pinnace::seccomp::sock_filter;
use pinnace::sys::clone::{Clone, Side, clone};
use pinnace::sys::process::{exit_now, pidfd_open};

use cgroups::Cgroup;
use child::Container;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let code = match words.as_slice() {
        ["run", rootfs, filter, rest @ ..] => operands(rest).and_then(|(c, p)| run(rootfs, filter, &c, p)),
        ["exec", pid, filter, rest @ ..] => operands(rest).and_then(|(c, p)| exec(pid, filter, &c, p)),
        ["peak", program, args @ ..] => peak::peak(program, args),
        _ => Err("wants run, exec or peak".into()),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("bench-floor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The cgroups, and behind `--` the program.
fn operands<'a>(words: &'a [&'a str]) -> Result<(Vec<Cgroup<'a>>, &'a [&'a str])> {
    let end = words.iter().position(|word| *word == "--").ok_or("no -- before the program")?;
    let cgroups = words[..end].iter().map(|word| Cgroup::parse(word)).collect::<Result<_>>()?;
    Ok((cgroups, &words[end + 1..]))
}

fn run(rootfs: &str, filter: &str, cgroups: &[Cgroup], program: &[&str]) -> Result<u8> {
    let filter = read_filter(filter)?;
    for cgroup in cgroups {
        cgroup.make(filter.is_some())?;
    }
    let doors = doors(cgroups)?;
    let unified = cgroups.iter().find(|cgroup| cgroup.unified).map(|cgroup| File::open(cgroup.path));
    let unified: Option<OwnedFd> = unified.transpose()?.map(OwnedFd::from);
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    let container = Container { rootfs, filter: filter.as_deref(), doors: &doors, program };
    let how =
        Clone { flags: u64::from(flags.bits().unsigned_abs()), cgroup: unified.as_ref().map(AsFd::as_fd) };
    let code = fork(&how, || child::create(&container))?;
    for cgroup in cgroups {
        std::fs::remove_dir(cgroup.path)?;
    }
    Ok(code)
}

fn exec(pid: &str, filter: &str, cgroups: &[Cgroup], program: &[&str]) -> Result<u8> {
    let filter = read_filter(filter)?;
    let doors = doors(cgroups)?;
    let pidfd = pidfd_open(Pid::from_raw(pid.parse()?))?;
    // A pid namespace is entered by the next child: this process ends soon, so it may as well join all of them.
    setns(
        &pidfd,
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS,
    )?;
    let container = Container { rootfs: "/", filter: filter.as_deref(), doors: &doors, program };
    fork(&Clone::default(), || child::enter(&container))
}

fn doors(cgroups: &[Cgroup]) -> Result<Vec<File>> {
    cgroups.iter().filter(|cgroup| !cgroup.unified).map(Cgroup::door).collect()
}

/// Runs `work` in a child, which it leaves by exec, and gives the child's exit code.
fn fork(how: &Clone<'_>, work: impl FnOnce() -> Result<()>) -> Result<u8> {
    // SAFETY: this program never starts a thread, and the child ends in `exit_now` at the latest.
    match unsafe { clone(how) }? {
        Side::Child => {
            if let Err(error) = work() {
                eprintln!("bench-floor: {error}");
            }
            exit_now(127)
        }
        Side::Parent(pid, _) => match waitpid(pid, None)? {
            WaitStatus::Exited(_, code) => Ok(u8::try_from(code).unwrap_or(255)),
            other => Err(format!("the child ended with {other:?}").into()),
        },
    }
}

/// The instructions as they lie in memory: code, two jumps, operand.
fn read_filter(path: &str) -> Result<Option<Vec<sock_filter>>> {
    if path == "-" {
        return Ok(None);
    }
    let bytes = std::fs::read(path)?;
    let instructions = bytes.chunks_exact(8).map(|i| sock_filter {
        code: u16::from_ne_bytes([i[0], i[1]]),
        jt: i[2],
        jf: i[3],
        k: u32::from_ne_bytes([i[4], i[5], i[6], i[7]]),
    });
    Ok(Some(instructions.collect()))
}
