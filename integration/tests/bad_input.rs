//! Input that nobody should write: config.json as a file, values in it, ids, roots without a program. Each is refused
//! in one line that says what and where, with runc's exit code, and leaves nothing behind.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use integration::{Bundle, Outcome, Runtime, skip, stand_in_lacks};
use serde_json::{Value, json};

/// `create` and `run` answer alike, and neither leaves a trace.
#[track_caller]
fn refused(bundle: &Bundle, runtime: &Runtime, words: &[&str]) -> Outcome {
    let path = bundle.path();
    let mut last = None;
    for verb in ["create", "run"] {
        let outcome = runtime.call(&[verb, "--bundle", &path, bundle.id()]).refuses(words);
        let length = outcome.stderr.len();
        assert!(
            length < 16_000 || stand_in_lacks("runc repeats its whole input"),
            "the answer has {length} bytes"
        );
        last = Some(outcome);
        runtime.leaves_nothing(bundle.id());
    }
    last.expect("two calls")
}

/// config.json as these bytes.
#[track_caller]
fn text_is_refused(bytes: &[u8], words: &[&str]) {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.write_raw(bytes);
    let outcome = refused(&bundle, &runtime, words);
    assert!(outcome.stderr.len() < 4096, "the whole file is in the message: {} bytes", outcome.stderr.len());
}

/// The ordinary config.json as text.
fn ordinary() -> String {
    Bundle::new().config.to_string()
}

#[test]
fn no_file_at_all() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    refused(&bundle, &runtime, &["config.json", "no such file or directory"]);
    let outcome = runtime.call(&["create", "--bundle", "/no/such/bundle", bundle.id()]);
    outcome.refuses(&["/no/such/bundle", "no such file or directory"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_directory_or_a_device_instead_of_a_file() {
    let bundle = Bundle::new();
    let runtime = bundle.runtime();
    let file = bundle.beside("bundle/config.json");
    fs::create_dir(&file).unwrap();
    refused(&bundle, &runtime, &["config.json", "is a directory"]);
    fs::remove_dir(&file).unwrap();
    if stand_in_lacks("runc reads a device for ever") {
        return;
    }
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    refused(&bundle, &runtime, &["config.json"]);
}

#[test]
fn text_that_is_no_json() {
    text_is_refused(b"", &["config.json"]);
    text_is_refused(b"   \n", &["config.json"]);
    text_is_refused(b"not json", &["config.json", "line 1"]);
    text_is_refused(b"{", &["config.json", "line 1"]);
    text_is_refused(b"\x00\x01\x02", &["config.json"]);
    text_is_refused(b"[]", &["config.json"]);
    text_is_refused(b"\"text\"", &["config.json"]);
    let whole = ordinary();
    text_is_refused(&whole.as_bytes()[..whole.len() / 2], &["config.json"]);
}

#[test]
fn json_that_two_readers_would_read_differently() {
    if stand_in_lacks("runc's parser takes all of these") {
        return;
    }
    let whole = ordinary();
    text_is_refused(format!("{whole}{{}}").as_bytes(), &["config.json", "trailing"]);
    text_is_refused(format!("{whole} x").as_bytes(), &["config.json", "trailing"]);
    text_is_refused(format!("\u{feff}{whole}").as_bytes(), &["config.json", "byte order mark"]);
    let doubled =
        whole.replacen("\"process\":", "\"process\":{\"args\":[\"x\"],\"cwd\":\"/\"},\"process\":", 1);
    text_is_refused(doubled.as_bytes(), &["config.json", "duplicate", "process"]);
    let doubled = whole.replacen("\"uid\":0", "\"uid\":0,\"uid\":1", 1);
    text_is_refused(doubled.as_bytes(), &["config.json", "duplicate", "uid"]);
    let mut bytes = whole.clone().into_bytes();
    let at = whole.find("/probe").unwrap();
    bytes[at] = 0xff;
    text_is_refused(&bytes, &["config.json", "UTF-8"]);
    text_is_refused(whole.replacen("/probe", "/pro\\u0000be", 1).as_bytes(), &["config.json", "NUL"]);
}

#[test]
fn json_that_is_too_deep_or_too_large() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    text_is_refused(deep.as_bytes(), &["config.json", "deep"]);
    let whole = ordinary();
    let hidden = whole.replacen('{', &format!("{{\"x\":{deep},"), 1);
    text_is_refused(hidden.as_bytes(), &["config.json", "deep"]);
    if stand_in_lacks("runc reads files of any size") {
        return;
    }
    let large = whole.replacen('{', &format!("{{\"x\":\"{}\",", "y".repeat(20 << 20)), 1);
    text_is_refused(large.as_bytes(), &["config.json", "larger"]);
}

/// Pointer, value, words of the answer, and whether runc 1.1.5 refuses it too.
type Wrong<'a> = (&'a str, Value, &'a [&'a str], bool);

