//! Terminals: over the console socket, in the foreground on a real pty, their size, and what is refused.

#![allow(clippy::unwrap_used)]

use std::io::Write;

use integration::host::LIMIT;
use integration::host_process::Process;
use integration::host_terminal::{FdSocket, Pty, read_until, set_size};
use integration::{Bundle, Runtime, stand_in_lacks};
use serde_json::{Value, json};

fn with_terminal() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    bundle.set("/process/terminal", json!(true));
    let runtime = bundle.runtime();
    (bundle, runtime)
}

fn seen(bundle: &Bundle) -> Value {
    serde_json::from_slice(&std::fs::read(bundle.rootfs().join("seen")).unwrap()).unwrap()
}

#[test]
fn the_console_socket_gets_the_master() {
    let (mut bundle, runtime) = with_terminal();
    let socket = FdSocket::new(&bundle.beside("console"));
    bundle.set("/process/consoleSize", json!({"height": 31, "width": 117}));
    bundle.probe(&["see", "to=/seen", "+", "say", "there", "+", "sizes", "50x60"]);
    runtime.create_with(&bundle, &["--console-socket", socket.path()]).ok();
    let (master, name) = socket.receive(LIMIT).expect("a terminal");
    assert!(!name.is_empty());
    runtime.call(&["start", bundle.id()]).ok();
    let text = read_until(&master, LIMIT, |text| text.contains("ready"));
    // The line discipline is the kernel's default: a new line becomes two characters.
    assert!(text.contains("there\r\n"), "{text:?}");
    set_size(&master, 50, 60);
    let text = read_until(&master, LIMIT, |text| text.contains("50x60"));
    assert!(text.contains("50x60"), "{text:?}");

    let seen = seen(&bundle);
    let tty = &seen["tty"];
    for field in ["stdin", "stdout", "stderr", "controlling", "dev_tty"] {
        assert_eq!(tty[field], true, "{field}");
    }
    assert_eq!((&tty["rows"], &tty["columns"]), (&json!(31), &json!(117)));
    // Of the container's own /dev/pts, and /dev/console is the same.
    assert_eq!(tty["name"], "/dev/pts/0");
    assert_eq!(seen["sid"], seen["pid"]);
    assert_eq!(seen["dev"]["console"]["major"], 136);
    assert_eq!(seen["dev"]["console"]["mode"], 0o620);
    let console =
        seen["mounts"].as_array().unwrap().iter().find(|mount| mount["point"] == "/dev/console").unwrap();
    assert_eq!((&console["type"], &console["root"]), (&json!("devpts"), &json!("/0")));
    assert_eq!(seen["fds"].as_object().unwrap().len(), 3);
}

#[test]
fn what_is_typed_arrives() {
    let (mut bundle, runtime) = with_terminal();
    let socket = FdSocket::new(&bundle.beside("console"));
    bundle.set("/process/args", json!(["/bin/sh", "-c", "echo go; read line; echo got $line; exit 4"]));
    runtime.run_with(&bundle, &["--detach", "--console-socket", socket.path()]).ok();
    let (master, _) = socket.receive(LIMIT).expect("a terminal");
    read_until(&master, LIMIT, |text| text.contains("go"));
    std::fs::File::from(master.try_clone().unwrap()).write_all(b"typed\r").unwrap();
    let text = read_until(&master, LIMIT, |text| text.contains("got typed"));
    assert!(text.contains("got typed"), "{text:?}");
}

#[test]
fn the_user_owns_its_terminal() {
    let (mut bundle, runtime) = with_terminal();
    let socket = FdSocket::new(&bundle.beside("console"));
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.probe(&["see", "stat=/dev/pts/0", "create=/dev/console", "create=/dev/tty"]);
    runtime.run_with(&bundle, &["--detach", "--console-socket", socket.path()]).ok();
    let (master, _) = socket.receive(LIMIT).expect("a terminal");
    let text = read_until(&master, LIMIT, |text| text.contains('\n'));
    let seen: Value = serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("{e}: {text:?}"));
    let device = &seen["stat"]["/dev/pts/0"];
    assert_eq!((&device["uid"], &device["gid"]), (&json!(1000), &json!(5)));
    assert_eq!(seen["create"], json!({"/dev/console": "ok", "/dev/tty": "ok"}));
}

#[test]
fn in_the_foreground_it_is_the_callers_terminal_that_counts() {
    let (mut bundle, runtime) = with_terminal();
    bundle.probe(&["see", "to=/seen", "+", "say", "there", "+", "sizes", "22x66", "+", "exit", "6"]).write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    let pty = Pty::new(44, 133);
    pty.attach(&mut command);
    let mut process = Process::start(&mut command);
    drop(command);
    let text = read_until(&pty.master, LIMIT, |text| text.contains("ready"));
    assert!(text.contains("there\r\n") && !text.contains("there\r\r\n"), "{text:?}");
    pty.resize(22, 66);
    let text = read_until(&pty.master, LIMIT, |text| text.contains("22x66"));
    assert!(text.contains("22x66"), "{text:?}");
    assert_eq!(process.wait(LIMIT).and_then(|status| status.code()), Some(6));
    let tty = &seen(&bundle)["tty"];
    let size = (&tty["rows"], &tty["columns"]);
    // From the very start, not only when the program happens to be slow.
    if size != (&json!(44), &json!(133)) && stand_in_lacks("runc 1.1.5 sets the size after the start") {
        return;
    }
    assert_eq!(size, (&json!(44), &json!(133)));
    assert_eq!(tty["name"], "/dev/pts/0");
    runtime.leaves_nothing(bundle.id());
}

