//! Mounts that a runtime finds on its host: made in a mount namespace of the runtime's own, so that they end with it.
//! It must never mount in the host's namespace.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What to do in the new namespace, with mount(2)'s operands.
#[derive(Debug)]
struct Step {
    source: CString,
    target: CString,
    kind: CString,
    flags: libc::c_ulong,
    data: CString,
}

/// Mounts that a command finds.
#[derive(Debug, Default)]
pub struct HostMounts {
    steps: Vec<Step>,
}

impl HostMounts {
    /// None yet; all mounts of the host are copied and private.
    pub fn new() -> Self {
        Self::default().step("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "")
    }

    /// Mounts a tmpfs on a directory.
    pub fn tmpfs(self, target: &str, flags: libc::c_ulong) -> Self {
        self.step("tmpfs", target, "tmpfs", flags, "")
    }

    /// Mounts a tmpfs that takes so many bytes.
    pub fn small_tmpfs(self, target: &str, bytes: u32) -> Self {
        self.step("tmpfs", target, "tmpfs", 0, &format!("size={bytes}"))
    }

    /// Binds a file or a tree.
    pub fn bind(self, source: &str, target: &str) -> Self {
        self.step(source, target, "", libc::MS_BIND | libc::MS_REC, "")
    }

    /// Changes flags or propagation of what is mounted.
    pub fn change(self, target: &str, flags: libc::c_ulong) -> Self {
        self.step("none", target, "", flags, "")
    }

    fn step(mut self, source: &str, target: &str, kind: &str, flags: libc::c_ulong, data: &str) -> Self {
        let text = |text: &str| CString::new(text).expect("no NUL in a test's path");
        let step =
            Step { source: text(source), target: text(target), kind: text(kind), flags, data: text(data) };
        self.steps.push(step);
        self
    }

    /// Makes a command find them.
    pub fn apply(self, command: &mut Command) {
        // SAFETY: between fork and exec only system calls are made, on strings that were made before.
        unsafe {
            command.pre_exec(move || {
                if libc::unshare(libc::CLONE_NEWNS) != 0 {
                    return Err(io::Error::last_os_error());
                }
                for step in &self.steps {
                    let made = libc::mount(
                        step.source.as_ptr(),
                        step.target.as_ptr(),
                        step.kind.as_ptr(),
                        step.flags,
                        step.data.as_ptr().cast(),
                    );
                    if made != 0 {
                        return Err(io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
    }
}
