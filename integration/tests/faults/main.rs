//! Whatever goes wrong — a process killed at any call, a call refused, a disk full, a file torn, a peer that hangs — the
//! runtime says so, never runs with less confinement than was asked for, never hangs, and `delete --force` leaves
//! nothing. One question a file.

#![allow(clippy::unwrap_used)]

mod cgroups;
mod disk;
mod errors;
mod killed;
mod limits;
mod parallel;
mod peers;
mod state;
mod stdio;

use integration::{Bundle, Runtime, host_leaks};

/// A bundle whose process waits.
fn sleeping() -> (Bundle, Runtime) {
    let mut bundle = Bundle::new();
    bundle.probe(&["sleep"]).write();
    let runtime = bundle.runtime();
    (bundle, runtime)
}

/// What is there of a container: processes, cgroups, mounts, keys, its directory.
fn remains(bundle: &Bundle, runtime: &Runtime) -> Vec<String> {
    let mut left = host_leaks::left_behind(&format!("/{}", bundle.id()));
    let directory = runtime.root().join(bundle.id());
    left.extend(directory.exists().then(|| directory.display().to_string()));
    left
}

/// Whatever has happened: deleted without a trace.
#[track_caller]
fn is_cleaned_up(bundle: &Bundle, runtime: &Runtime, when: &str) {
    let outcome = runtime.call(&["delete", "--force", bundle.id()]);
    assert_eq!(outcome.code, 0, "{when}: {outcome}");
    let left = remains(bundle, runtime);
    assert!(left.is_empty(), "{when}:\n{}", left.join("\n"));
}
