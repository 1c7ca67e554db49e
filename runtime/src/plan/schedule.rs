//! How the kernel is to treat the process: scheduler, I/O priority, CPU affinity, memory policy, personality, as the
//! numbers that the system calls take. Pure.

use crate::error::{Error, Result};
use crate::spec::oci::{IOPriorityClass, LinuxIOPriority, LinuxPersonality, LinuxPersonalityDomain};
use crate::spec::{ExecCpuAffinity, Linux, MemoryPolicy, Process, Scheduler};
use crate::sys::sched::Attr;

/// Highest CPU or memory node number that is taken, so that a typing error is no 500 MB mask. The kernel has fewer.
const MAX_NUMBER: u32 = 64 * 1024;

/// No kernel is built for more CPUs (NR_CPUS_RANGE_END in arch/x86/Kconfig; the other architectures have less).
const MOST_CPUS: usize = 8192;

/// What [`crate::init::schedule`] applies. Absent means the kernel's default, not the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Scheduler.
    pub scheduler: Option<Attr>,
    /// I/O priority as ioprio_set(2) takes it.
    pub io_priority: Option<i32>,
    /// Memory policy.
    pub memory: Option<Memory>,
    /// Execution domain.
    pub personality: u32,
}

/// What `execCPUAffinity` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// Before the exec'ed process joins the container's cgroup.
    pub initial: Option<Mask>,
    /// After.
    pub last: Option<Mask>,
}

/// `set_mempolicy(2)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Mode and flags.
    pub mode: u32,
    /// Nodes.
    pub nodes: Mask,
}

/// Numbered bits, as the kernel takes them for CPUs and memory nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(Vec<u64>);

impl Schedule {
    /// What `process` and `linux` ask for.
    pub fn decide(process: &Process, linux: &Linux) -> Result<Self> {
        Ok(Self {
            scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
            io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
            memory: linux.memory_policy.as_ref().map(Memory::decide).transpose()?,
            personality: linux.personality.as_ref().map_or(PER_LINUX, personality),
        })
    }
}

impl Affinity {
    /// What an exec asks for.
    pub fn decide(asked: Option<&ExecCpuAffinity>) -> Result<Self> {
        let Some(asked) = asked else { return Ok(Self::default()) };
        let mask = |name: &str, list: Option<&str>| match list {
            None | Some("") => Ok(None),
            Some(list) => Mask::parse(list)
                .map(Some)
                .map_err(|why| Error::invalid(format!("bad CPUAffinity.{name}: {list:?}: {why}"))),
        };
        Ok(Self {
            initial: mask("Initial", asked.initial.as_deref())?,
            last: mask("Final", asked.last.as_deref())?,
        })
    }
}

fn scheduler(asked: &Scheduler) -> Result<Attr> {
    let word = asked.policy.as_str();
    // linux/sched.h
    let policy = match word {
        "SCHED_OTHER" => 0,
        "SCHED_FIFO" => 1,
        "SCHED_RR" => 2,
        "SCHED_BATCH" => 3,
        "SCHED_ISO" => 4,
        "SCHED_IDLE" => 5,
        "SCHED_DEADLINE" => 6,
        "" => return Err(Error::invalid("scheduler policy is required")),
        _ => return Err(Error::invalid(format!("invalid scheduler policy: {word}"))),
    };
    let (nice, priority) = (asked.nice.unwrap_or(0), asked.priority.unwrap_or(0));
    if matches!(word, "SCHED_OTHER" | "SCHED_BATCH") && !(-20..=19).contains(&nice) {
        return Err(Error::invalid(format!(
            "invalid scheduler.nice: {nice} when scheduler.policy is {word}"
        ))
        .hint("use -20 to 19"));
    }
    let realtime = matches!(word, "SCHED_FIFO" | "SCHED_RR");
    if priority != 0 && !realtime {
        return Err(Error::invalid(
            "scheduler.priority can only be specified for SchedFIFO or SchedRR policy",
        ));
    }
    let priority = u32::try_from(priority)
        .map_err(|_| Error::invalid(format!("invalid scheduler.priority: {priority}; use 1 to 99")))?;
    let times = [asked.runtime, asked.deadline, asked.period].map(Option::unwrap_or_default);
    if word != "SCHED_DEADLINE" && times != [0; 3] {
        return Err(Error::invalid(
            "scheduler runtime/deadline/period can only be specified for SchedDeadline policy",
        ));
    }
    let mut flags = 0;
    for flag in &asked.flags {
        flags |= scheduler_flag(flag)?;
    }
    let [runtime, deadline, period] = times;
    Ok(Attr { size: Attr::SIZE, policy, flags, nice, priority, runtime, deadline, period })
}

