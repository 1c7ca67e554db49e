//! The CRIU that checkpoint and restore are tested with. It must never blame the runtime for what CRIU can't do here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::host::workspace;
use crate::host_process;

/// The CRIU that `integration/scripts/criu` has unpacked, or the host's. It has to show that it can dump and restore a
/// process on this kernel without any help of ours.
pub fn working() -> Result<&'static PathBuf, &'static str> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
        let mut why = "no criu here".to_owned();
        for criu in [target.join("criu/criu"), "/usr/sbin/criu".into(), "/usr/bin/criu".into()] {
            if !criu.is_file() {
                continue;
            }
            match dumps_and_restores(&criu) {
                Ok(()) => return Ok(criu),
                Err(error) => why = format!("{} does not work on this kernel: {error}", criu.display()),
            }
        }
        Err(why)
    });
    found.as_ref().map_err(String::as_str)
}

fn dumps_and_restores(criu: &Path) -> Result<(), String> {
    let directory = std::env::temp_dir().join(format!("pinnace-test-criu-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("make a directory for images");
    let mut sleep = Command::new("setsid")
        .args(["sleep", "1000"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start a process to dump");
    let pid = sleep.id().to_string();
    let run = |words: &[&str]| -> Result<(), String> {
        let output = Command::new(criu)
            .args(words)
            .args(["-D"])
            .arg(&directory)
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stderr);
        let error = text.lines().rfind(|line| line.contains("Error")).unwrap_or("no word of an error");
        if output.status.success() { Ok(()) } else { Err(format!("{}: {error}", words[0])) }
    };
    let dumped = run(&["dump", "-t", &pid]);
    let _ = sleep.kill();
    let _ = sleep.wait();
    let restored = dumped.and_then(|()| run(&["restore", "-d"]));
    if restored.is_ok() {
        host_process::send(pid.parse().expect("invariant: a pid is a number"), libc::SIGKILL);
    }
    let _ = std::fs::remove_dir_all(&directory);
    restored
}