fn values_are_refused(cases: &[Wrong]) {
    let mut taken = Vec::new();
    for (pointer, value, words, by_stand_in) in cases {
        if !by_stand_in && stand_in_lacks(&format!("runc 1.1.5 takes {pointer} {value}")) {
            continue;
        }
        // One that is taken must not hide the others.
        let refusal = std::panic::catch_unwind(|| {
            let mut bundle = Bundle::new();
            let runtime = bundle.runtime();
            bundle.set(pointer, value.clone()).write();
            refused(&bundle, &runtime, words);
        });
        if refusal.is_err() {
            taken.push(format!("{pointer} {}", value.to_string().chars().take(80).collect::<String>()));
        }
    }
    assert!(taken.is_empty(), "not refused as they should be:\n{}", taken.join("\n"));
}

#[test]
fn values_of_the_wrong_type() {
    values_are_refused(&[
        ("/process", json!("text"), &["process"], true),
        ("/process", json!([]), &["process"], true),
        ("/process/args", json!("/probe"), &["process.args"], true),
        ("/process/args", json!([1]), &["process.args"], true),
        ("/process/args", json!([["/probe"]]), &["process.args"], true),
        ("/process/env", json!({"A": "1"}), &["process.env"], true),
        ("/process/terminal", json!("yes"), &["process.terminal"], true),
        ("/process/user", json!("root"), &["process.user"], true),
        ("/process/user/uid", json!("0"), &["process.user.uid"], true),
        ("/process/user/uid", json!(1.5), &["process.user.uid"], true),
        ("/process/user/additionalGids", json!(7), &["additionalGids"], true),
        ("/process/noNewPrivileges", json!(1), &["noNewPrivileges"], true),
        ("/process/oomScoreAdj", json!("low"), &["oomScoreAdj"], true),
        ("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": "x", "hard": 1}]), &["rlimits"], true),
        ("/root", json!("rootfs"), &["root"], true),
        ("/root", json!(["rootfs"]), &["root"], true),
        ("/root/path", json!(7), &["root.path"], true),
        ("/root/readonly", json!("no"), &["root.readonly"], true),
        ("/hostname", json!(7), &["hostname"], true),
        ("/mounts", json!({}), &["mounts"], true),
        ("/mounts/0/options", json!("ro"), &["mounts", "options"], true),
        ("/mounts/0/destination", json!(null), &["mounts"], false),
        ("/hooks", json!([]), &["hooks"], true),
        ("/hooks/prestart", json!({"path": "/bin/true"}), &["hooks"], true),
        ("/annotations", json!({"a": 1}), &["annotations"], true),
        ("/linux", json!([]), &["linux"], true),
        ("/linux/namespaces", json!("pid"), &["linux.namespaces"], true),
        ("/linux/sysctl", json!(["a"]), &["linux.sysctl"], true),
        ("/linux/maskedPaths", json!("/proc"), &["linux.maskedPaths"], true),
        (
            "/linux/devices",
            json!([{"path": "/dev/x", "type": "c", "major": "1", "minor": 3}]),
            &["linux.devices"],
            true,
        ),
        ("/linux/resources/memory", json!({"limit": "1g"}), &["memory"], true),
        ("/linux/resources/pids", json!({"limit": 1.5}), &["pids"], true),
        ("/linux/seccomp", json!({"defaultAction": 7}), &["seccomp"], true),
        ("/ociVersion", json!(1), &["ociVersion"], true),
    ]);
}

