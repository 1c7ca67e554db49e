//! The seccomp compiler: the profile of config.json → classic BPF. Pure but for [`Filter::load`] and what `features`
//! asks of the kernel; it never loads anything into the process that compiles.
//!
//! ```text
//! profile ─ rule ─▶ verdict of each call ─ enosys ─▶ over the ground ─ tree ─▶ spans ─ assemble ─▶ program
//! ```
//!
//! What a filter says of a call is what libseccomp would say with the same profile, fed as runc feeds it, and ENOSYS for
//! calls that are newer than the profile; `integration/tests/seccomp_oracle.rs` asks both. How it says it is our own: a
//! binary search over spans of numbers, in a hundredth of the time and without a library that cannot be linked
//! statically under every licence.

mod action;
mod arch;
mod assemble;
mod enosys;
pub mod known;
mod multiplex;
mod rule;
mod tables;
mod tree;

#[cfg(test)]
mod compile_test;
#[cfg(test)]
mod simulate;

use std::os::fd::OwnedFd;

pub use arch::Arch;
pub use seccompiler::sock_filter;

use assemble::{Assembler, Chain};
use rule::{Rules, Verdict};
use tree::{Outcome, Span};

use crate::error::{Error, Result};
use crate::spec::oci::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompFilterFlag as Flag, LinuxSyscall,
};
use crate::sys;

/// A compiled profile, ready for the container's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Vec<sock_filter>,
    flags: libc::c_ulong,
}

/// Compiles a profile for the machine that this runs on. `None`: the profile lets every call of every architecture
/// pass, so there is nothing to load.
pub fn compile(profile: &LinuxSeccomp) -> Result<Option<Filter>> {
    let native = Arch::native().ok_or_else(|| {
        Error::invalid(format!("seccomp: no table of system calls for {}", std::env::consts::ARCH))
    })?;
    compile_for(profile, native)
}

/// Refuses a profile that names a system call which no architecture has, where it is otherwise passed over.
pub fn refuse_unknown(profile: &LinuxSeccomp) -> Result<()> {
    let mut names = profile.syscalls().iter().flatten().flat_map(LinuxSyscall::names);
    match names.find(|name| tables::find(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!("seccomp: unknown system call {name:?}"))
            .hint("leave it out of the profile, or allow what is not known")),
    }
}

/// Compiles a profile for a machine of another architecture: only to look at the program.
pub fn compile_for(profile: &LinuxSeccomp, native: Arch) -> Result<Option<Filter>> {
    refuse_notify_where_it_hangs(profile)?;
    let flags = flags(profile)?;
    log::debug!("seccomp filter flags: {flags}");
    let default = action::answer(profile.default_action(), profile.default_errno_ret())?;
    let archs = archs(profile, native);
    let rules = Rules::of(profile, default, &archs)?;
    let stub = !action::lets_pass(profile.default_action());

    let mut chains = Vec::new();
    let mut searches = Vec::new();
    for shared in archs.chunk_by(|a, b| a.audit() == b.audit()) {
        searches.push((shared[0].audit(), spans(&rules, shared, default, stub, &mut chains)?));
    }
    if archs == native.family() && searches.iter().all(|(_, spans)| tree::passes(spans)) {
        return Ok(None);
    }

    let mut asm = Assembler::new(&chains, default);
    let mut otherwise = asm.answer(action::BAD_ARCH);
    let mut entries = Vec::new();
    for (audit, spans) in searches.iter().rev() {
        let search = tree::search(&mut asm, spans);
        entries.push((*audit, asm.load_number(search)));
    }
    for (audit, entry) in entries {
        otherwise = asm.if_equal(audit, entry, otherwise);
    }
    Ok(Some(Filter { program: asm.finish()?, flags }))
}

