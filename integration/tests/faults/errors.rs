//! A system call answers with an error that it does not give on this host: an outer sandbox, an old kernel, no memory,
//! no descriptors. An error, or the very same container; never less confinement, never a hang.

use integration::injection::{Point, strike_each};
use integration::{Bundle, Runtime, host, stand_in_lacks};
use serde_json::{Value, json};

use crate::{is_cleaned_up, remains};

/// What a container's confinement consists of.
fn confinement(seen: &Value) -> Value {
    let mut mounts: Vec<Value> = seen["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| json!([mount["point"], mount["type"], mount["options"]]))
        .collect();
    mounts.sort_by_key(ToString::to_string);
    let host = |name: &str| json!(host::namespace(i32::try_from(std::process::id()).unwrap(), name));
    let namespaces = seen["namespaces"].as_object().unwrap();
    let shared: Vec<_> =
        namespaces.iter().filter(|(name, inode)| **inode == host(name)).map(|(name, _)| name).collect();
    let mut picked = json!({"mounts": mounts, "shared namespaces": shared});
    for field in [
        "uid",
        "gid",
        "groups",
        "capabilities",
        "no_new_privs",
        "seccomp",
        "securebits",
        "cgroups",
        "hostname",
        "rlimits",
        "umask",
        "signals",
        "oom_score_adj",
        "cwd",
    ] {
        picked[field] = seen[field].clone();
    }
    // Of descriptors and pipes only the numbers.
    picked["fds"] = json!(seen["fds"].as_object().unwrap().keys().collect::<Vec<_>>());
    picked
}

/// A container with much to confine.
fn confined() -> Bundle {
    let mut bundle = Bundle::new();
    bundle
        .set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": [7]}))
        .set("/process/oomScoreAdj", json!(77))
        .set("/root/readonly", json!(true))
        .set("/linux/resources/memory", json!({"limit": 256 << 20}))
        .set("/linux/resources/pids", json!({"limit": 64}))
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}]}),
        );
    bundle
}

/// Each call of the runtime and of the process that it makes, with each errno. Not close, which has closed the
/// descriptor whatever it answers.
fn refusals(runtime: &Runtime, args: &[&str]) -> Vec<(Point, &'static str)> {
    let mut points = runtime.survey(args);
    points.retain(|point| point.who < 2 && point.call != "close");
    let with_all = |point: Point| ["EPERM", "ENOSYS", "ENOMEM", "EMFILE"].map(|errno| (point.clone(), errno));
    points.into_iter().flat_map(with_all).collect()
}

/// As it should be, or an error: also if it is told only after the program has run.
fn as_expected(when: &str, outcome: &integration::Outcome, expected: &Value) {
    if outcome.code == 0 || !outcome.stdout.is_empty() {
        let seen = serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{when}: {e}: {outcome}"));
        let seen = confinement(&seen);
        for (field, value) in seen.as_object().unwrap() {
            assert_eq!(value, &expected[field], "{when}: {field}");
        }
    }
    // Without memory even the words may be missing: it aborts.
    let aborted = [134, 139].contains(&outcome.code);
    assert!(outcome.code == 0 || aborted || !outcome.stderr.is_empty(), "{when}: {outcome}");
}

#[test]
fn run() {
    if stand_in_lacks("runc 1.1.5 leaves a mount of itself behind") {
        return;
    }
    let bundle = confined();
    let runtime = bundle.runtime();
    let expected = confinement(&runtime.see(&bundle));
    let path = bundle.path();
    let args = ["run", "--bundle", &path, bundle.id()];
    strike_each(&runtime, "run", refusals(&runtime, &args), &args, |when, outcome| {
        as_expected(when, outcome, &expected);
        is_cleaned_up(&bundle, &runtime, when);
    });
}

#[test]
fn exec() {
    let mut bundle = confined();
    bundle.probe(&["reap"]);
    let runtime = bundle.runtime();
    runtime.start(&bundle);
    let expected = confinement(&runtime.exec(bundle.id(), &["see"]).ok().json());
    let args = ["exec", bundle.id(), "/probe", "see"];
    strike_each(&runtime, "exec", refusals(&runtime, &args), &args, |when, outcome| {
        as_expected(when, outcome, &expected);
        assert_eq!(runtime.status(bundle.id()), "running", "{when}");
    });
    is_cleaned_up(&bundle, &runtime, "execs with errors");
    assert!(remains(&bundle, &runtime).is_empty());
}
