//! What the process holds from the start: standard streams, descriptors passed on purpose, and nothing else.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use integration::{Bundle, Runtime, host, host_process, stand_in_lacks};
use serde_json::{Value, json};

/// Gives the command descriptors 3 and up, in that order; none of them is closed on exec.
fn pass(command: &mut Command, files: Vec<OwnedFd>) {
    // SAFETY: between fork and exec only dup2 is called, on descriptors that the closure owns.
    unsafe {
        command.pre_exec(move || {
            // First out of the way of the targets, which may be one of ours.
            let mut high = [0; 16];
            for (place, file) in high.iter_mut().zip(&files) {
                *place = libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 200);
            }
            for (target, source) in (3..).zip(&high[..files.len()]) {
                if libc::dup2(*source, target) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                libc::close(*source);
            }
            Ok(())
        });
    }
}

fn files(bundle: &Bundle, names: &[&str]) -> Vec<OwnedFd> {
    names.iter().map(|name| File::create(bundle.beside(name)).unwrap().into()).collect()
}

fn run(runtime: &Runtime, bundle: &Bundle, more: &[&str]) -> Command {
    bundle.write();
    let path = bundle.path();
    runtime.command(&[&["run", "--bundle", &path], more, &[bundle.id()]].concat())
}

fn numbers(seen: &Value) -> Vec<u32> {
    let mut numbers: Vec<u32> =
        seen["fds"].as_object().unwrap().keys().map(|key| key.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn nothing_of_the_callers_gets_in() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    let mut command = run(&runtime, &bundle, &[]);
    pass(&mut command, (0..5).map(|_| File::open("/etc").unwrap().into()).collect());
    let seen = runtime.finish(command).ok().json();
    assert_eq!(numbers(&seen), [0, 1, 2]);
}

/// CVE-2024-21626: nor of the runtime's own, in a process that is entered later.
#[test]
fn nothing_of_the_callers_gets_into_an_exec() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    runtime.start(&bundle);
    let mut command = runtime.command(&["exec", bundle.id(), "/probe"]);
    pass(&mut command, (0..5).map(|_| File::open("/etc").unwrap().into()).collect());
    let seen = runtime.finish(command).ok().json();
    assert_eq!(numbers(&seen), [0, 1, 2]);
}

/// Beside its standard streams a waiting init holds what it waits on, and nothing of the host's file systems.
#[test]
fn a_waiting_init_holds_no_directory_of_the_host() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    let pid = runtime.create(&bundle);
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let about = fs::metadata(entry.path()).unwrap();
        let target = fs::read_link(entry.path()).unwrap();
        assert!(!about.is_dir(), "{} is {}", entry.path().display(), target.display());
    }
}

#[test]
fn preserved_ones_keep_their_numbers() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    let mut command = run(&runtime, &bundle, &["--preserve-fds", "2"]);
    pass(&mut command, files(&bundle, &["three", "four", "five"]));
    let seen = runtime.finish(command).ok().json();
    assert_eq!(numbers(&seen), [0, 1, 2, 3, 4]);
    for (fd, name) in [("3", "three"), ("4", "four")] {
        assert!(seen["fds"][fd].as_str().unwrap().ends_with(name), "{fd}: {}", seen["fds"][fd]);
    }
}

#[test]
fn preserved_ones_reach_create_and_exec_too() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["see", "to=/seen", "+", "sleep"]).write();
    let path = bundle.path();
    let mut command = runtime.command(&["create", "--bundle", &path, "--preserve-fds", "1", bundle.id()]);
    pass(&mut command, files(&bundle, &["three"]));
    runtime.finish(command).ok();
    runtime.call(&["start", bundle.id()]).ok();
    let seen = bundle.rootfs().join("seen");
    let seen = host::eventually(host::LIMIT, || fs::read(&seen).ok()).unwrap();
    let seen: Value = serde_json::from_slice(&seen).unwrap();
    assert_eq!(numbers(&seen), [0, 1, 2, 3]);
    let mut command = runtime.command(&["exec", "--preserve-fds", "3", bundle.id(), "/probe"]);
    pass(&mut command, files(&bundle, &["a", "b", "c", "d"]));
    assert_eq!(numbers(&runtime.finish(command).ok().json()), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn one_that_is_not_open_is_missed() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    let mut command = run(&runtime, &bundle, &["--preserve-fds", "120"]);
    pass(&mut command, files(&bundle, &["three"]));
    runtime.finish(command).refuses(&["preserved-fd"]);
    runtime.leaves_nothing(bundle.id());
}

/// sd_listen_fds(3): the sockets, their number, and the container's own pid.
#[test]
fn listening_sockets_are_passed_on() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["listen-fds", "+", "see"]);
    let command = run(&runtime, &bundle, &["--preserve-fds", "1"]);
    // LISTEN_PID is the process that is to use them, which is only known after fork.
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    shell.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "web:db").stdin(std::process::Stdio::null());
    pass(&mut shell, files(&bundle, &["three", "four", "five"]));
    let outcome = runtime.finish(shell).ok();
    let (passed, seen) = outcome.stdout.split_once('\n').unwrap();
    let passed: Value = serde_json::from_str(passed).unwrap();
    assert_eq!((&passed["count"], &passed["ours"]), (&json!(2), &json!(true)), "{passed}");
    assert!(passed["targets"][1].as_str().unwrap().ends_with("four"), "{passed}");
    assert_eq!(numbers(&serde_json::from_str(seen).unwrap()), [0, 1, 2, 3, 4, 5]);
}

