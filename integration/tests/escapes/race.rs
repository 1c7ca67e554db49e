//! Somebody who shares a directory with the container that is being made, and changes it all the time. It must never
//! outlive its test.

use std::ffi::CString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use integration::{Bundle, Outcome, Runtime};

/// How often a runtime runs against a racer: one that looks first and acts by name later loses one of four.
const ROUNDS: usize = 16;

/// Runs the bundle over and over, standing still for a moment before each call by which a runtime looks or acts: so that
/// whoever races with it is in time. `each` sees how it ended.
pub(crate) fn race(runtime: &Runtime, bundle: &mut Bundle, mut each: impl FnMut(&mut Bundle, Outcome)) {
    let calls = "openat,openat2,newfstatat,fstat,mkdirat,mknodat,fchmodat,fchownat,open_tree,mount_setattr,move_mount";
    for _ in 0..ROUNDS {
        bundle.write();
        let plain = runtime.command(&["run", "--bundle", &bundle.path(), bundle.id()]);
        let mut command = Command::new("/usr/bin/strace");
        command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:delay_enter=200")]);
        command.arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
        let outcome = runtime.finish(command);
        each(bundle, outcome);
    }
}

/// A thread that exchanges two files until it is dropped.
pub(crate) struct Racer {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Racer {
    /// Exchanges `one` and `other`, which both exist, over and over.
    pub(crate) fn exchange(one: &Path, other: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let end = over.clone();
        let [one, other] = [one, other].map(|path| CString::new(path.to_str().unwrap()).unwrap());
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                // A mount on one of them may be in its way for a moment.
                // SAFETY: two NUL-terminated paths.
                unsafe {
                    libc::syscall(
                        libc::SYS_renameat2,
                        libc::AT_FDCWD,
                        one.as_ptr(),
                        libc::AT_FDCWD,
                        other.as_ptr(),
                        libc::RENAME_EXCHANGE,
                    )
                };
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
