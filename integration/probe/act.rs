//! What the probe can do instead of looking. One action a function; each says its result on standard output in a line.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::errno::Errno;
use serde_json::json;

use crate::{Failure, descriptors, see};

/// Does one action; `program` is the whole command line, for `see`.
pub(crate) fn act(program: &[String], action: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = action.iter().map(String::as_str).collect();
    match words[..] {
        [] => Ok(()),
        ["see", ..] => see::see(program, &action[1..]),
        // Forever, with every signal at its default.
        ["sleep"] => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        // Forever, and takes the children that others leave: what an init does.
        ["reap"] => loop {
            // SAFETY: no status is asked for.
            if unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } < 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
        },
        ["sleep", seconds] => {
            std::thread::sleep(Duration::from_secs_f64(seconds.parse()?));
            Ok(())
        }
        ["exit", code] => std::process::exit(code.parse()?),
        // Dies by that signal: its number.
        ["signal", number] => signal_self(number.parse()?),
        ["say", ..] => say(&words[1..].join(" ")),
        ["complain", ..] => Ok(writeln!(std::io::stderr(), "{}", words[1..].join(" "))?),
        ["read", path] => Ok(std::io::stdout().write_all(&fs::read(path)?)?),
        ["write", path] => Ok(fs::write(path, "written\n")?),
        ["write", path, ref text @ ..] => Ok(fs::write(path, text.join(" "))?),
        // Standard input to standard output until its end.
        ["echo"] => {
            std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).map(drop).map_err(Into::into)
        }
        // So many MiB to standard output.
        ["flood", mebibytes] => flood(mebibytes.parse()?),
        // TYPE is one of p, c, b; says "ok" or the errno.
        ["mknod", path, kind, major, minor] => mknod(path, kind, major.parse()?, minor.parse()?),
        // Touches so many MiB and keeps them.
        ["alloc", mebibytes] => alloc(mebibytes.parse()?),
        ["forks", count] => forks(count.parse()?),
        // Says "ready", then waits for SIGTERM and exits with CODE.
        ["trap-term", code] => trap(libc::SIGTERM, Some(code.parse()?)),
        // Says "ready", then exits with the number of the first signal. Those that do nothing by default don't count: a
        // terminal's size may change at any time, and Go's runtime sends itself SIGURG, which runc 1.1.5 passes on.
        ["trap"] => trap(0, None),
        // Ignores every signal and waits forever.
        ["block"] => block(),
        // Says "ready" and the terminal's size after each change of it, until it is ROWSxCOLUMNS.
        ["sizes", last] => sizes(last),
        ["listen-fds"] => listen_fds(),
        ["notify"] => notify(&["READY=1"]),
        ["notify", ref lines @ ..] => notify(lines),
        ["spawn-orphan"] => spawn_orphan(),
        // NUMBER ARG…: numbers only (seccomp); says {"return":…} or {"errno":…}.
        ["syscall", number, ref arguments @ ..] => syscall(number.parse()?, arguments),
        _ => Err(format!("{}: no such action", words.join(" ")).into()),
    }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

fn signal_self(number: i32) -> Result<(), Failure> {
    // SAFETY: no memory operands.
    unsafe { libc::kill(libc::getpid(), number) };
    std::thread::sleep(Duration::from_secs(1));
    Err(format!("survived signal {number}").into())
}

fn flood(mebibytes: usize) -> Result<(), Failure> {
    let block = vec![b'x'; 1 << 20];
    let mut out = std::io::stdout().lock();
    for _ in 0..mebibytes {
        out.write_all(&block)?;
    }
    Ok(())
}

fn mknod(path: &str, kind: &str, major: u32, minor: u32) -> Result<(), Failure> {
    let kind = match kind {
        "p" => libc::S_IFIFO,
        "c" => libc::S_IFCHR,
        "b" => libc::S_IFBLK,
        _ => return Err(format!("mknod: {kind} is none of p, c, b").into()),
    };
    let path = std::ffi::CString::new(path)?;
    // SAFETY: a NUL-terminated path.
    let result = unsafe { libc::mknod(path.as_ptr(), kind | 0o600, libc::makedev(major, minor)) };
    if result == 0 { say("ok") } else { say(&format!("{:?}", Errno::last())) }
}

fn alloc(mebibytes: usize) -> Result<(), Failure> {
    let mut kept = Vec::new();
    for _ in 0..mebibytes {
        kept.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&kept);
    }
    // For the actions that follow.
    std::mem::forget(kept);
    say("allocated")
}

