//! The rules of a profile: which call, under which conditions, gets which answer, and what the rules of one call come
//! to on one architecture. Pure; knows nothing of instructions.
//!
//! The profile's order carries little meaning in libseccomp, and profiles are written against libseccomp. So here, too:
//! an unconditional rule decides its call alone, the first of several wins; rules that give the same answer are
//! alternatives; where conditional rules give different answers, the narrower comparison is asked first (see
//! [`Rule::before`]), and the same conditions with two answers are a contradiction that is refused.

use std::cmp::Ordering;

use super::action::answer;
use super::arch::{Arch, Width};
use super::multiplex::multiplexed;
use super::tables::{CallId, find};
use crate::error::{Error, Result};
use crate::spec::oci::{self, LinuxSeccompOperator as Operator};

/// A rule takes three instructions or more, and the kernel takes 4096.
const TOO_MANY: usize = 4096 / 3;

/// An answer, given when every condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// SECCOMP_RET_* with its data.
    pub(super) answer: u32,
    /// At most one for an argument, in the arguments' order.
    pub(super) conditions: Vec<Condition>,
}

/// A comparison of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) argument: u8,
    pub(super) operator: Operator,
    /// What is compared with.
    pub(super) value: u64,
    /// The bits that MASKED_EQ looks at; all of them otherwise.
    pub(super) mask: u64,
}

/// All rules of a profile that differ from its default action.
pub(super) struct Rules {
    all: Vec<Rule>,
    /// Sorted by call; within a call in the profile's order.
    uses: Vec<Use>,
    /// Of each architecture asked for, the greatest number among the calls that the profile names, whatever it says
    /// of them.
    pub(super) newest: Vec<(Arch, Option<u32>)>,
}

/// A rule of the profile, for one call.
#[derive(Clone, Copy)]
struct Use {
    call: CallId,
    /// The rule is about another call, which i386 also makes through this one, with this code as the first argument.
    code: Option<u8>,
    rule: u32,
}

/// What the rules of one call come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The same answer for any arguments.
    Answer(u32),
    /// The first rule that holds answers; the profile's default action if none does.
    Ask(Vec<Rule>),
}

impl Rules {
    /// Reads the rules of `profile` for `archs`. Names that no architecture has are ignored: profiles name calls of
    /// kernels to come.
    pub(super) fn of(profile: &oci::LinuxSeccomp, default: u32, archs: &[Arch]) -> Result<Self> {
        let newest = archs.iter().map(|arch| (*arch, None)).collect();
        let entries = profile.syscalls().as_deref().unwrap_or_default();
        let names: usize = entries.iter().map(|entry| entry.names().len()).sum();
        let mut rules = Self { all: Vec::with_capacity(64), uses: Vec::with_capacity(names + 64), newest };
        for entry in entries {
            rules.add(entry, default)?;
        }
        rules.uses.sort_by_key(|used| used.call);
        Ok(rules)
    }

    fn add(&mut self, entry: &oci::LinuxSyscall, default: u32) -> Result<()> {
        let answer = answer(entry.action(), entry.errno_ret())?;
        let first = self.all.len();
        if answer != default {
            self.all.extend(alternatives(entry)?.into_iter().map(|conditions| Rule { answer, conditions }));
        }
        let too_many = |_| Error::invalid("seccomp: too many rules");
        let rules =
            u32::try_from(first).map_err(too_many)?..u32::try_from(self.all.len()).map_err(too_many)?;
        let x86 = self.newest.iter().any(|(arch, _)| *arch == Arch::X86);
        for name in entry.names() {
            let Some(call) = find(name) else {
                if name.is_empty() {
                    return Err(Error::invalid("seccomp: a system call in the profile has no name"));
                }
                log::debug!("seccomp: unknown system call {name:?} ignored");
                continue;
            };
            self.uses.extend(rules.clone().map(|rule| Use { call, code: None, rule }));
            let door = if x86 { multiplexed(name) } else { None };
            if let Some((call, code)) = door {
                self.uses.extend(rules.clone().map(|rule| Use { call, code: Some(code), rule }));
            }
            for (arch, newest) in &mut self.newest {
                let through = door.and_then(|(call, _)| arch.number(call));
                *newest = (*newest).max(arch.number(call)).max(through);
            }
        }
        Ok(())
    }

    /// The calls that have rules on `arch`, as number and verdict, in no order.
    pub(super) fn verdicts(&self, arch: Arch) -> impl Iterator<Item = Result<(u32, Verdict)>> {
        self.uses.chunk_by(|a, b| a.call == b.call).filter_map(move |uses| {
            let number = arch.number(uses[0].call)?;
            let verdict = self
                .verdict(uses, arch)
                .map_err(|error| error.within(format_args!("seccomp: {}", uses[0].call.name())));
            verdict.map(|verdict| verdict.map(|verdict| (number, verdict))).transpose()
        })
    }

