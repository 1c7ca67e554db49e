//! What goes to the log: the phases of a debug log, in both forms, and what the container's init has to say.

#![allow(clippy::unwrap_used)]

use std::fs;

use integration::{Bundle, stand_in_lacks};
use serde_json::{Value, json};

/// The words that scripts look for in runc's debug log, each of a moment that there is here too.
const INIT: [&str; 3] =
    ["nsexec container setup", "child process in init()", "init: closing the pipe to signal completion"];
const EXEC: [&str; 3] = ["nsexec container setup", "child process in init()", "setns_init: about to exec"];

#[test]
fn a_debug_log_tells_the_phases_of_run_and_exec() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]);
    bundle.write();
    for form in ["text", "json"] {
        let log = bundle.beside(form).display().to_string();
        let flags = ["--debug", "--log", &log, "--log-format", form];
        let call = |args: &[&str]| {
            let outcome = runtime.call(&[&flags, args].concat()).ok();
            assert_eq!(outcome.stderr, "", "all of it goes to the file");
            let text = fs::read_to_string(&log).unwrap();
            fs::remove_file(&log).unwrap();
            text
        };
        let of_run = call(&["run", "--detach", "--bundle", &bundle.path(), bundle.id()]);
        let of_exec = call(&["exec", bundle.id(), "/probe", "exit", "0"]);
        runtime.call(&["delete", "--force", bundle.id()]).ok();
        for (text, words) in [(of_run, INIT), (of_exec, EXEC)] {
            for word in words {
                assert!(text.contains(word), "no {word:?} in {text}");
            }
            for line in text.lines() {
                if form == "json" {
                    let line: Value = serde_json::from_str(line).unwrap();
                    assert_eq!(line["level"], "debug", "{line}");
                } else {
                    assert!(line.starts_with("time=\"") && line.contains(" level=debug msg=\""), "{line}");
                }
            }
        }
    }
}

/// They are said when the runtime's descriptors, that of the log too, are closed.
#[test]
fn a_warning_of_the_container_s_init_is_in_the_log() {
    if stand_in_lacks("runc 1.1.5 says nothing") {
        return;
    }
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["sleep"]).set(
        "/process/capabilities",
        json!({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]}),
    );
    bundle.write();
    let log = bundle.beside("log").display().to_string();
    let flags = ["--log", &log, "--log-format", "json"];
    let warned = |args: &[&str]| {
        let outcome = runtime.call(&[&flags, args].concat()).ok();
        assert_eq!(outcome.stderr, "");
        let text = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        let line: Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["level"], "warning");
        assert!(line["msg"].as_str().unwrap().contains("can't raise ambient capability CAP_KILL"), "{line}");
    };
    warned(&["create", "--bundle", &bundle.path(), bundle.id()]);
    runtime.call(&["start", bundle.id()]).ok();
    // An exec takes the capabilities of config.json.
    warned(&["exec", bundle.id(), "/probe", "exit", "0"]);
}
