//! What the command line answers: help, version, mistakes, logs, and the commands that need no container.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use integration::{Bundle, host_process, runtime_binary, stand_in_lacks};
use serde_json::Value;

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn say(program: &Path, args: &[&str]) -> Said {
    // Another test of this program may be reaping orphans.
    let output = host_process::without_forks(|| Command::new(program).args(args).output());
    let output = output.expect("start the runtime");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

fn call(args: &[&str]) -> Said {
    say(&runtime_binary(), args)
}

/// A directory of this test alone, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pinnace-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("make a directory");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const COMMANDS: [&str; 15] = [
    "create", "delete", "events", "exec", "features", "kill", "list", "pause", "ps", "resume", "run", "spec",
    "start", "state", "update",
];

#[test]
fn help_lists_every_command_and_each_has_a_page() {
    for args in [&[][..], &["help"], &["h"], &["-h"], &["--help"]] {
        let said = call(args);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{args:?}");
        assert!(said.out.starts_with("NAME:\n   "), "{}", said.out);
        assert!(said.out.contains(" - Open Container Initiative runtime\n"), "{}", said.out);
        for command in COMMANDS {
            assert!(said.out.contains(&format!("\n   {command} ")), "{command} in {}", said.out);
        }
    }
    for command in COMMANDS {
        for args in [[command, "-h"], [command, "--help"], ["help", command]] {
            let said = call(&args);
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{args:?}");
            assert!(
                said.out.starts_with("NAME:\n   ") && said.out.contains(&format!(" {command} - ")),
                "{}",
                said.out
            );
        }
    }
}

#[test]
fn version_is_what_engines_look_for() {
    if stand_in_lacks("another name and other lines") {
        return;
    }
    for flag in ["-v", "--version"] {
        let said = call(&[flag]);
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        let lines: Vec<&str> = said.out.lines().collect();
        assert!(lines[0].starts_with("pinnace version "), "{}", said.out);
        assert!(lines[1].starts_with("commit: "), "{}", said.out);
        assert_eq!(lines[2], "spec: 1.3.0");
        assert_eq!(lines.iter().filter(|line| line.contains("version")).count(), 1);
    }
}

#[test]
fn by_the_name_runc_it_answers_as_runc() {
    let scratch = Scratch::new("name");
    let runc = scratch.path("runc");
    symlink(runtime_binary(), &runc).unwrap();
    let said = say(Path::new(&runc), &["--version"]);
    assert!(said.out.starts_with("runc version "), "{}", said.out);
    let said = say(Path::new(&runc), &["state", "-h"]);
    assert!(said.out.starts_with("NAME:\n   runc state - "), "{}", said.out);
    let said = say(Path::new(&runc), &["create", "a", "b"]);
    assert!(
        said.err.contains(&format!("{runc}: \\\"create\\\" requires exactly 1 argument(s)")),
        "{}",
        said.err
    );
}

#[test]
fn mistakes_have_runc_s_words_and_exit_codes() {
    for (args, code, words) in [
        (&["foo"][..], 3, "No help topic for 'foo'"),
        (&["foo", "-h"], 3, "No help topic for 'foo'"),
        (&["help", "foo"], 3, "No help topic for 'foo'"),
        (&["state", "-foo", "x"], 1, "flag provided but not defined: -foo"),
        (&["--foo"], 1, "flag provided but not defined: -foo"),
        (&["exec", "-te", "A=1", "x"], 1, "flag provided but not defined: -te"),
        (&["state"], 1, "\\\"state\\\" requires exactly 1 argument(s)"),
        (&["kill"], 1, "\\\"kill\\\" requires a minimum of 1 argument(s)"),
        (&["kill", "a", "KILL", "c"], 1, "\\\"kill\\\" requires a maximum of 2 argument(s)"),
        (&["exec"], 1, "\\\"exec\\\" requires a minimum of 1 argument(s)"),
        (&["--log-format", "x", "list"], 1, "invalid log-format: x"),
        (&["state", "a/b"], 1, "invalid container ID format"),
        (&["state", "no-such-container"], 1, "container does not exist"),
        (&["list", "-f", "yaml"], 1, "invalid format option"),
    ] {
        let said = call(args);
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        let last = said.err.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("time=\"") && last.contains(" level=error msg=\""),
            "{args:?}: {}",
            said.err
        );
        assert!(last.contains(words), "{args:?}: {}", said.err);
    }
}

#[test]
fn a_wrong_flag_shows_the_help_beside_the_error() {
    let said = call(&["list", "--foo"]);
    assert!(said.out.contains("NAME:\n") && said.out.contains("--quiet"), "{}", said.out);
    if !stand_in_lacks("it is said on standard output") {
        assert!(
            said.err.starts_with("Incorrect Usage: flag provided but not defined: -foo\n"),
            "{}",
            said.err
        );
    }
    assert!(call(&["list", "x"]).out.starts_with("Incorrect Usage.\n\n"));
}

#[test]
fn exec_fails_with_255_and_names_itself() {
    let said = call(&["exec", "no-such-container", "true"]);
    assert_eq!(said.code, 255);
    assert!(said.err.contains("msg=\"exec failed: container does not exist"), "{}", said.err);
}

