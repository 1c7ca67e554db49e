//! What does not work, told in one line, and nothing left behind.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use integration::{Bundle, skip};
use serde_json::json;

use super::{call, create, is_gone, scene, shown, start, unit};

#[test]
fn without_systemd() {
    if Path::new("/run/systemd/system").exists() {
        return skip("systemd runs on this host");
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/linux/cgroupsPath", json!("system.slice:it:x"));
    create(&bundle, &runtime)
        .refuses(&["systemd not running on this host, cannot use systemd cgroups manager"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn names_that_are_none() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    for (path, words) in [
        ("/a/path", "expected cgroupsPath to be of format"),
        ("a:b", "expected cgroupsPath"),
        ("system:it:x", "it does not end with .slice"),
        ("a--b.slice:it:x", "invalid slice name"),
        ("system.slice:it:x y", "invalid unit name"),
        ("system.slice:it:../x", "invalid unit name"),
        ("system.slice:it:x.slice", "a container can't be a slice"),
    ] {
        bundle.set("/linux/cgroupsPath", json!(path));
        create(&bundle, &runtime).refuses(&[words]);
        runtime.leaves_nothing(bundle.id());
    }
    // The other way round.
    bundle.set("/linux/cgroupsPath", json!("system.slice:it:x"));
    runtime.create_with(&bundle, &[]).refuses(&["--systemd-cgroup"]);
}

#[test]
fn properties_that_are_none() {
    let Some((mut bundle, runtime)) = scene() else { return };
    for (name, value, words) in [
        ("TimeoutStopUSec", "word", "value parse error"),
        ("TimeoutStopUSec", "'a string'", "systemd:"),
        ("NoSuchThing", "true", "systemd: Cannot set property NoSuchThing"),
    ] {
        bundle.set("/annotations", json!({format!("org.systemd.property.{name}"): value}));
        create(&bundle, &runtime).refuses(&[words]);
        is_gone(&bundle, &runtime);
    }
}

#[test]
fn a_create_that_fails_leaves_no_unit() {
    let Some((mut bundle, runtime)) = scene() else { return };
    bundle.set("/process/args", json!(["/no/such/program"]));
    create(&bundle, &runtime).refuses(&["/no/such/program"]);
    is_gone(&bundle, &runtime);
    bundle.probe(&["sleep"]).push("/hooks/createRuntime", json!({"path": "/bin/false"}));
    create(&bundle, &runtime).refuses(&["hook"]);
    is_gone(&bundle, &runtime);
    bundle.remove("/hooks");
    // A limit whose file the kernel refuses, when the scope stands already.
    bundle.set("/linux/resources/unified", json!({"pids.nonsense": "1"}));
    if super::is_v2() {
        create(&bundle, &runtime).refuses(&["pids.nonsense"]);
        is_gone(&bundle, &runtime);
    }
}

#[test]
fn a_unit_that_is_there_is_left_alone() {
    let Some((bundle, runtime)) = scene() else { return };
    start(&bundle, &runtime);
    let id = format!("{}2", bundle.id());
    call(&runtime, &["create", "--bundle", &bundle.path(), &id])
        .refuses(&["systemd has such a unit already"]);
    assert!(!runtime.root().join(&id).exists());
    assert_eq!(runtime.status(bundle.id()), "running");
    assert_eq!(shown(&unit(&bundle), "ActiveState"), "active");
}

/// Buses that are none: nobody listens, nobody answers, somebody hangs up or speaks something else.
#[test]
fn a_bus_that_is_sick() {
    let Some((bundle, runtime)) = scene() else { return };
    bundle.write();
    let path = bundle.path();
    let socket = bundle.beside("bus");
    let attempt = || {
        let mut command = runtime.command(&["--systemd-cgroup", "create", "--bundle", &path, bundle.id()]);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", socket.display()));
        runtime.begin(command)
    };
    let check = |running: integration::runtime_bin::Running, words: &str| {
        running.finish().refuses(&["D-Bus", &socket.display().to_string(), words]);
        is_gone(&bundle, &runtime);
    };
    check(attempt(), "no such file or directory");
    let listener = UnixListener::bind(&socket).unwrap();
    // It lets in, and says nothing.
    let waiting = attempt();
    let silent = listener.accept().unwrap();
    check(waiting, "no answer within 30s");
    drop(silent);
    for (said, words) in [
        (&b""[..], "it hung up"),
        (b"REJECTED DBUS_COOKIE_SHA1\r\n", "login: REJECTED"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "login: HTTP/1.1"),
        (b"DATA\r\nOK 1\r\nnonsense nonsense", "no D-Bus message"),
    ] {
        let waiting = attempt();
        let (mut peer, _) = listener.accept().unwrap();
        // What it was sent and has not read would make its end a reset.
        let mut heard = vec![0; 4096];
        let _ = peer.read(&mut heard).unwrap();
        peer.write_all(said).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        check(waiting, words);
    }
    drop(listener);
    check(attempt(), "connection refused");
}
