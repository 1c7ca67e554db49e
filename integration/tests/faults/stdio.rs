//! Standard streams that are closed, full, or without a reader.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use integration::host::LIMIT;
use integration::host_process::Process;
use integration::{Bundle, Runtime, stand_in_lacks};

use crate::{is_cleaned_up, sleeping};

fn runtime_is(runtime: &Runtime, bundle: &Bundle, status: &str) {
    let is = integration::eventually(LIMIT, || {
        let outcome = runtime.call(&["state", bundle.id()]);
        (outcome.code == 0 && outcome.json()["status"] == status).then_some(())
    });
    assert!(is.is_some(), "never {status}");
}

/// Nobody reads what the container says: delete --force does not wait for it, and `run` ends.
#[test]
fn a_stalled_reader_does_not_stall_delete() {
    let mut bundle = Bundle::new();
    bundle.probe(&["flood", "64"]).write();
    let runtime = bundle.runtime();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    command.stdout(writer).stderr(Stdio::null());
    let mut process = Process::start(&mut command);
    drop(command);
    runtime_is(&runtime, &bundle, "running");
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    let ended = process.wait(std::time::Duration::from_secs(5));
    if ended.is_none() && stand_in_lacks("runc waits for the reader") {
        drop(reader);
        return;
    }
    assert!(ended.is_some(), "run still waits for the reader");
    runtime.leaves_nothing(bundle.id());
}

#[test]
fn a_foreground_run_that_was_killed_is_deleted() {
    let (bundle, runtime) = sleeping();
    let mut running = runtime.begin(runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]));
    runtime_is(&runtime, &bundle, "running");
    running.process.signal(libc::SIGKILL);
    running.process.wait(LIMIT).unwrap();
    runtime.call(&["delete", "--force", bundle.id()]).ok();
    runtime.leaves_nothing(bundle.id());
}

/// Whichever of the three are closed: no file of the runtime's takes their number and reaches the container.
#[test]
fn closed_streams_are_nobody_elses() {
    let mut bundle = Bundle::new();
    let runtime = bundle.runtime();
    bundle.probe(&["see", "to=/note"]).write();
    for closed in 1..8_u32 {
        let note = bundle.rootfs().join("note");
        let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: system calls alone between fork and exec.
        unsafe {
            command.pre_exec(move || {
                for number in (0..3).filter(|number| closed & (1 << number) != 0) {
                    libc::close(number);
                }
                Ok(())
            });
        }
        let status = Process::start(&mut command).wait(LIMIT).expect("it ends");
        if status.code() == Some(0) {
            let seen: serde_json::Value = serde_json::from_slice(&std::fs::read(&note).unwrap()).unwrap();
            for (number, about) in seen["fds"].as_object().unwrap() {
                let target =
                    about["target"].as_str().or_else(|| about.as_str()).unwrap_or_default().to_owned();
                assert!(
                    ["0", "1", "2"].contains(&number.as_str())
                        && (target.is_empty() || target == "/dev/null"),
                    "closed {closed:03b}: {number} is {about}"
                );
            }
        }
        let _ = std::fs::remove_file(note);
        is_cleaned_up(&bundle, &runtime, &format!("closed {closed:03b}"));
    }
}

/// What can't be said to a reader that has gone is no crash.
#[test]
fn a_reader_that_has_gone_is_no_crash() {
    let (bundle, runtime) = sleeping();
    runtime.create(&bundle);
    for words in
        [&["state", bundle.id()][..], &["list"], &["ps", bundle.id()], &["spec", "--help"], &["features"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = runtime.command(words);
        command.stdout(writer).stderr(Stdio::null());
        let status = Process::start(&mut command).wait(LIMIT).expect("it ends");
        drop(command);
        assert!(
            status.code() == Some(1) || status.signal() == Some(libc::SIGPIPE),
            "{words:?} without a reader: {status:?}"
        );
    }
}