#[test]
fn values_that_mean_nothing() {
    values_are_refused(&[
        ("/process", json!(null), &["process"], true),
        ("/process/args", json!([]), &["args"], true),
        ("/process/args", json!(null), &["args"], true),
        ("/process/args", json!([""]), &["exec: "], true),
        ("/process/cwd", json!(""), &["cwd"], true),
        ("/process/cwd", json!("relative"), &["cwd", "relative"], true),
        ("/process/user/uid", json!(4_294_967_295_u32), &["uid"], true),
        ("/process/user/uid", json!(4_294_967_296_u64), &["uid"], true),
        ("/process/user/uid", json!(-1), &["uid"], true),
        ("/process/user/gid", json!(4_294_967_295_u32), &["gid"], true),
        ("/process/user/gid", json!(4_294_967_296_u64), &["gid"], true),
        ("/process/user/additionalGids", json!([4_294_967_295_u32]), &["additionalGids"], true),
        ("/process/user/umask", json!(0o1_000_000), &["umask"], false),
        ("/process/env", json!(["NO_VALUE"]), &["env", "NO_VALUE"], false),
        ("/process/env", json!(["=value"]), &["env"], false),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_NO_SUCH", "soft": 1, "hard": 1}]),
            &["rlimit", "RLIMIT_NO_SUCH"],
            true,
        ),
        ("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]), &["RLIMIT_CORE"], true),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]),
            &["RLIMIT_CORE"],
            false,
        ),
        ("/process/oomScoreAdj", json!(1001), &["oomScoreAdj"], true),
        ("/root", json!(null), &["root"], true),
        ("/root/path", json!("/no/such/root"), &["/no/such/root", "no such file or directory"], true),
        ("/root/path", json!("/etc/passwd"), &["/etc/passwd", "not a directory"], true),
        ("/root/path", json!(""), &["root"], false),
        ("/linux/namespaces", json!([{"type": "nosuch"}]), &["namespace", "nosuch"], true),
        (
            "/linux/namespaces/0/path",
            json!("/no/such/path"),
            &["/no/such/path", "no such file or directory"],
            true,
        ),
        ("/linux/namespaces/0/path", json!("relative"), &["relative"], true),
        (
            "/linux/namespaces/1/path",
            json!(format!("/{}", "x".repeat(66_000))),
            &["file name too long"],
            true,
        ),
        ("/linux/sysctl", json!({"no.such.sysctl": "1"}), &["no.such.sysctl"], true),
        ("/linux/intelRdt", json!({"closID": "../x"}), &["losID"], false),
        ("/hooks/prestart", json!([{"path": "relative"}]), &["hook", "relative"], true),
        ("/hooks/prestart", json!([{"path": ""}]), &["hook"], true),
        ("/hooks/prestart", json!([{"path": "/bin/true", "timeout": -1}]), &["timeout"], false),
        ("/hooks/prestart", json!([{"path": "/bin/true", "timeout": 0}]), &["timeout"], false),
    ]);
}

