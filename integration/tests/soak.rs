//! Many containers, one after the other and at once: every one ends as it should, and the host is as before.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use integration::host::LIMIT;
use integration::{Bundle, Runtime, host_leaks, host_process, stand_in_lacks};
use serde_json::json;

/// What many containers could leave on a host, little by little. With `PINNACE_ALONE` nothing else uses this host and
/// all of it can be compared, else only the mounts that bear the test's name.
struct Before {
    name: String,
    mounts: BTreeSet<String>,
    counts: BTreeMap<&'static str, i64>,
}

impl Before {
    fn of(bundle: &Bundle) -> Self {
        Self { name: bundle.id().to_owned(), mounts: host_mounts(bundle.id()), counts: counts() }
    }

    /// Fails unless the host is as it was. What the kernel frees in its own time gets a while.
    #[track_caller]
    fn is_as_now(&self) {
        assert_eq!(host_mounts(&self.name), self.mounts);
        if !is_alone() {
            return;
        }
        let same = integration::eventually(LIMIT, || {
            host_process::reap_orphans();
            let now = counts();
            EXACT.iter().all(|what| now[what] <= self.counts[what] + SLACK).then_some(())
        });
        let now = counts();
        for (what, before) in &self.counts {
            println!("{what}: {before} before, {} after", now[what]);
        }
        assert!(same.is_some(), "something is left");
    }
}

/// What must be as it was, give or take what the rest of a host does.
const EXACT: [&str; 4] = ["cgroups", "keys", "open files", "processes"];
const SLACK: i64 = 40;

fn is_alone() -> bool {
    std::env::var_os("PINNACE_ALONE").is_some()
}

fn host_mounts(name: &str) -> BTreeSet<String> {
    host_leaks::mounts().into_iter().filter(|line| is_alone() || line.contains(name)).collect()
}

fn counts() -> BTreeMap<&'static str, i64> {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok()).unwrap_or_default();
    let memory = text("/proc/meminfo");
    let kib = |what: &str| {
        let line = memory.lines().find(|line| line.starts_with(what));
        number(line.and_then(|line| line.split_whitespace().nth(1)))
    };
    // The third column: how many there are in each hierarchy, those that are dying too.
    let cgroups =
        text("/proc/cgroups").lines().skip(1).map(|line| number(line.split_whitespace().nth(2))).sum();
    BTreeMap::from([
        ("cgroups", cgroups),
        ("keys", i64::try_from(host_leaks::keys().len()).unwrap()),
        ("open files", number(text("/proc/sys/fs/file-nr").split_whitespace().next())),
        ("processes", i64::try_from(host_process::pids().len()).unwrap()),
        ("kernel memory that can't be reclaimed, KiB", kib("SUnreclaim:")),
        ("memory available, KiB", kib("MemAvailable:")),
    ])
}

fn true_bundle() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    bundle.set("/process/args", json!(["/bin/true"]));
    // Each container has a cgroup of its own then, named after its id.
    bundle.remove("/linux/cgroupsPath").write();
    let runtime = bundle.runtime();
    (bundle, runtime)
}

/// How many times, and how many at once: `PINNACE_SOAK` makes it more for a nightly run.
fn rounds() -> usize {
    std::env::var("PINNACE_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

#[test]
fn one_after_the_other() {
    let (bundle, runtime) = true_bundle();
    let before = Before::of(&bundle);
    let path = bundle.path();
    for round in 0..rounds() {
        let outcome = runtime.call(&["run", "--bundle", &path, bundle.id()]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "round {round}: {outcome}");
    }
    runtime.leaves_nothing(bundle.id());
    before.is_as_now();
}

#[test]
fn a_hundred_at_once() {
    let (bundle, runtime) = true_bundle();
    let before = Before::of(&bundle);
    let path = bundle.path();
    let running: Vec<_> = (0..100)
        .map(|n| runtime.begin(runtime.command(&["run", "--bundle", &path, &format!("{}{n}", bundle.id())])))
        .collect();
    for call in running {
        let outcome = call.finish();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome}");
    }
    runtime.leaves_nothing(bundle.id());
    before.is_as_now();
}

#[test]
fn forty_that_are_created_and_deleted_at_once() {
    let (mut bundle, runtime) = true_bundle();
    bundle.probe(&["sleep"]).write();
    let path = bundle.path();
    let ids: Vec<String> = (0..40).map(|n| format!("{}{n}", bundle.id())).collect();
    let each = |words: &[&str]| {
        let calls: Vec<_> =
            ids.iter().map(|id| runtime.begin(runtime.command(&[words, &[id]].concat()))).collect();
        for call in calls {
            call.finish().ok();
        }
    };
    each(&["create", "--bundle", &path]);
    assert_eq!(runtime.call(&["list", "--quiet"]).ok().stdout.lines().count(), 40);
    each(&["start"]);
    each(&["delete", "--force"]);
    assert_eq!(runtime.call(&["list", "--quiet"]).ok().stdout, "");
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn execs_one_after_the_other_and_at_once() {
    let (mut bundle, runtime) = true_bundle();
    bundle.probe(&["reap"]);
    runtime.start(&bundle);
    let id = bundle.id();
    runtime.exec(id, &["exit", "0"]).ok();
    let before = Before::of(&bundle);
    for _ in 0..rounds() {
        runtime.exec(id, &["exit", "0"]).ok();
    }
    before.is_as_now();
    let calls: Vec<_> = (0..40)
        .map(|n| runtime.begin(runtime.command(&["exec", id, "/probe", "exit", &n.to_string()])))
        .collect();
    for (n, call) in (0..).zip(calls) {
        assert_eq!(call.finish().code, n);
    }
    assert_eq!(runtime.call(&["ps", "--format", "json", id]).ok().json().as_array().unwrap().len(), 1);
}

/// No exec hangs, and none is left, when its container is deleted under it.
#[test]
fn execs_race_with_delete() {
    for _ in 0..4 {
        let (mut bundle, runtime) = true_bundle();
        bundle.probe(&["sleep"]);
        runtime.start(&bundle);
        let id = bundle.id();
        let calls: Vec<_> =
            (0..8).map(|_| runtime.begin(runtime.command(&["exec", id, "/probe", "exit", "0"]))).collect();
        let deleted = runtime.call(&["delete", "--force", id]);
        if deleted.code != 0 && stand_in_lacks("runc 1.1.5 does not wait long enough for init") {
            return;
        }
        deleted.ok();
        for call in calls {
            let code = call.finish().code;
            assert!([0, 137, 255].contains(&code), "{code}");
        }
        runtime.leaves_nothing(id);
    }
}

/// Of a container that is being made there is nothing to say, or what is true.
#[test]
fn state_races_with_create() {
    let (mut bundle, runtime) = true_bundle();
    bundle.probe(&["sleep"]).write();
    let path = bundle.path();
    let id = bundle.id();
    for _ in 0..5 {
        let call = runtime.begin(runtime.command(&["create", "--bundle", &path, id]));
        let mut call = Some(call);
        while call
            .as_ref()
            .is_some_and(|call| !host_process::ends_within(call.process.pid(), std::time::Duration::ZERO))
        {
            let outcome = runtime.call(&["state", id]);
            match outcome.code {
                0 => assert!(
                    ["creating", "created"].contains(&outcome.json()["status"].as_str().unwrap()),
                    "{outcome}"
                ),
                _ => drop(outcome.fails(1, &["container does not exist"])),
            }
        }
        call.take().unwrap().finish().ok();
        runtime.call(&["delete", "--force", id]).ok();
    }
}
