//! Profiles and calls made from a seed. The same seed gives the same ones; nothing here knows what is right.

use std::collections::HashSet;

use pinnace::seccomp::{Arch, call_number};
use pinnace::spec::oci::{LinuxSeccomp, LinuxSyscall};
use serde_json::{Value, json};

use crate::simulate::Call;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// True once in `n`.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Borders of 32 and 64 bits, and what lies around zero.
const VALUES: [u64; 16] = [
    0,
    1,
    2,
    3,
    7,
    8,
    0x10,
    0xff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x5_0000_0005,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];

const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
];

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_NOTIFY",
];

/// What a generated profile may contain.
#[derive(Clone, Copy)]
pub(crate) struct Kind<'a> {
    /// Names to choose from.
    pub(crate) names: &'a [String],
    /// Architectures to choose from, beside the native one.
    pub(crate) archs: &'a [&'a str],
    /// Rules for one call may give different answers.
    pub(crate) mixed: bool,
    /// A call is named once, and an argument has one condition.
    pub(crate) simple: bool,
    /// Most conditions of a rule.
    pub(crate) conditions: usize,
}

/// A profile of that kind.
pub(crate) fn profile(random: &mut Random, kind: Kind<'_>) -> LinuxSeccomp {
    let archs: Vec<&str> = kind.archs.iter().copied().filter(|_| !random.once_in(3)).collect();
    let most = if random.once_in(4) { 60 } else { 8 };
    let entries = 1 + random.below(most);
    // A few calls that many entries are about.
    let crowded: Vec<&String> = (0..4).map(|_| random.pick(kind.names)).collect();
    let only = *random.pick(&ACTIONS);
    let mut taken = HashSet::from(["write"]);
    let syscalls: Vec<Value> = (0..entries)
        .map(|_| {
            let mut names: Vec<&String> = (0..=random.below(6))
                .map(|_| if random.once_in(2) { *random.pick(&crowded) } else { random.pick(kind.names) })
                .collect();
            names.retain(|name| name.as_str() != "write" && (!kind.simple || taken.insert(name)));
            let action = if kind.mixed { random.pick(&ACTIONS) } else { only };
            let mut entry = json!({ "names": names, "action": action });
            if (action == "SCMP_ACT_ERRNO" || action == "SCMP_ACT_TRACE") && kind.mixed && random.once_in(2) {
                entry["errnoRet"] = json!(random.below(200));
            }
            if !random.once_in(3) {
                let count = 1 + random.below(kind.conditions);
                let mut args: Vec<Value> = (0..count).map(|_| condition(random)).collect();
                if kind.simple {
                    args.sort_by_key(|arg| arg["index"].as_u64());
                    args.dedup_by_key(|arg| arg["index"].as_u64());
                }
                entry["args"] = json!(args);
            }
            entry
        })
        .collect();
    let default = ACTIONS[random.below(8)];
    let mut profile = json!({ "defaultAction": default, "architectures": archs, "syscalls": syscalls });
    if random.once_in(3) {
        profile["defaultErrnoRet"] = json!(random.below(200));
    }
    serde_json::from_value(profile).unwrap()
}

fn condition(random: &mut Random) -> Value {
    let operator = *random.pick(&OPERATORS);
    let (value, two) = (value(random), value(random));
    let mut condition = json!({ "index": random.below(6), "op": operator, "value": value });
    if operator == "SCMP_CMP_MASKED_EQ" {
        condition["valueTwo"] = json!(two);
    }
    condition
}

fn value(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.next(),
        1 => random.next() % 12,
        _ => *random.pick(&VALUES),
    }
}

/// Calls that lie at the borders of a profile and anywhere.
pub(crate) struct Calls {
    numbers: Vec<u32>,
    audits: Vec<u32>,
    values: Vec<u64>,
}

impl Calls {
    pub(crate) fn about(profile: &LinuxSeccomp, archs: &[Arch], audits: &[u32]) -> Self {
        let entries = || profile.syscalls().iter().flatten();
        let mut numbers = vec![0, 102, 117, 335, 0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000];
        numbers.extend([0x8000_0001, 0xbfff_ffff, 0xc000_0000, 0xffff_fffe, 0xffff_ffff]);
        for name in entries().flat_map(LinuxSyscall::names) {
            for number in archs.iter().filter_map(|arch| call_number(name, *arch)) {
                numbers.extend([number.wrapping_sub(1), number, number + 1]);
            }
        }
        let mut values = VALUES.to_vec();
        for arg in entries().flat_map(|entry| entry.args().iter().flatten()) {
            for value in
                [arg.value(), arg.value_two().unwrap_or(0), arg.value() & arg.value_two().unwrap_or(0)]
            {
                values.extend([value.wrapping_sub(1), value, value.wrapping_add(1), value ^ (1 << 32)]);
                values.extend([value & 0xffff_ffff, value | 0xffff_ffff_0000_0000]);
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Self { numbers, audits: audits.to_vec(), values }
    }

    /// Every number once with each architecture.
    pub(crate) fn borders(&self, random: &mut Random) -> Vec<Call> {
        let pairs = self.audits.iter().flat_map(|arch| self.numbers.iter().map(move |nr| (*arch, *nr)));
        pairs.map(|(arch, nr)| Call { nr, arch, ..self.any(random) }).collect()
    }

    /// Some call.
    pub(crate) fn any(&self, random: &mut Random) -> Call {
        let nr = match random.below(8) {
            0 => u32::try_from(random.below(600)).unwrap(),
            1 => 0x4000_0000 + u32::try_from(random.below(600)).unwrap(),
            2 => u32::try_from(random.next() >> 32).unwrap(),
            _ => *random.pick(&self.numbers),
        };
        let arch = if random.once_in(40) { 0xc000_0015 } else { *random.pick(&self.audits) };
        let args = std::array::from_fn(|_| {
            if random.once_in(8) {
                random.next()
            } else if random.once_in(6) {
                u64::try_from(random.below(25)).unwrap()
            } else {
                *random.pick(&self.values)
            }
        });
        Call { nr, arch, instruction_pointer: random.next(), args }
    }
}
