//! The runtime itself has little: descriptors, memory, processes, file sizes. An error, or enough.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use integration::host::controller_mount;
use integration::{Bundle, Runtime, host_leaks, host_process, skip, stand_in_lacks};

use crate::{is_cleaned_up, sleeping};

/// A command whose resource limit is that.
fn limited(runtime: &Runtime, bundle: &Bundle, resource: libc::c_int, value: u64) -> Command {
    let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
            // The type of `resource` differs between C libraries.
            match libc::syscall(
                libc::SYS_prlimit64,
                0,
                resource,
                &raw const limit,
                std::ptr::null_mut::<libc::rlimit>(),
            ) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    command
}

#[test]
fn few_descriptors_are_an_error_or_enough() {
    let (mut bundle, runtime) = sleeping();
    bundle.probe(&["exit", "0"]).remove("/process/rlimits").write();
    for count in [4, 6, 8, 10, 12, 14, 16, 20] {
        let outcome = runtime.finish(limited(&runtime, &bundle, 7, count));
        assert!(outcome.code == 0 || !outcome.stderr.is_empty(), "{count} descriptors: {outcome}");
        if outcome.code != 0 && !stand_in_lacks("the Go runtime has its own words, and crashes") {
            outcome.refuses(&["too many open files"]);
        }
        runtime.call(&["delete", "--force", bundle.id()]).ok();
        runtime.leaves_nothing(bundle.id());
    }
}

#[test]
fn little_memory_is_an_error_or_enough() {
    let (mut bundle, runtime) = sleeping();
    if stand_in_lacks("the Go runtime crashes") {
        return;
    }
    bundle.probe(&["exit", "0"]).remove("/process/rlimits").write();
    for mebibytes in [16, 32, 64] {
        let outcome = runtime.finish(limited(&runtime, &bundle, 9, mebibytes << 20));
        assert!(outcome.code == 0 || !outcome.stderr.is_empty(), "{mebibytes} MiB: {outcome}");
        runtime.call(&["delete", "--force", bundle.id()]).ok();
        runtime.leaves_nothing(bundle.id());
    }
}

/// The runtime's own cgroup lets it fork so many times.
#[test]
fn few_processes_are_an_error_or_enough() {
    let Some(mount) = controller_mount("pids") else { return skip("no cgroup controller pids") };
    let (mut bundle, runtime) = sleeping();
    if stand_in_lacks("the Go runtime crashes") {
        return;
    }
    bundle.probe(&["exit", "0"]).write();
    let own = mount.join(format!("{}own", bundle.id()));
    fs::create_dir(&own).unwrap();
    for count in 1..5 {
        fs::write(own.join("pids.max"), count.to_string()).unwrap();
        let mut command = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
        let procs = std::ffi::CString::new(own.join("cgroup.procs").to_str().unwrap()).unwrap();
        // SAFETY: a few system calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                let fd = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                match libc::write(fd, c"0".as_ptr().cast(), 1) {
                    1 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let outcome = runtime.finish(command);
        if outcome.code != 0 {
            outcome.refuses(&["resource temporarily unavailable"]);
        }
        runtime.call(&["delete", "--force", bundle.id()]).ok();
    }
    host_process::reap_orphans();
    assert!(fs::remove_dir(&own).is_ok(), "a process is left in the runtime's own cgroup");
    assert!(host_leaks::left_behind(&format!("/{}", bundle.id())).is_empty());
}

/// RLIMIT_FSIZE: a write beyond it is a signal by default (setrlimit(2)).
#[test]
fn small_files_are_an_error_or_enough() {
    let (mut bundle, runtime) = sleeping();
    bundle.probe(&["exit", "0"]).remove("/process/rlimits").write();
    for bytes in [0, 1, 100, 4096, 1 << 20] {
        let outcome = runtime.finish(limited(&runtime, &bundle, 1, bytes));
        assert!(outcome.code < 126 || outcome.code == 128 + libc::SIGXFSZ, "{bytes} bytes: {outcome}");
        is_cleaned_up(&bundle, &runtime, &format!("files of {bytes} bytes"));
    }
}

/// RLIMIT_NPROC does not bind root; RLIMIT_STACK, RLIMIT_DATA and RLIMIT_MEMLOCK do.
#[test]
fn other_limits_are_an_error_or_enough() {
    let (mut bundle, runtime) = sleeping();
    bundle.probe(&["exit", "0"]).remove("/process/rlimits").write();
    for (resource, value) in
        [(6, 0), (6, 1), (3, 64 << 10), (3, 256 << 10), (2, 1 << 20), (8, 0), (12, 0), (0, 1)]
    {
        let outcome = runtime.finish(limited(&runtime, &bundle, resource, value));
        assert!(outcome.code == 0 || outcome.code >= 128 || !outcome.stderr.is_empty(), "{outcome}");
        is_cleaned_up(&bundle, &runtime, &format!("limit {resource} of {value}"));
    }
}