/// The flags of the load. A profile without any leaves speculation alone, as runc does: Linux 5.16 stopped tying the
/// mitigation to seccomp (commit 2f46993d83ff), and before that every process of the container paid for it.
fn flags(profile: &LinuxSeccomp) -> Result<libc::c_ulong> {
    let mut flags = 0;
    for flag in profile.flags().as_deref().unwrap_or(&[Flag::SeccompFilterFlagSpecAllow]) {
        flags |= match flag {
            Flag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
            Flag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            Flag::SeccompFilterFlagWaitKillableRecv => libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
            // The process that loads the filter has one thread.
            Flag::SeccompFilterFlagTsync => 0,
        };
    }
    if notifies(profile).next().is_some() {
        flags |= libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    } else if flags & libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0 {
        return Err(Error::invalid(
            "seccomp: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV without SCMP_ACT_NOTIFY",
        )
        .hint("leave the flag out: the kernel refuses it without a listener"));
    }
    Ok(flags)
}

/// The names that the profile gives SCMP_ACT_NOTIFY to.
fn notifies(profile: &LinuxSeccomp) -> impl Iterator<Item = &str> {
    let entries = profile.syscalls().iter().flatten().filter(|entry| entry.action() == Action::ScmpActNotify);
    entries.flat_map(LinuxSyscall::names).map(String::as_str)
}

/// The loading process must still be able to hand the listener over, or everybody waits for everybody.
fn refuse_notify_where_it_hangs(profile: &LinuxSeccomp) -> Result<()> {
    if profile.default_action() == Action::ScmpActNotify {
        return Err(Error::invalid("SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    if notifies(profile).any(|name| name == "write") {
        return Err(Error::invalid("SCMP_ACT_NOTIFY cannot be used for the write syscall"));
    }
    Ok(())
}

/// The architectures to filter: the native one always, and those of the profile that this machine can run.
fn archs(profile: &LinuxSeccomp, native: Arch) -> Vec<Arch> {
    let mut archs = vec![native];
    for name in profile.architectures().iter().flatten() {
        match Arch::named(*name) {
            Some(arch) if native.family().contains(&arch) => archs.push(arch),
            _ => log::debug!("seccomp: {name} ignored: this machine has no such calls"),
        }
    }
    archs.sort_unstable();
    archs.dedup();
    archs
}

/// The spans of all `archs` that share an audit value. Chains that are not in `chains` yet are added to it.
fn spans(
    rules: &Rules,
    archs: &[Arch],
    default: u32,
    stub: bool,
    chains: &mut Vec<Chain>,
) -> Result<Vec<Span>> {
    let mut calls = Vec::with_capacity(512);
    for arch in archs {
        for verdict in rules.verdicts(*arch) {
            let (number, verdict) = verdict?;
            let outcome = match verdict {
                Verdict::Answer(answer) => Outcome::Answer(answer),
                Verdict::Ask(rules) => Outcome::Ask(chain(Chain { width: arch.width(), rules }, chains)?),
            };
            calls.push((number, outcome));
        }
    }
    calls.sort_unstable_by_key(|(number, _)| *number);
    let newest: Vec<_> = rules.newest.iter().filter(|(arch, _)| archs.contains(arch)).copied().collect();
    Ok(tree::spans(&enosys::ground(&newest, default, stub), &calls))
}

/// The position of `chain` in `chains`, to which it is added if it is not there yet.
fn chain(chain: Chain, chains: &mut Vec<Chain>) -> Result<u16> {
    let position = chains.iter().position(|known| *known == chain).unwrap_or_else(|| {
        chains.push(chain);
        chains.len() - 1
    });
    u16::try_from(position).map_err(|_| Error::invalid("seccomp: too many rules"))
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

/// Every name of a system call that a profile may use with effect, in order.
pub fn call_names() -> impl Iterator<Item = String> {
    tables::names()
}

/// The number of a call on an architecture, as it arrives in `seccomp_data.nr`.
pub fn call_number(name: &str, arch: Arch) -> Option<u32> {
    tables::find(name).and_then(|call| arch.number(call))
}
