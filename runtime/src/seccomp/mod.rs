//! The seccomp compiler: the profile of config.json → classic BPF. Pure but for [`Filter::load`] and what `features`
//! asks of the kernel; it never loads anything into the process that compiles.

use std::os::fd::OwnedFd;

use seccompiler::sock_filter;

use crate::error::{Error, Result};
use crate::spec::oci;
use crate::sys;

/// A compiled profile, ready for the container's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Vec<sock_filter>,
    flags: libc::c_ulong,
}

/// Compiles a profile. `None`: the profile asks for no filter.
pub fn compile(_profile: &oci::LinuxSeccomp) -> Result<Option<Filter>> {
    Err(Error::invalid("seccomp: the compiler is not there yet"))
}

impl Filter {
    /// Loads the filter into the calling thread, with one system call: whatever the profile refuses is refused from
    /// the next call on. The caller has set no_new_privs or holds CAP_SYS_ADMIN. With a notify action in the profile the
    /// answer is the listener (close-on-exec), which goes to the agent at `listenerPath`.
    pub fn load(&self) -> nix::Result<Option<OwnedFd>> {
        sys::seccomp::set_filter(&self.program, self.flags)
    }

    /// Whether [`Filter::load`] gives a listener.
    pub fn needs_listener(&self) -> bool {
        self.flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
    }

    /// The instructions.
    pub fn program(&self) -> &[sock_filter] {
        &self.program
    }

    /// SECCOMP_FILTER_FLAG_* of the load.
    pub fn flags(&self) -> libc::c_ulong {
        self.flags
    }
}

/// What `features` reports of seccomp: every list is sorted as runc's is.
pub mod known {
    /// Actions.
    pub const ACTIONS: [&str; 9] = [
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG",
        "SCMP_ACT_NOTIFY",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_TRAP",
    ];

    /// Comparisons of an argument.
    pub const OPERATORS: [&str; 7] = [
        "SCMP_CMP_EQ",
        "SCMP_CMP_GE",
        "SCMP_CMP_GT",
        "SCMP_CMP_LE",
        "SCMP_CMP_LT",
        "SCMP_CMP_MASKED_EQ",
        "SCMP_CMP_NE",
    ];

    /// Architectures that a profile may name and that this build compiles for.
    pub const ARCHS: [&str; 6] = [
        "SCMP_ARCH_AARCH64",
        "SCMP_ARCH_ARM",
        "SCMP_ARCH_RISCV64",
        "SCMP_ARCH_X32",
        "SCMP_ARCH_X86",
        "SCMP_ARCH_X86_64",
    ];

    /// Flags that a profile may name.
    pub const FLAGS: [&str; 4] = [
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ];

    /// Those of [`FLAGS`] that the running kernel knows. Three system calls that load nothing.
    pub fn supported_flags() -> Vec<&'static str> {
        FLAGS.into_iter().filter(|flag| supported(flag)).collect()
    }

    fn supported(flag: &str) -> bool {
        let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        match flag {
            "SECCOMP_FILTER_FLAG_LOG" => crate::sys::seccomp::knows_flags(libc::SECCOMP_FILTER_FLAG_LOG),
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => {
                crate::sys::seccomp::knows_flags(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW)
            }
            // The kernel wants it together with a listener.
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => {
                crate::sys::seccomp::knows_flags(libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | listener)
            }
            // Accepted and without effect: a container's process has one thread when it gets its filter.
            _ => true,
        }
    }
}
