//! The cgroup driver of systemd: a container is a scope, its limits are properties, and nothing stays behind. Wants
//! systemd as pid 1, so it says most in a virtual machine (`make test-v2`). Touches no unit but its own.

#![allow(clippy::unwrap_used)]

mod devices;
mod life;
mod limits;
mod refusals;

use std::path::Path;
use std::process::Command;

use integration::host_process::without_forks;
use integration::runtime_bin::Outcome;
use integration::{Bundle, Runtime, skip};
use serde_json::json;

/// A bundle whose container is a scope in a slice of its own, which systemd makes, and its process sleeps. None where
/// systemd does not run, which is noted.
#[track_caller]
fn scene() -> Option<(Bundle, Runtime)> {
    if !Path::new("/run/systemd/system").exists() {
        skip("systemd does not run on this host");
        return None;
    }
    let mut bundle = Bundle::new();
    let path = format!("pinnacetest.slice:it:{}", bundle.id());
    bundle.set("/linux/cgroupsPath", json!(path)).probe(&["sleep"]);
    let runtime = bundle.runtime();
    Some((bundle, runtime))
}

/// The name of its unit.
fn unit(bundle: &Bundle) -> String {
    format!("it-{}.scope", bundle.id())
}

/// A call with `--systemd-cgroup`.
#[track_caller]
fn call(runtime: &Runtime, args: &[&str]) -> Outcome {
    runtime.call(&[&["--systemd-cgroup"], args].concat())
}

#[track_caller]
fn create(bundle: &Bundle, runtime: &Runtime) -> Outcome {
    bundle.write();
    call(runtime, &["create", "--bundle", &bundle.path(), bundle.id()])
}

/// Makes and starts the container; its init's pid.
#[track_caller]
fn start(bundle: &Bundle, runtime: &Runtime) -> i32 {
    create(bundle, runtime).ok();
    runtime.call(&["start", bundle.id()]).ok();
    runtime.pid(bundle.id())
}

#[track_caller]
fn systemctl(args: &[&str]) -> String {
    // Under the lock that keeps orphans from being reaped: its status is asked for here.
    let output = without_forks(|| Command::new("systemctl").args(args).output().expect("systemctl"));
    assert!(output.status.success(), "systemctl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What systemd says of a property.
#[track_caller]
fn shown(unit: &str, property: &str) -> String {
    systemctl(&["show", unit, "--value", "--property", property])
}

/// Fails the test unless systemd has forgotten the unit and the host shows nothing of the container.
#[track_caller]
fn is_gone(bundle: &Bundle, runtime: &Runtime) {
    assert_eq!(shown(&unit(bundle), "LoadState"), "not-found", "{}", unit(bundle));
    runtime.leaves_nothing(bundle.id());
}

/// Where a process lies: its cgroup as the host's hierarchy has it.
#[track_caller]
fn cgroup_of(pid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process's cgroup");
    let line = text.lines().find(|line| line.starts_with("0::") || line.contains("name=systemd:"));
    line.and_then(|line| line.rsplit(':').next()).unwrap_or_default().to_owned()
}

/// Whether the unified hierarchy is the only one.
fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A file of the container's cgroup in the unified hierarchy; none without it or its controller.
fn file(pid: i32, name: &str) -> Option<String> {
    let path = format!("/sys/fs/cgroup{}/{name}", cgroup_of(pid));
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