/// Forks children that wait until all are there; says how many it got and why not more.
fn forks(count: usize) -> Result<(), Failure> {
    let mut children = Vec::new();
    let mut failed = None;
    for _ in 0..count {
        // SAFETY: the process has one thread, and the child only sleeps.
        match unsafe { libc::fork() } {
            0 => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            child if child < 0 => {
                failed = Some(format!("{:?}", Errno::last()));
                break;
            }
            child => children.push(child),
        }
    }
    say(&json!({"forked": children.len(), "error": failed}).to_string())?;
    for child in children {
        // SAFETY: our own child, not waited for yet.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0)
        };
    }
    Ok(())
}

fn all_signals() -> libc::sigset_t {
    // SAFETY: a sigset is plain data, which sigfillset fills.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        set
    }
}

/// Blocks everything, then takes signals until the wanted one (0: any) comes.
fn trap(wanted: i32, code: Option<i32>) -> Result<(), Failure> {
    let set = all_signals();
    // SAFETY: a filled set; the old one is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    say("ready")?;
    loop {
        // SAFETY: a filled set; no details are asked for.
        let signal = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
        let harmless = [libc::SIGWINCH, libc::SIGURG, libc::SIGCHLD, libc::SIGCONT];
        let meant = if wanted == 0 { !harmless.contains(&signal) } else { signal == wanted };
        if signal > 0 && meant {
            std::process::exit(code.unwrap_or(signal));
        }
    }
}

fn block() -> Result<(), Failure> {
    for signal in 1..=64 {
        // SAFETY: ignoring needs no handler; those that can't be ignored are refused.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    say("ready")?;
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn sizes(last: &str) -> Result<(), Failure> {
    // SAFETY: an empty set gets one signal.
    let set = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGWINCH);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        set
    };
    say("ready")?;
    loop {
        // SAFETY: a set with one signal.
        unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
        let tty = descriptors::tty();
        let size = format!("{}x{}", tty["rows"], tty["columns"]);
        say(&size)?;
        if size == last {
            return Ok(());
        }
    }
}

/// sd_listen_fds(3): says what was passed and whether it was meant for this process.
fn listen_fds() -> Result<(), Failure> {
    let count: i32 = std::env::var("LISTEN_FDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let pid: Option<i32> = std::env::var("LISTEN_PID").ok().and_then(|n| n.parse().ok());
    let mut types = Vec::new();
    for fd in 3..3 + count {
        types.push(
            fs::read_link(format!("/proc/self/fd/{fd}")).map(|t| t.to_string_lossy().into_owned()).ok(),
        );
    }
    // SAFETY: no memory operands.
    let ours = pid == Some(unsafe { libc::getpid() });
    say(&json!({"count": count, "ours": ours, "targets": types}).to_string())
}

/// sd_notify(3) with one datagram of all lines.
fn notify(lines: &[&str]) -> Result<(), Failure> {
    let path = std::env::var("NOTIFY_SOCKET")?;
    UnixDatagram::unbound()?.send_to(lines.join("\n").as_bytes(), path)?;
    Ok(())
}

/// Leaves a sleeping grandchild whose parent is gone, and says its pid as this pid namespace has it.
fn spawn_orphan() -> Result<(), Failure> {
    let (mut reader, mut writer) = std::io::pipe()?;
    // SAFETY: the process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        let grandchild = unsafe { libc::fork() };
        if grandchild == 0 {
            // The reader waits for the last writer.
            drop(writer);
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
        let _ = write!(writer, "{grandchild}");
        std::process::exit(0);
    }
    drop(writer);
    let mut pid = String::new();
    reader.read_to_string(&mut pid)?;
    // SAFETY: our own child, not waited for yet.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    say(&pid)
}

fn syscall(number: libc::c_long, arguments: &[&str]) -> Result<(), Failure> {
    let mut values = [0_u64; 6];
    for (value, argument) in values.iter_mut().zip(arguments) {
        *value = argument.parse()?;
    }
    let [first, second, third, ..] = values;
    // SAFETY: tests pass numbers and null pointers only, which the kernel checks.
    let result = unsafe { libc::syscall(number, first, second, third, values[3], values[4], values[5]) };
    if result == -1 {
        say(&json!({"errno": format!("{:?}", Errno::last())}).to_string())
    } else {
        say(&json!({"return": result}).to_string())
    }
}