#[test]
fn an_error_is_in_the_log_and_on_standard_error() {
    let scratch = Scratch::new("log");
    let log = scratch.path("log.json");
    for _ in 0..2 {
        let said = call(&["--log", &log, "--log-format", "json", "state", "no-such-container"]);
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert!(said.err.contains("container does not exist") && !said.err.contains("level"), "{}", said.err);
    }
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 2, "the second call appends: {text}");
    for line in text.lines() {
        assert!(line.starts_with("{\"level\":\"error\",\"msg\":\"container does not exist"), "{line}");
        let entry: Value = serde_json::from_str(line).unwrap();
        let time = entry["time"].as_str().unwrap();
        assert_eq!((time.len(), time.get(10..11)), ("2026-11-20T18:15:23Z".len(), Some("T")), "{time}");
    }
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o644);

    let text_log = scratch.path("log.text");
    call(&["--log", &text_log, "--debug=false", "state", "no-such-container"]);
    let text = fs::read_to_string(&text_log).unwrap();
    assert!(
        text.starts_with("time=\"") && text.contains("\" level=error msg=\"container does not exist"),
        "{text}"
    );

    let said = call(&["--log", &scratch.path("no/such/dir"), "list"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("no such file or directory"), "{}", said.err);
}

#[test]
fn spec_writes_a_config_once() {
    let scratch = Scratch::new("spec");
    let config = scratch.path("config.json");
    let bundle = scratch.0.to_str().unwrap();
    let said = call(&["spec", "--bundle", bundle]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.starts_with("{\n\t\"ociVersion\"") && text.ends_with('}'), "{text}");
    let spec: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(spec["process"]["args"], serde_json::json!(["sh"]));
    assert_eq!(spec["process"]["terminal"], true);
    assert_eq!(spec["root"]["path"], "rootfs");

    let said = call(&["spec", "-b", bundle]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("File config.json exists. Remove it first"), "{}", said.err);
    assert_eq!(fs::read_to_string(&config).unwrap(), text);

    fs::remove_file(&config).unwrap();
    assert_eq!(call(&["spec", "--rootless", "-b", bundle]).code, 0);
    let spec: Value = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    let namespaces = spec["linux"]["namespaces"].as_array().unwrap();
    assert!(namespaces.iter().any(|namespace| namespace["type"] == "user"), "{namespaces:?}");
    assert_eq!(spec["linux"]["uidMappings"][0]["containerID"], 0);
}

#[test]
fn features_are_json_alone() {
    if stand_in_lacks("an older form, or no such command") {
        return;
    }
    let said = call(&["features"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(
        said.out.starts_with("{\n    \"ociVersionMin\": \"1.0.0\",\n    \"ociVersionMax\": \"1.3.0\","),
        "{}",
        said.out
    );
    let features: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(features["hooks"].as_array().unwrap().len(), 6);
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
    let supported = features["linux"]["seccomp"]["supportedFlags"].as_array().unwrap();
    assert!(supported.iter().any(|flag| flag == "SECCOMP_FILTER_FLAG_LOG"), "{supported:?}");
}

#[test]
fn an_empty_root_lists_nothing() {
    let scratch = Scratch::new("list");
    let root = scratch.path("root");
    if !stand_in_lacks("a root that is not there is the same as an empty one") {
        let said = call(&["--root", &root, "list"]);
        assert_eq!((said.code, said.out.as_str()), (1, ""));
        assert!(said.err.contains("no such file or directory"), "{}", said.err);
    }
    fs::create_dir(&root).unwrap();
    let title = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n";
    assert_eq!(call(&["--root", &root, "list"]).out, title);
    if !stand_in_lacks("global flags stand before the command") {
        assert_eq!(call(&["list", "--root", &root]).out, title);
    }
    assert_eq!(call(&["--root", &root, "list", "-f", "json"]).out, "null\n");
    assert_eq!(call(&["--root", &root, "list", "-q"]).out, "");
    if !stand_in_lacks("/ is a root like any other") {
        let said = call(&["--root", "/tmp/..", "list"]);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("Option --root argument should not be set to /"), "{}", said.err);
    }
}

#[test]
fn run_of_a_path_that_is_no_bundle_is_an_invalid_id() {
    let said = call(&["run", "/no/such/bundle"]);
    assert_eq!(said.code, 1);
    if !stand_in_lacks("it looks for config.json first") {
        assert!(said.err.contains("run failed: invalid container ID format"), "{}", said.err);
    }
}

#[test]
fn a_path_is_enough_to_run_a_bundle() {
    if stand_in_lacks("an id must be given") {
        return;
    }
    let mut bundle = Bundle::new();
    bundle.probe(&["see"]);
    bundle.write();
    let runtime = bundle.runtime();
    let path = format!("{}/", bundle.path());
    let seen = runtime.call(&["run", &path]).ok();
    assert_eq!(seen.json()["args"][0], "/probe");
    assert_eq!(runtime.call(&["list", "-q"]).ok().stdout, "", "it is deleted at its end");

    bundle.probe(&["sleep"]);
    bundle.write();
    let id =
        runtime.call(&["run", "--detach", &path]).ok().stdout.lines().next().unwrap_or_default().to_owned();
    assert!(id.starts_with("bundle-"), "{id:?}");
    assert_eq!(runtime.status(&id), "running");
    assert_eq!(runtime.state(&id)["bundle"], bundle.path());
    runtime.call(&["delete", "--force", &id]).ok();
    runtime.leaves_nothing(&id);
}
