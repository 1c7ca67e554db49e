//! Instructions of classic BPF, written from the last one to the first. It decides nothing; it knows jumps.
//!
//! A classic program only jumps forward, and a conditional jump reaches 255 instructions (linux/filter.h). Written
//! backwards, every target is there before the jump to it, so its distance is known when it is written, and a target
//! that is too far away gets a stepping stone right behind the jump.
//!
//! The conditions of a rule come from seccompiler (`SeccompRule` → BPF). The rest of it cannot say a profile: a
//! `SeccompFilter` has one action for all matches and one architecture, compares numbers one after the other (a linear
//! program of Docker's profile takes 0.8 ms to load, a searching one 0.1 ms), keeps its table of names to itself, knows
//! no NOTIFY, and `apply_filter` sets no_new_privs and takes no flags.

use seccompiler::{BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule, sock_filter};

use super::arch::Width;
use super::rule::{Condition, Rule};
use super::tree::Outcome;
use crate::error::{Error, Result};
use crate::spec::oci::LinuxSeccompOperator as Operator;

/// BPF_MAXINSNS: what the kernel takes.
const MAX_INSTRUCTIONS: usize = 4096;
/// How far a conditional jump reaches.
const REACH: usize = 255;

/// Offsets into `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

const LOAD: u16 = opcode(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
const RETURN: u16 = opcode(libc::BPF_RET | libc::BPF_K);
const JUMP: u16 = opcode(libc::BPF_JMP | libc::BPF_JA);
const IF_EQUAL: u16 = opcode(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
const IF_AT_LEAST: u16 = opcode(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "opcodes have one byte; const")]
const fn opcode(bits: u32) -> u16 {
    bits as u16
}

/// A chain of rules for one call, for arguments of one width.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) width: Width,
    pub(super) rules: Vec<Rule>,
}

/// An instruction that is written already, counted from the end of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program in the making.
pub(super) struct Assembler<'a> {
    /// The last instruction first.
    reversed: Vec<sock_filter>,
    /// The latest return of each answer.
    answers: Vec<(u32, Label)>,
    /// Chains, and the code of those that are written already.
    chains: &'a [Chain],
    written: Vec<Option<Label>>,
    /// The answer of a chain in which no rule holds.
    default: u32,
}

