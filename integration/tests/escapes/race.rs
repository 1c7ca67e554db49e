//! Somebody who shares a directory with the container that is being made, and changes it all the time. It must never
//! outlive its test.

use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// How often a create runs against a racer: a runtime that looks first and acts by name later loses in a few.
pub(crate) const ROUNDS: usize = 40;

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