/// A cgroup's path is one below the hierarchies, whatever it says.
#[test]
fn a_cgroups_path_that_climbs_stays_inside() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    let path = json!(format!("/../../../{}", bundle.id()));
    bundle.set("/linux/cgroupsPath", path).probe(&["exit", "0"]);
    let outcome = runtime.run(&bundle);
    assert!(outcome.code == 0 || outcome.code == 1, "{outcome}");
    assert!(!std::path::Path::new("/").join(bundle.id()).exists());
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn programs_that_can_not_be_run() {
    for (args, words) in [
        (json!(["nosuch"]), vec!["nosuch", "executable file not found in $PATH"]),
        (json!(["/no/such"]), vec!["/no/such", "no such file or directory"]),
        (json!(["/etc/passwd"]), vec!["/etc/passwd", "permission denied"]),
        (json!(["/etc"]), vec!["/etc"]),
        (json!(["/text"]), vec!["/text", "exec format error"]),
        (json!(["/script"]), vec!["/script", "no such file or directory"]),
        (json!(["/loop"]), vec!["/loop"]),
    ] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        for (name, text) in [("text", "no program"), ("script", "#!/no/such/interpreter\n")] {
            fs::write(bundle.rootfs().join(name), text).unwrap();
            fs::set_permissions(bundle.rootfs().join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::symlink("loop", bundle.rootfs().join("loop")).unwrap();
        bundle.set("/process/args", args.clone());
        println!("{args}");
        // What only execve(2) can tell is told by run; create knows what is not there.
        let outcome = runtime.run(&bundle);
        assert!(!outcome.stderr.is_empty());
        let execve_tells = matches!(args[0].as_str(), Some("/text" | "/script"));
        if execve_tells && stand_in_lacks("runc 1.1.5 says it on the container's standard error") {
            continue;
        }
        if execve_tells {
            // The container says it on its standard error, as under runc, and ends with 255; start says it too.
            assert_eq!(outcome.lines().len(), 1, "{outcome}");
            assert!(outcome.stderr.starts_with("exec /"), "{outcome}");
            outcome.fails(255, &words);
            runtime.create(&bundle);
            runtime.call(&["start", bundle.id()]).refuses(&words);
            runtime.call(&["delete", bundle.id()]).ok();
        } else {
            outcome.refuses(&words);
        }
        runtime.leaves_nothing(bundle.id());
        if !execve_tells {
            runtime.create_with(&bundle, &[]).refuses(&words);
            runtime.leaves_nothing(bundle.id());
        }
    }
}

#[test]
fn arguments_that_are_too_much() {
    for args in [
        json!(["/probe", "say", "x".repeat(200_000)]),
        Value::from(
            std::iter::once("/probe".to_owned())
                .chain((0..100_000).map(|n| format!("argument-number-{n}-of-many")))
                .collect::<Vec<_>>(),
        ),
    ] {
        let mut bundle = Bundle::new();
        let runtime = bundle.runtime();
        bundle.set("/process/args", args);
        let outcome = runtime.run(&bundle);
        assert_ne!(outcome.code, 0, "{outcome}");
        if !stand_in_lacks("runc 1.1.5 says it on the container's standard error") {
            assert_eq!(outcome.lines().len(), 1, "{outcome}");
            outcome.fails(255, &["/probe", "argument list too long"]);
        }
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn ids_that_are_none() {
    let mut bundle = Bundle::new();
    bundle.probe(&["exit", "0"]).write();
    let runtime = bundle.runtime();
    let path = bundle.path();
    let long = "x".repeat(2_000);
    for id in
        ["../x", "..", ".", "a/b", "/absolute", "a b", "a\nb", "a\tb", "ä", "a*b", "$(id)", "a\\b", &long]
    {
        for call in [
            &["create", "--bundle", &path, id][..],
            &["run", "--bundle", &path, id],
            &["state", id],
            &["start", id],
            &["kill", id, "KILL"],
            &["delete", id],
            &["pause", id],
        ] {
            let outcome = runtime.call(call).refuses(&[]);
            if id != long && !stand_in_lacks("runc 1.1.5 looks for some of them") {
                assert!(outcome.stderr.contains("invalid container ID format"), "{outcome}");
            }
        }
    }
    // Nothing was made, neither in the state directory nor above it.
    assert_eq!(fs::read_dir(runtime.root()).map_or(0, Iterator::count), 0);
    assert!(!bundle.beside("x").exists());
    runtime.call(&["create", "--bundle", &path, ""]).refuses(&["container id cannot be empty"]);
    runtime.call(&["create", "--bundle", &path, "-x"]).fails(1, &[]);
    runtime.call(&["create", "--bundle", &path]).fails(1, &[]);
    runtime.call(&["create", "--bundle", &path, "one", "two"]).fails(1, &[]);
}

#[test]
fn roots_that_can_not_hold_a_state() {
    let mut bundle = Bundle::new();
    bundle.probe(&["exit", "0"]).write();
    let runtime = bundle.runtime();
    let file = bundle.beside("file");
    fs::write(&file, "").unwrap();
    let path = bundle.path();
    for root in [file.to_str().unwrap(), "/proc/no/such", "/proc/self/root/dev/null"] {
        let mut command = std::process::Command::new(integration::runtime_binary());
        command.args(["--root", root, "run", "--bundle", &path, bundle.id()]);
        runtime.finish(command).refuses(&[root]);
        runtime.leaves_nothing(bundle.id());
    }
    let mut command = std::process::Command::new(integration::runtime_binary());
    command.args(["--root", "/", "run", "--bundle", &path, bundle.id()]);
    if !stand_in_lacks("runc 1.1.5 makes its directories in /") {
        runtime.finish(command).fails(1, &[]);
    }
}

/// With `--log` an engine reads the answer from the file; what it shows its user is the last line.
#[test]
fn the_answer_is_in_the_log_too() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.set("/process/args", json!(["nosuch"])).write();
    let log = bundle.beside("log");
    let path = bundle.path();
    let words =
        ["--log", log.to_str().unwrap(), "--log-format", "json", "create", "--bundle", &path, bundle.id()];
    runtime.call(&words).fails(1, &["executable file not found in $PATH"]);
    let text = fs::read_to_string(&log).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().unwrap().contains("executable file not found in $PATH"), "{last}");
    assert!(last["time"].as_str().unwrap().contains('T'));
}

/// Intel RDT where there is none: refused in runc's words, and before anything is made.
#[test]
fn intel_rdt_needs_a_machine_that_has_it() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle
        .set("/linux/intelRdt", json!({"closID": "class", "schemata": ["L3:0=f"], "enableMonitoring": true}));
    if fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - resctrl ") {
        return skip("this host has resctrl");
    }
    if stand_in_lacks("runc 1.1.5 passes it over") {
        return;
    }
    bundle.write();
    refused(&bundle, &runtime, &["intelRdt is specified in config, but Intel RDT is not enabled"]);
    bundle.remove("/linux/intelRdt").probe(&["sleep"]);
    runtime.start(&bundle);
    for (flag, words) in [
        ("--l3-cache-schema=L3:0=f", "Intel RDT/CAT: l3 cache schema is not enabled"),
        ("--mem-bw-schema=MB:0=20", "Intel RDT/MBA: memory bandwidth schema is not enabled"),
    ] {
        runtime.call(&["update", flag, bundle.id()]).refuses(&[words]);
    }
}