/// In raw mode an interrupt is a character, which the container's terminal makes a signal of.
#[test]
fn an_interrupt_typed_in_the_foreground_reaches_the_program() {
    let (mut bundle, runtime) = with_terminal();
    bundle.probe(&["trap"]).write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    let pty = Pty::new(24, 80);
    pty.attach(&mut command);
    let mut process = Process::start(&mut command);
    drop(command);
    read_until(&pty.master, LIMIT, |text| text.contains("ready"));
    std::fs::File::from(pty.master.try_clone().unwrap()).write_all(b"\x03").unwrap();
    assert_eq!(process.wait(LIMIT).and_then(|status| status.code()), Some(libc::SIGINT));
    runtime.leaves_nothing(bundle.id());
}

/// The caller's terminal is as it was when the runtime has ended.
#[test]
fn the_callers_terminal_is_given_back() {
    let (mut bundle, runtime) = with_terminal();
    bundle.probe(&["exit", "0"]).write();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    let pty = Pty::new(24, 80);
    let before = nix::sys::termios::tcgetattr(&pty.master).unwrap();
    pty.attach(&mut command);
    let mut process = Process::start(&mut command);
    drop(command);
    process.wait(LIMIT).expect("run ends");
    let after = nix::sys::termios::tcgetattr(&pty.master).unwrap();
    assert_eq!(before.local_flags, after.local_flags);
    assert_eq!(before.input_flags, after.input_flags);
    assert_eq!(before.output_flags, after.output_flags);
}

#[test]
fn an_exec_has_a_terminal_of_its_own() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    runtime.start(&bundle);
    let socket = FdSocket::new(&bundle.beside("console"));
    let words =
        ["exec", "--tty", "--detach", "--console-socket", socket.path(), bundle.id(), "/probe", "see"];
    runtime.call(&words).ok();
    let (master, _) = socket.receive(LIMIT).expect("a terminal");
    let text = read_until(&master, LIMIT, |text| text.contains('\n'));
    let seen: Value = serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("{e}: {text:?}"));
    assert_eq!(seen["tty"]["controlling"], true);
    assert_eq!(seen["tty"]["name"], "/dev/pts/0");
}

#[test]
fn an_exec_in_the_foreground_has_the_callers_terminal() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    runtime.start(&bundle);
    let mut command =
        runtime.command(&["exec", "--tty", bundle.id(), "/probe", "sizes", "11x99", "+", "exit", "8"]);
    let pty = Pty::new(24, 80);
    pty.attach(&mut command);
    let mut process = Process::start(&mut command);
    drop(command);
    read_until(&pty.master, LIMIT, |text| text.contains("ready"));
    pty.resize(11, 99);
    let text = read_until(&pty.master, LIMIT, |text| text.contains("11x99"));
    assert!(text.contains("11x99"), "{text:?}");
    assert_eq!(process.wait(LIMIT).and_then(|status| status.code()), Some(8));
}

#[test]
fn a_terminal_in_a_user_namespace() {
    let (mut bundle, runtime) = with_terminal();
    bundle.map_users(100_000, 65_536);
    let socket = FdSocket::new(&bundle.beside("console"));
    bundle.set("/process/user", json!({"uid": 7, "gid": 8})).probe(&["see", "stat=/dev/pts/0"]);
    runtime.run_with(&bundle, &["--detach", "--console-socket", socket.path()]).ok();
    let (master, _) = socket.receive(LIMIT).expect("a terminal");
    let text = read_until(&master, LIMIT, |text| text.contains('\n'));
    let seen: Value = serde_json::from_str(text.trim()).unwrap_or_else(|e| panic!("{e}: {text:?}"));
    assert_eq!(seen["tty"]["controlling"], true);
    assert_eq!(seen["stat"]["/dev/pts/0"]["uid"], 7);
}

#[test]
fn a_terminal_without_anybody_to_take_it_is_refused() {
    let (bundle, runtime) = with_terminal();
    runtime.create_with(&bundle, &[]).fails(1, &["console socket"]);
    runtime.run_with(&bundle, &["--detach"]).fails(1, &["console socket"]);
    runtime
        .create_with(&bundle, &["--console-socket", "/no/such/socket"])
        .refuses(&["/no/such/socket", "no such file or directory"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_console_socket_without_a_terminal_is_refused() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    let socket = FdSocket::new(&bundle.beside("console"));
    runtime.create_with(&bundle, &["--console-socket", socket.path()]).fails(1, &["console socket"]);
    runtime.leaves_nothing(bundle.id());
}

/// Somebody who takes the connection and never the message, or hangs up.
#[test]
fn a_taker_that_hangs_up_is_no_trouble() {
    let (mut bundle, runtime) = with_terminal();
    let path = bundle.beside("console");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let taker = std::thread::spawn(move || drop(listener.accept()));
    bundle.probe(&["sleep"]);
    let outcome = runtime.create_with(&bundle, &["--console-socket", path.to_str().unwrap()]);
    taker.join().unwrap();
    assert!(outcome.code == 0 || outcome.code == 1, "{outcome}");
}

/// CVE-2025-52565, runc CVE-2025-31133's sister: the console must be a terminal of the container's own instance.
#[test]
fn a_console_is_never_made_of_what_the_rootfs_offers() {
    let (mut bundle, runtime) = with_terminal();
    if stand_in_lacks("runc 1.1.5 creates what the link points to") {
        return;
    }
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(point);
    }
    let outside = bundle.make_beside("outside");
    std::os::unix::fs::symlink(outside.join("made"), bundle.rootfs().join("dev/console")).unwrap();
    let socket = FdSocket::new(&bundle.beside("console"));
    bundle.probe(&["sleep"]);
    let outcome = runtime.create_with(&bundle, &["--console-socket", socket.path()]);
    println!("{}", outcome.code);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "something was made on the host");
}
