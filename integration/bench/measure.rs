//! One call, timed: the CPU time of it and of all its children that it has waited for, and the time on the clock.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use integration::host_process;

use crate::Result;

/// The longest that a call may take; then it is killed.
const LIMIT: Duration = Duration::from_secs(60);

/// What a call took, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
}

/// Calls, and fails unless the exit code is 0. `room` is where its errors are kept.
pub(crate) fn call(room: &Path, command: &mut Command) -> Result<Sample> {
    let errors = room.join("errors");
    command.stderr(File::create(&errors)?);
    let begin = Instant::now();
    let child = command.spawn().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    let pid = i32::try_from(child.id())?;
    let in_time = host_process::ends_within(pid, LIMIT);
    let wall = begin.elapsed().as_secs_f64() * 1e3;
    if !in_time {
        host_process::send(pid, libc::SIGKILL);
    }
    let (status, cpu) = reap(pid)?;
    if status != 0 || !in_time {
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        return Err(format!("{command:?}: status {status:#x}: {said}").into());
    }
    Ok(Sample { cpu, wall })
}

/// Waits for a child: its status and its CPU time in milliseconds.
pub(crate) fn reap(pid: i32) -> Result<(i32, f64)> {
    let mut status = 0;
    // SAFETY: rusage is made of integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals of the right type.
    let reaped = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    if reaped != pid {
        return Err(format!("wait for {pid}: {}", std::io::Error::last_os_error()).into());
    }
    let micros = |time: libc::timeval| {
        Duration::new(time.tv_sec.unsigned_abs(), 0).as_secs_f64() * 1e3
            + Duration::from_micros(time.tv_usec.unsigned_abs()).as_secs_f64() * 1e3
    };
    Ok((status, micros(usage.ru_utime) + micros(usage.ru_stime)))
}

/// What a process that runs has used so far, in milliseconds (schedstat of proc_pid_schedstat, nanoseconds).
pub(crate) fn used(pid: i32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds: f64 = threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|line| line.split(' ').next()?.parse::<f64>().ok())
        .sum();
    nanoseconds / 1e6
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => f64::NAN,
        values if values.len() % 2 == 1 => values[middle],
        values => f64::midpoint(values[middle - 1], values[middle]),
    }
}
