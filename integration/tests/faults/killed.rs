//! A process of the runtime is killed at the entry of any of its system calls: `delete --force` leaves nothing, and the
//! id can be used again.

use std::time::Instant;

use integration::host::LIMIT;
use integration::host_process::{self, Process};
use integration::injection::{Point, strike_each};
use integration::{Bundle, stand_in_lacks};

use crate::{is_cleaned_up, remains, sleeping};

/// Each call as a place to die at.
fn deadly(points: Vec<Point>) -> Vec<(Point, &'static str)> {
    points.into_iter().map(|point| (point, "kill")).collect()
}

#[test]
fn create() {
    if stand_in_lacks("runc 1.1.5 leaves cgroups and processes") {
        return;
    }
    let (bundle, runtime) = sleeping();
    let path = bundle.path();
    let args = ["create", "--bundle", &path, bundle.id()];
    let points = runtime.survey(&args);
    is_cleaned_up(&bundle, &runtime, "a whole create");
    assert!(points.iter().any(|point| point.who == 1), "the container's init was not seen");
    strike_each(&runtime, "create", deadly(points), &args, |when, outcome| {
        if outcome.code == 1 {
            // Init was killed: the runtime has seen it, and has taken everything back by itself.
            assert_eq!(outcome.lines().len(), 1, "{when}: {outcome}");
            let left = remains(&bundle, &runtime);
            assert!(left.is_empty(), "{when}: not undone:\n{}", left.join("\n"));
        }
        is_cleaned_up(&bundle, &runtime, when);
        runtime.call(&["create", "--bundle", &path, bundle.id()]).ok();
        is_cleaned_up(&bundle, &runtime, &format!("{when}; created again"));
    });
}

#[test]
fn run() {
    if stand_in_lacks("runc 1.1.5 leaves cgroups and processes") {
        return;
    }
    let mut bundle = Bundle::new();
    bundle.probe(&["exit", "0"]).write();
    let runtime = bundle.runtime();
    let path = bundle.path();
    let args = ["run", "--bundle", &path, bundle.id()];
    let mut points = runtime.survey(&args);
    points.retain(|point| point.who == 0);
    strike_each(&runtime, "run", deadly(points), &args, |when, _| is_cleaned_up(&bundle, &runtime, when));
}

#[test]
fn exec() {
    let mut bundle = Bundle::new();
    bundle.probe(&["reap"]);
    let runtime = bundle.runtime();
    runtime.start(&bundle);
    let args = ["exec", bundle.id(), "/probe", "exit", "5"];
    let mut points = runtime.survey_to(5, &args);
    points.retain(|point| point.who < 2);
    strike_each(&runtime, "exec", deadly(points), &args, |when, outcome| {
        assert!(outcome.code != 0, "{when}: {outcome}");
        assert_eq!(runtime.status(bundle.id()), "running", "{when}");
        assert_eq!(runtime.exec(bundle.id(), &["exit", "7"]).code, 7, "after {when}");
        let alone = integration::eventually(LIMIT, || {
            host_process::reap_orphans();
            let pids = runtime.call(&["ps", "--format", "json", bundle.id()]).ok().json();
            (pids.as_array().unwrap().len() == 1).then_some(())
        });
        assert!(alone.is_some(), "{when}: the process that was to be is still in the container");
    });
    is_cleaned_up(&bundle, &runtime, "execs killed");
}

/// The verbs of a container that is there; each begins with a new one.
#[test]
fn other_verbs() {
    if stand_in_lacks("runc 1.1.5 can't delete what has no state any more") {
        return;
    }
    let (bundle, runtime) = sleeping();
    let id = bundle.id();
    let cases: [(&[&str], &[&[&str]]); 7] = [
        (&["start"], &[]),
        (&["pause"], &[&["start"]]),
        (&["resume"], &[&["start"], &["pause"]]),
        (&["update", "--memory", "67108864"], &[&["start"]]),
        (&["kill"], &[&["start"]]),
        (&["delete"], &[]),
        (&["delete", "--force"], &[&["start"]]),
    ];
    for (verb, first) in cases {
        let before = || {
            runtime.create(&bundle);
            for words in first {
                runtime.call(&[words, &[id][..]].concat()).ok();
            }
        };
        before();
        let args = [verb, &[id]].concat();
        let points = runtime.survey(&args);
        is_cleaned_up(&bundle, &runtime, "surveyed");
        before();
        strike_each(&runtime, verb[0], deadly(points), &args, |when, _| {
            is_cleaned_up(&bundle, &runtime, when);
            before();
        });
        is_cleaned_up(&bundle, &runtime, "the last");
    }
}

/// Not only at calls.
#[test]
fn at_any_moment() {
    if stand_in_lacks("runc 1.1.5 leaves cgroups and processes") {
        return;
    }
    let (bundle, runtime) = sleeping();
    let path = bundle.path();
    let begin = Instant::now();
    runtime.create_with(&bundle, &[]).ok();
    let whole = begin.elapsed();
    is_cleaned_up(&bundle, &runtime, "a whole create");
    for (point, signal) in (0..50).flat_map(|point| [(point, libc::SIGKILL), (point, libc::SIGTERM)]) {
        let mut command = runtime.command(&["create", "--bundle", &path, bundle.id()]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut process = Process::start(&mut command);
        let pause = whole * point / 50;
        std::thread::sleep(pause);
        process.signal(signal);
        process.wait(LIMIT).expect("it ends");
        is_cleaned_up(&bundle, &runtime, &format!("signal {signal} after {pause:?} of {whole:?}"));
    }
    runtime.create(&bundle);
    runtime.call(&["start", bundle.id()]).ok();
}