    /// What the rules of one call come to on `arch`; `None` if there is none.
    fn verdict(&self, uses: &[Use], arch: Arch) -> Result<Option<Verdict>> {
        let uses = uses.iter().filter(|used| used.code.is_none() || arch == Arch::X86);
        let rules =
            uses.filter_map(|used| Some((self.all.get(usize::try_from(used.rule).ok()?)?, used.code)));
        let certain = rules
            .clone()
            .find(|(rule, code)| code.is_none() && rule.seen(None, arch.width()).next().is_none());
        if let Some((rule, _)) = certain {
            return Ok(Some(Verdict::Answer(rule.answer)));
        }
        let mut asked: Vec<Rule> = Vec::new();
        for (rule, code) in rules {
            let conditions: Vec<_> = rule.seen(code, arch.width()).collect();
            if asked.len() == TOO_MANY {
                return Err(Error::invalid(format!(
                    "more than {TOO_MANY} rules for one call do not fit a filter"
                )));
            }
            match asked.iter().find(|other| other.conditions == conditions) {
                None => asked.push(Rule { answer: rule.answer, conditions }),
                Some(same) if same.answer == rule.answer => {}
                Some(_) => {
                    return Err(Error::invalid("the same arguments get two different actions")
                        .hint("leave one of the two rules out of the profile"));
                }
            }
        }
        if asked.iter().any(|rule| rule.answer != asked[0].answer) {
            asked.sort_by(Rule::before);
        }
        Ok((!asked.is_empty()).then_some(Verdict::Ask(asked)))
    }
}

/// The conditions of one entry of the profile: one set, or one for each condition if an argument is there twice, which
/// cannot be meant to hold at once (runc reads it that way since its first profiles).
fn alternatives(entry: &oci::LinuxSyscall) -> Result<Vec<Vec<Condition>>> {
    let mut conditions = Vec::new();
    let mut seen = [false; 6];
    let mut twice = false;
    for arg in entry.args().iter().flatten() {
        let slot = seen.get_mut(arg.index()).ok_or_else(|| {
            Error::invalid(format!(
                "seccomp: a condition on argument {}: system calls have 0 to 5",
                arg.index()
            ))
        })?;
        twice |= std::mem::replace(slot, true);
        conditions.push(Condition::of(*arg)?);
    }
    if twice {
        return Ok(conditions.into_iter().map(|condition| vec![condition]).collect());
    }
    conditions.sort_by_key(|condition| condition.argument);
    Ok(vec![conditions])
}

impl Rule {
    /// The conditions that can fail, seen at `width`. Through i386's `socketcall` or `ipc` the first argument is the
    /// code, and the second a pointer to what would be the arguments, which a filter cannot follow. libseccomp keeps
    /// conditions on the other arguments as they are there, and so does this.
    fn seen(&self, code: Option<u8>, width: Width) -> impl Iterator<Item = Condition> {
        let door = code.map(|code| Condition {
            argument: 0,
            operator: Operator::ScmpCmpEq,
            value: u64::from(code),
            mask: u64::MAX,
        });
        let own = self.conditions.iter().filter(move |condition| code.is_none() || condition.argument != 0);
        door.into_iter().chain(own.copied()).filter_map(move |condition| condition.seen(width))
    }

    /// The order in which libseccomp asks rules that give different answers: by the first condition in which they
    /// differ; a rule that has no more conditions goes first.
    fn before(&self, other: &Self) -> Ordering {
        let differ = self.conditions.iter().zip(&other.conditions).map(|(a, b)| a.before(b));
        differ
            .into_iter()
            .find(|order| order.is_ne())
            .unwrap_or_else(|| self.conditions.len().cmp(&other.conditions.len()))
    }
}

impl Condition {
    fn of(arg: oci::LinuxSeccompArg) -> Result<Self> {
        let argument = u8::try_from(arg.index()).map_err(|_| Error::invalid("seccomp: no such argument"))?;
        let masked = arg.op() == Operator::ScmpCmpMaskedEq;
        // MASKED_EQ: `value` is the mask, `valueTwo` what the masked argument is compared with.
        let (mask, value) =
            if masked { (arg.value(), arg.value_two().unwrap_or(0)) } else { (u64::MAX, arg.value()) };
        Ok(Self { argument, operator: arg.op(), value: value & mask, mask })
    }

    /// The condition on as much of the argument as `width` lets it see; `None`: it always holds.
    fn seen(self, width: Width) -> Option<Self> {
        let bits = match width {
            Width::Half => u64::from(u32::MAX),
            Width::Whole => u64::MAX,
        };
        let seen = Self { value: self.value & bits, mask: self.mask & bits, ..self };
        (seen.mask != 0).then_some(seen)
    }

    /// Higher arguments first, then equality before upper bounds before lower bounds, then the tighter value.
    fn before(&self, other: &Self) -> Ordering {
        let class = |condition: &Self| match condition.operator {
            Operator::ScmpCmpEq | Operator::ScmpCmpNe | Operator::ScmpCmpMaskedEq => 0,
            Operator::ScmpCmpLt | Operator::ScmpCmpLe => 1,
            Operator::ScmpCmpGt | Operator::ScmpCmpGe => 2,
        };
        other.argument.cmp(&self.argument).then_with(|| class(self).cmp(&class(other))).then_with(|| {
            if class(self) == 1 { self.value.cmp(&other.value) } else { other.value.cmp(&self.value) }
        })
    }
}