/// linux/sched.h
fn scheduler_flag(word: &str) -> Result<u64> {
    Ok(match word {
        "SCHED_FLAG_RESET_ON_FORK" => 0x01,
        "SCHED_FLAG_RECLAIM" => 0x02,
        "SCHED_FLAG_DL_OVERRUN" => 0x04,
        "SCHED_FLAG_KEEP_POLICY" => 0x08,
        "SCHED_FLAG_KEEP_PARAMS" => 0x10,
        "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
        "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
        _ => return Err(Error::invalid(format!("invalid scheduler flag: {word}"))),
    })
}

/// Class in the upper bits, level in the lower 13 (linux/ioprio.h).
fn io_priority(asked: &LinuxIOPriority) -> Result<i32> {
    let level = i32::try_from(asked.priority()).unwrap_or(-1);
    if !(0..8).contains(&level) {
        return Err(
            Error::invalid(format!("invalid ioPriority.Priority: {}", asked.priority())).hint("use 0 to 7")
        );
    }
    let class = match asked.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    Ok(class << 13 | level)
}

impl Memory {
    fn decide(asked: &MemoryPolicy) -> Result<Self> {
        // linux/mempolicy.h
        let (mode, least, most) = match asked.mode.as_str() {
            "MPOL_DEFAULT" => (0, 0, 0),
            "MPOL_PREFERRED" => (1, 0, usize::MAX),
            "MPOL_BIND" => (2, 1, usize::MAX),
            "MPOL_INTERLEAVE" => (3, 1, usize::MAX),
            "MPOL_LOCAL" => (4, 0, 0),
            "MPOL_PREFERRED_MANY" => (5, 1, usize::MAX),
            "MPOL_WEIGHTED_INTERLEAVE" => (6, 1, usize::MAX),
            mode => return Err(Error::invalid(format!("invalid memory policy mode {mode:?}"))),
        };
        let mut flags = 0;
        for flag in &asked.flags {
            flags |= match flag.as_str() {
                "MPOL_F_NUMA_BALANCING" => 1 << 13,
                "MPOL_F_RELATIVE_NODES" => 1 << 14,
                "MPOL_F_STATIC_NODES" => 1 << 15,
                flag => return Err(Error::invalid(format!("invalid memory policy flag {flag:?}"))),
            };
        }
        let list = asked.nodes.as_deref().unwrap_or_default();
        let nodes = if list.is_empty() {
            Mask::default()
        } else {
            Mask::parse(list)
                .map_err(|why| Error::invalid(format!("invalid memory policy nodes {list:?}: {why}")))?
        };
        let count = nodes.count();
        if count > most {
            return Err(Error::invalid(format!("memory policy mode requires 0 nodes but got {count}")));
        }
        if count < least {
            return Err(Error::invalid("memory policy mode requires at least one node but got 0"));
        }
        Ok(Self { mode: mode | flags, nodes })
    }
}

/// linux/personality.h
const PER_LINUX: u32 = 0;
const PER_LINUX32: u32 = 8;

fn personality(asked: &LinuxPersonality) -> u32 {
    if let Some(flags) = asked.flags().as_ref().filter(|flags| !flags.is_empty()) {
        log::warn!("ignoring unsupported personality flags: [{}]", flags.join(" "));
    }
    match asked.domain() {
        LinuxPersonalityDomain::PerLinux => PER_LINUX,
        LinuxPersonalityDomain::PerLinux32 => PER_LINUX32,
    }
}

impl Mask {
    /// Every CPU that a kernel can have; it cuts them to those that are there.
    pub fn all() -> Self {
        Self(vec![u64::MAX; MOST_CPUS / 64])
    }

    /// List format (cpuset(7)): `0-3,7`; spaces and empty elements are allowed. The reason alone is the error.
    fn parse(list: &str) -> Result<Self, String> {
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) if number <= MAX_NUMBER && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(number)
            }
            Ok(_) => Err(format!("values larger than {MAX_NUMBER} are not supported")),
            Err(why) => Err(format!("{text:?}: {why}")),
        };
        let mut mask = Self::default();
        for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high) = (number(low)?, number(high)?);
            if low > high {
                return Err(format!("invalid range: {part}"));
            }
            (low..=high).for_each(|bit| mask.insert(bit));
        }
        if mask.0.is_empty() { Err("no members found in set".to_owned()) } else { Ok(mask) }
    }

    fn insert(&mut self, bit: u32) {
        let word = usize::try_from(bit / 64).unwrap_or_default();
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (bit % 64);
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| usize::try_from(word.count_ones()).unwrap_or_default()).sum()
    }

    /// 64 bits a word, the lowest first.
    pub fn words(&self) -> &[u64] {
        &self.0
    }
}

#[cfg(test)]
#[path = "schedule_test.rs"]
mod tests;