/// Meant for somebody else: sd_listen_fds(3) compares the pid.
#[test]
fn sockets_of_another_process_are_not_passed_on() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    let mut command = run(&runtime, &bundle, &[]);
    pass(&mut command, files(&bundle, &["three", "four"]));
    command.env("LISTEN_FDS", "2").env("LISTEN_PID", "1");
    let seen = runtime.finish(command).ok().json();
    assert_eq!(numbers(&seen), [0, 1, 2]);
    assert!(!seen["env"].to_string().contains("LISTEN_FDS"), "{}", seen["env"]);
}

/// A service manager: takes what it is told until nothing more comes after the end of it, and gives it back.
fn manager(path: &Path) -> JoinHandle<String> {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(host::LIMIT)).unwrap();
    // It answers a barrier by closing the descriptor that comes with it, which a plain receive does.
    std::thread::spawn(move || {
        let mut told = String::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            told.push_str(&String::from_utf8_lossy(&buffer[..length]));
            told.push('\n');
            if told.contains("MAINPID=") {
                // What may still come, comes soon.
                socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            }
        }
        told
    })
}

/// sd_notify(3): the container's word reaches the service manager, and only what is harmless of it.
#[test]
fn readiness_is_told_to_the_service_manager() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let path = bundle.beside("notify");
    let manager = manager(&path);
    bundle.probe(&["notify", "READY=1", "STATUS=hello", "MAINPID=1", "+", "sleep"]);
    let mut command = run(&runtime, &bundle, &["--detach"]);
    command.env("NOTIFY_SOCKET", &path);
    runtime.finish(command).ok();
    let told = manager.join().unwrap();
    assert!(told.lines().any(|line| line == "READY=1"), "{told}");
    let pid = runtime.pid(bundle.id());
    assert!(told.lines().any(|line| line == format!("MAINPID={pid}")), "{told}");
    assert!(!told.contains("STATUS=hello") && !told.lines().any(|line| line == "MAINPID=1"), "{told}");
}

/// The word may stand anywhere in the message.
#[test]
fn readiness_is_told_after_other_news() {
    if stand_in_lacks("runc looks at the first line alone") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let path = bundle.beside("notify");
    let manager = manager(&path);
    bundle.probe(&["notify", "STATUS=begins", "+", "notify", "STATUS=goes", "READY=1", "+", "sleep"]);
    let mut command = run(&runtime, &bundle, &["--detach"]);
    command.env("NOTIFY_SOCKET", &path);
    runtime.finish(command).ok();
    let told = manager.join().unwrap();
    assert!(told.starts_with("READY=1\n") && !told.contains("STATUS"), "{told}");
}

/// The socket in the container is not the service manager's.
#[test]
fn the_notify_socket_inside_is_a_proxy() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let path = bundle.beside("notify");
    let manager = manager(&path);
    bundle.probe(&["see", "to=/seen", "+", "notify", "+", "sleep"]);
    let mut command = run(&runtime, &bundle, &["--detach"]);
    command.env("NOTIFY_SOCKET", &path);
    runtime.finish(command).ok();
    manager.join().unwrap();
    let seen: Value = serde_json::from_slice(&fs::read(bundle.rootfs().join("seen")).unwrap()).unwrap();
    assert!(seen["env"].as_array().unwrap().contains(&json!("NOTIFY_SOCKET=/run/notify/notify.sock")));
    let mounts = seen["mounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["point"] == "/run/notify").expect("a mount on /run/notify");
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        if option == "ro" && stand_in_lacks("runc 1.1.5 mounts it writable") {
            continue;
        }
        assert!(mount["options"].as_array().unwrap().contains(&json!(option)), "{mount}");
    }
}

/// The container's user may write to the streams it was given.
#[test]
fn the_streams_belong_to_the_user() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.probe(&["see", "create=/proc/self/fd/1", "create=/proc/self/fd/2", "stat=/dev/null"]);
    let seen = runtime.run_with(&bundle, &[]).ok().json();
    assert_eq!(seen["create"], json!({"/proc/self/fd/1": "ok", "/proc/self/fd/2": "ok"}));
    // But the host's /dev/null stays root's.
    assert_eq!(fs::metadata("/dev/null").unwrap().uid(), 0);
}

/// A reader that goes away is the program's affair (SIGPIPE), and the runtime ends with it.
#[test]
fn a_reader_that_goes_away_ends_the_program() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["flood", "64"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = run(&runtime, &bundle, &[]);
    command.stdout(writer).stderr(std::process::Stdio::null());
    let mut process = host_process::Process::start(&mut command);
    drop(command);
    let mut reader = reader;
    let mut some = [0; 4096];
    std::io::Read::read_exact(&mut reader, &mut some).unwrap();
    drop(reader);
    assert!(process.wait(host::LIMIT).is_some(), "run still goes on");
    runtime.leaves_nothing(bundle.id());
}

/// Much output is not lost and not mixed up.
#[test]
fn much_output_arrives_whole() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["flood", "16"]);
    let outcome = runtime.run(&bundle).ok();
    assert_eq!(outcome.stdout.len(), 16 << 20);
}
