//! What a profile says of a call, read off the profile word by word: no program, no libseccomp. Slow, and short enough to
//! be checked by eye.

use std::cmp::Reverse;
use std::collections::HashMap;

use pinnace::seccomp::{Arch, call_number};
use pinnace::spec::oci::{
    LinuxSeccomp, LinuxSeccompArg as Arg, LinuxSeccompOperator as Operator, LinuxSyscall,
};

use crate::oracle::value;
use crate::simulate::Call;
use crate::{audit, stub};

/// A rule that concerns one number of one architecture.
struct Rule {
    answer: u32,
    /// The code that the first argument has when the call comes through `socketcall` or `ipc`.
    code: Option<u64>,
    args: Vec<Arg>,
}

/// A profile, ready to be asked.
pub(crate) struct Model {
    archs: Vec<Arch>,
    default: u32,
    rules: HashMap<(Arch, u32), Vec<Rule>>,
}

impl Model {
    pub(crate) fn of(profile: &LinuxSeccomp, archs: &[Arch]) -> Self {
        let default = value(profile.default_action(), profile.default_errno_ret());
        let mut model = Self { archs: archs.to_vec(), default, rules: HashMap::new() };
        for entry in profile.syscalls().iter().flatten() {
            let answer = value(entry.action(), entry.errno_ret());
            if answer == default {
                continue;
            }
            let args = entry.args().clone().unwrap_or_default();
            let twice = args.iter().any(|a| args.iter().filter(|b| a.index() == b.index()).count() > 1);
            let alternatives =
                if twice { args.into_iter().map(|arg| vec![arg]).collect() } else { vec![args] };
            for name in entry.names() {
                for args in &alternatives {
                    model.add(name, answer, args);
                }
            }
        }
        model
    }

    fn add(&mut self, name: &str, answer: u32, args: &[Arg]) {
        for arch in self.archs.clone() {
            if let Some(number) = call_number(name, arch) {
                let rule = Rule { answer, code: None, args: args.to_vec() };
                self.rules.entry((arch, number)).or_default().push(rule);
            }
            if let Some((through, code, _)) = stub::multiplexed(name).filter(|_| arch == Arch::X86) {
                let args = args.iter().filter(|arg| arg.index() != 0).copied().collect();
                let rule = Rule { answer, code: Some(code), args };
                self.rules.entry((arch, through)).or_default().push(rule);
            }
        }
    }

    /// What the profile says of `call`, but for ENOSYS.
    pub(crate) fn answer(&self, call: &Call) -> u32 {
        let Some(arch) = self.arch(call) else { return 0 };
        let bits = match arch {
            Arch::X86_64 | Arch::Aarch64 | Arch::Riscv64 => u64::MAX,
            Arch::X32 | Arch::X86 | Arch::Arm => 0xffff_ffff,
        };
        let rules = self.rules.get(&(arch, call.nr)).map(Vec::as_slice).unwrap_or_default();
        if let Some(certain) = rules.iter().find(|rule| rule.is_certain(bits)) {
            return certain.answer;
        }
        let first = rules.iter().filter(|rule| rule.holds(call, bits)).min_by_key(|rule| rule.rank(bits));
        first.map_or(self.default, |rule| rule.answer)
    }

    /// The architecture that answers for a call; `None`: none does.
    fn arch(&self, call: &Call) -> Option<Arch> {
        let x32 = self.archs.contains(&Arch::X32);
        let arch = *self.archs.iter().find(|arch| audit(**arch) == call.arch)?;
        match call.nr {
            0x4000_0000.. if arch == Arch::X86_64 && x32 => Some(Arch::X32),
            0x4000_0000..0xffff_ffff if arch == Arch::X86_64 => None,
            _ => Some(arch),
        }
    }
}

impl Rule {
    /// Whether no argument can change the answer.
    fn is_certain(&self, bits: u64) -> bool {
        self.code.is_none() && self.args.iter().all(|arg| is_empty(arg, bits))
    }

    fn holds(&self, call: &Call, bits: u64) -> bool {
        self.code.is_none_or(|code| call.args[0] & bits == code)
            && self.args.iter().all(|arg| holds(arg, call.args[arg.index()] & bits, bits))
    }

    /// What is asked first among rules that hold: by the first condition in which they differ, the higher argument, then
    /// equality, upper bounds, lower bounds, then the tighter value; fewer conditions before more.
    fn rank(&self, bits: u64) -> Vec<(Reverse<usize>, u8, u64)> {
        let mut args: Vec<&Arg> = self.args.iter().filter(|arg| !is_empty(arg, bits)).collect();
        args.sort_by_key(|arg| arg.index());
        let code = self.code.map(|code| (Reverse(0), 0, u64::MAX - code));
        code.into_iter()
            .chain(args.into_iter().map(|arg| {
                let value = compared(arg) & bits;
                match arg.op() {
                    Operator::ScmpCmpLt | Operator::ScmpCmpLe => (Reverse(arg.index()), 1, value),
                    Operator::ScmpCmpGt | Operator::ScmpCmpGe => (Reverse(arg.index()), 2, u64::MAX - value),
                    _ => (Reverse(arg.index()), 0, u64::MAX - value),
                }
            }))
            .collect()
    }
}

fn is_empty(arg: &Arg, bits: u64) -> bool {
    arg.op() == Operator::ScmpCmpMaskedEq && arg.value() & bits == 0
}

/// What the argument is compared with.
fn compared(arg: &Arg) -> u64 {
    match arg.op() {
        Operator::ScmpCmpMaskedEq => arg.value_two().unwrap_or(0) & arg.value(),
        _ => arg.value(),
    }
}

fn holds(arg: &Arg, given: u64, bits: u64) -> bool {
    let value = compared(arg) & bits;
    match arg.op() {
        Operator::ScmpCmpNe => given != value,
        Operator::ScmpCmpLt => given < value,
        Operator::ScmpCmpLe => given <= value,
        Operator::ScmpCmpEq => given == value,
        Operator::ScmpCmpGe => given >= value,
        Operator::ScmpCmpGt => given > value,
        Operator::ScmpCmpMaskedEq => given & arg.value() == value,
    }
}

/// The greatest number among the names of the profile.
pub(crate) fn newest(profile: &LinuxSeccomp, arch: Arch) -> Option<u32> {
    let names = profile.syscalls().iter().flatten().flat_map(LinuxSyscall::names);
    let number = |name: &String| {
        let through = stub::greatest(name).filter(|_| arch == Arch::X86);
        call_number(name, arch).max(through)
    };
    names.filter_map(number).max()
}