impl<'a> Assembler<'a> {
    pub(super) fn new(chains: &'a [Chain], default: u32) -> Self {
        Self {
            reversed: Vec::with_capacity(512),
            answers: Vec::new(),
            chains,
            written: vec![None; chains.len()],
            default,
        }
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> Label {
        self.reversed.push(sock_filter { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }

    /// The distance of a jump to `label` from the next instruction but `later`.
    fn distance(&self, label: Label, later: usize) -> usize {
        self.reversed.len() + later - label.0 - 1
    }

    /// Code that returns `value`: one that is in reach, or a new one.
    pub(super) fn answer(&mut self, value: u32) -> Label {
        let known = self.answers.iter().position(|(answer, _)| *answer == value);
        match known {
            Some(at) if self.distance(self.answers[at].1, 0) <= REACH => self.answers[at].1,
            _ => self.fresh_answer(value),
        }
    }

    /// Code that returns `value`, right here.
    fn fresh_answer(&mut self, value: u32) -> Label {
        let label = self.push(RETURN, value, 0, 0);
        match self.answers.iter_mut().find(|(answer, _)| *answer == value) {
            Some((_, latest)) => *latest = label,
            None => self.answers.push((value, label)),
        }
        label
    }

    /// Code for an outcome.
    pub(super) fn outcome(&mut self, outcome: Outcome) -> Label {
        match outcome {
            Outcome::Answer(value) => self.answer(value),
            Outcome::Ask(chain) => {
                let chain = usize::from(chain);
                if let Some(label) = self.written[chain] {
                    return label;
                }
                let label = self.chain(&self.chains[chain]);
                self.written[chain] = Some(label);
                label
            }
        }
    }

    /// Asks the rules of a chain in order. A rule's code falls through to its answer when it holds and skips the answer
    /// when it does not, so the rules lie one behind the other, the default answer last.
    fn chain(&mut self, chain: &Chain) -> Label {
        let mut label = self.fresh_answer(self.default);
        for rule in chain.rules.iter().rev() {
            label = self.fresh_answer(rule.answer);
            let code = conditions(&rule.conditions, chain.width);
            // seccompiler begins each rule with two jumps that its own chains need; the first one leads to the rule.
            let entry = match code.first() {
                Some(first) if first.code == JUMP => usize::try_from(first.k).unwrap_or(0) + 1,
                _ => 0,
            };
            for instruction in code.into_iter().skip(entry).rev() {
                label = self.push(instruction.code, instruction.k, instruction.jt, instruction.jf);
            }
        }
        label
    }

    /// `yes` if the accumulator is `value`, `no` otherwise.
    pub(super) fn if_equal(&mut self, value: u32, yes: Label, no: Label) -> Label {
        self.branch(IF_EQUAL, value, yes, no)
    }

    /// `yes` if the accumulator is at least `value`, `no` otherwise.
    pub(super) fn if_at_least(&mut self, value: u32, yes: Label, no: Label) -> Label {
        self.branch(IF_AT_LEAST, value, yes, no)
    }

    fn branch(&mut self, code: u16, value: u32, yes: Label, no: Label) -> Label {
        // A stepping stone for one target moves the other one away by one.
        let yes = self.in_reach(yes, 1);
        let no = self.in_reach(no, 0);
        let offset =
            |label| u8::try_from(self.distance(label, 0)).expect("invariant: stepping stones are in reach");
        let (jt, jf) = (offset(yes), offset(no));
        self.push(code, value, jt, jf)
    }

    /// `label`, or a stepping stone to it if it will be out of reach after `later` more instructions.
    fn in_reach(&mut self, label: Label, later: usize) -> Label {
        if self.distance(label, later) <= REACH {
            return label;
        }
        let target = &self.reversed[label.0];
        if target.code == RETURN {
            return self.fresh_answer(target.k);
        }
        let distance = u32::try_from(self.distance(label, 0)).unwrap_or(u32::MAX);
        self.push(JUMP, distance, 0, 0)
    }

    /// Loads the number of the call and goes on at `then`.
    pub(super) fn load_number(&mut self, then: Label) -> Label {
        if self.distance(then, 0) > 0 {
            let distance = u32::try_from(self.distance(then, 0)).unwrap_or(u32::MAX);
            self.push(JUMP, distance, 0, 0);
        }
        self.push(LOAD, NUMBER, 0, 0)
    }

    /// The program, once the code just written is to be asked with the architecture.
    pub(super) fn finish(mut self) -> Result<Vec<sock_filter>> {
        self.push(LOAD, ARCH, 0, 0);
        if self.reversed.len() > MAX_INSTRUCTIONS {
            let len = self.reversed.len();
            return Err(Error::invalid(format!(
                "seccomp: the profile needs a filter of {len} instructions, the kernel takes {MAX_INSTRUCTIONS}"
            ))
            .hint("name fewer calls with conditions on arguments"));
        }
        self.reversed.reverse();
        Ok(self.reversed)
    }
}

/// The code of a rule without its answer: falls through if every condition holds, skips one more if not.
fn conditions(conditions: &[Condition], width: Width) -> BpfProgram {
    let conditions = conditions.iter().map(|condition| {
        let width = match width {
            Width::Half => SeccompCmpArgLen::Dword,
            Width::Whole => SeccompCmpArgLen::Qword,
        };
        let operator = match condition.operator {
            Operator::ScmpCmpNe => SeccompCmpOp::Ne,
            Operator::ScmpCmpLt => SeccompCmpOp::Lt,
            Operator::ScmpCmpLe => SeccompCmpOp::Le,
            Operator::ScmpCmpEq => SeccompCmpOp::Eq,
            Operator::ScmpCmpGe => SeccompCmpOp::Ge,
            Operator::ScmpCmpGt => SeccompCmpOp::Gt,
            Operator::ScmpCmpMaskedEq => SeccompCmpOp::MaskedEq(condition.mask),
        };
        SeccompCondition::new(condition.argument, width, operator, condition.value)
            .expect("invariant: arguments are 0 to 5")
    });
    SeccompRule::new(conditions.collect()).expect("invariant: a rule of a chain has conditions").into()
}
