//! Applies what [`crate::plan::schedule`] decided to the forked child. What config.json does not name is set to the
//! kernel's default where the caller's would otherwise be inherited: CPU affinity and personality.

use std::fmt::Write as _;

use nix::errno::Errno;

use crate::error::{Error, OrFail, Result, errno_text};
use crate::plan::schedule::{Affinity, Mask, Schedule};
use crate::spec::{Linux, Process};
use crate::sys::sched;

/// Scheduler, I/O priority, memory policy and personality. While capabilities are there, after the last fork (a
/// SCHED_DEADLINE process can't fork), before seccomp.
pub fn apply(process: &Process, linux: &Linux) -> Result<()> {
    let schedule = Schedule::decide(process, linux)?;
    if let Some(attr) = &schedule.scheduler {
        let cpuset = linux.resources.as_ref().and_then(|resources| resources.cpu.as_ref()?.cpus().as_deref());
        sched::set_attr(attr).map_err(|errno| match errno {
            // man 2 sched_setattr: the affinity of a SCHED_DEADLINE process includes all CPUs of the root domain.
            Errno::EPERM if cpuset.is_some_and(|list| !list.is_empty()) => {
                Error::os("sched_setattr", errno, "process scheduler can't be used together with AllowedCPUs")
            }
            Errno::EPERM => Error::os("sched_setattr", errno, "error setting scheduler")
                .hint("it needs CAP_SYS_NICE, and SCHED_DEADLINE all CPUs: no execCPUAffinity and no cpuset"),
            _ => Error::os("sched_setattr", errno, "error setting scheduler"),
        })?;
    }
    if let Some(priority) = schedule.io_priority {
        sched::set_io_priority(priority).or_fail("ioprio_set", || "failed to set io priority")?;
    }
    // The kernel sets the whole word: flags that the caller had, such as no address randomization, go.
    sched::set_personality(schedule.personality)
        .or_fail("personality", || format!("set personality {:#x}", schedule.personality))?;
    if let Some(memory) = &schedule.memory {
        sched::set_memory_policy(memory.mode, memory.nodes.words())
            .or_fail("set_mempolicy", || format!("set memory policy {:#x}", memory.mode))?;
    }
    Ok(())
}

/// All CPUs that the cgroup allows, for a container's first process. After it has joined its cgroup.
pub fn reset_affinity() {
    if mutant!("affinity") {
        return;
    }
    // The caller's affinity is not worth a container: runc goes on too.
    if let Err(errno) = sched::set_affinity(Mask::all().words()) {
        log::warn!(
            "resetting the CPU affinity failed, the process may inherit the runtime's: {}",
            errno_text(errno)
        );
    }
}

/// The CPUs on which an exec may run until it has joined the container's cgroup.
pub fn exec_affinity_before_cgroup(process: &Process) -> Result<()> {
    match Affinity::decide(process.exec_cpu_affinity.as_ref())?.initial {
        Some(mask) => {
            set_affinity(&mask, "initial")?;
            // The wording is runc's: scripts look for it. The mask is as the kernel has taken it.
            if log::log_enabled!(log::Level::Debug)
                && let Ok(words) = sched::affinity(mask.words().len())
            {
                let mut hex = String::new();
                for word in words.iter().rev() {
                    let _ = write!(hex, "{word:016x}");
                }
                let pid = std::process::id();
                log::debug!("nsexec[{pid}]: affinity: 0x{}", hex.trim_start_matches('0'));
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// The CPUs on which an exec runs from then on; all that the cgroup allows if it names none at all.
pub fn exec_affinity_in_cgroup(process: &Process) -> Result<()> {
    match Affinity::decide(process.exec_cpu_affinity.as_ref())? {
        Affinity { last: Some(mask), .. } => set_affinity(&mask, "final"),
        Affinity { initial: Some(_), last: None } => Ok(()),
        Affinity { initial: None, last: None } => {
            reset_affinity();
            Ok(())
        }
    }
}

fn set_affinity(mask: &Mask, which: &str) -> Result<()> {
    sched::set_affinity(mask.words())
        .or_fail("sched_setaffinity", || format!("error setting {which} CPU affinity"))
        .map_err(|error| error.hint("name at least one CPU that is there and in the container's cpuset"))
}
