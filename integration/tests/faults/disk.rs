//! A disk that is full or read-only: an error, and nothing is left.

use integration::host_mounts::HostMounts;
use integration::injection::strike_each;

use crate::{is_cleaned_up, remains, sleeping};

#[test]
fn a_full_state_directory_is_an_error() {
    let (bundle, runtime) = sleeping();
    let state = bundle.make_beside("state").display().to_string();
    // One page: less than the state of any container.
    runtime
        .run_among(&bundle, HostMounts::new().small_tmpfs(&state, 4096))
        .refuses(&["no space left on device"]);
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_read_only_state_directory_is_an_error() {
    let (bundle, runtime) = sleeping();
    let state = bundle.make_beside("state").display().to_string();
    let host = HostMounts::new().tmpfs(&state, libc::MS_RDONLY);
    runtime.run_among(&bundle, host).refuses(&[&state, "read-only file system"]);
    runtime.leaves_nothing(bundle.id());
}

/// At any call of create: what it has begun it takes away again by itself.
#[test]
fn a_disk_that_fills_up_in_the_middle() {
    let (bundle, runtime) = sleeping();
    let path = bundle.path();
    let pid_file = bundle.beside("pid");
    let args = ["create", "--bundle", &path, "--pid-file", pid_file.to_str().unwrap(), bundle.id()];
    let mut points = runtime.survey(&args);
    is_cleaned_up(&bundle, &runtime, "a whole create");
    let writing = ["open", "openat", "write", "mkdir", "mkdirat", "mknod", "mknodat", "rename", "renameat"];
    points.retain(|point| writing.contains(&point.call.as_str()));
    let points = points.into_iter().flat_map(|point| [(point.clone(), "ENOSPC"), (point, "EIO")]).collect();
    strike_each(&runtime, "create", points, &args, |when, outcome| {
        if outcome.code != 0 {
            assert_eq!(outcome.lines().len(), 1, "{when}: {outcome}");
            let left = remains(&bundle, &runtime);
            assert!(left.is_empty(), "{when}: not undone:\n{}", left.join("\n"));
        }
        is_cleaned_up(&bundle, &runtime, when);
    });
}

/// The log of `--log` on a full disk.
#[test]
fn a_log_that_can_not_be_written_stops_nobody() {
    let (mut bundle, runtime) = sleeping();
    bundle.probe(&["exit", "3"]).write();
    let path = bundle.path();
    let words = ["--log", "/dev/full", "--debug", "run", "--bundle", &path, bundle.id()];
    let mut command = std::process::Command::new(integration::runtime_binary());
    command.arg("--root").arg(runtime.root()).args(words).stdin(std::process::Stdio::null());
    assert_eq!(runtime.finish(command).code, 3);
}

/// What is left beside a pid file by one that was killed in writing it.
#[test]
fn a_torn_pid_file_does_not_block_the_next() {
    let (bundle, runtime) = sleeping();
    let file = bundle.beside("pid");
    std::fs::write(bundle.beside(".pid"), "12").unwrap();
    runtime.create_with(&bundle, &["--pid-file", file.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), runtime.pid(bundle.id()).to_string());
    assert!(!bundle.beside(".pid").exists());
}

#[test]
fn a_pid_file_that_can_not_be_written_undoes_the_container() {
    let (bundle, runtime) = sleeping();
    let outcome = runtime.create_with(&bundle, &["--pid-file", "/no/such/directory/pid"]);
    outcome.refuses(&["/no/such/directory/pid"]);
    let left = remains(&bundle, &runtime);
    assert!(left.is_empty(), "not undone:\n{}", left.join("\n"));
}
