//! A machine for the classic BPF of seccomp, for tests alone: it checks a program as strictly as the kernel does and
//! runs it over a call. It stands in for the kernel; it must never know how a program was made.

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Operation.
    pub(crate) code: u16,
    /// Instructions to skip if a condition holds.
    pub(crate) jt: u8,
    /// Instructions to skip if it does not.
    pub(crate) jf: u8,
    /// Operand.
    pub(crate) k: u32,
}

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// Number of the call.
    pub(crate) nr: u32,
    /// AUDIT_ARCH_*.
    pub(crate) arch: u32,
    /// Where the call comes from.
    pub(crate) instruction_pointer: u64,
    /// Arguments.
    pub(crate) args: [u64; 6],
}

const LD_ABS: u16 = 0x20;
const AND_K: u16 = 0x54;
const JA: u16 = 0x05;
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const JSET: u16 = 0x45;
const RET: u16 = 0x06;

/// What bpf_check_classic (net/core/filter.c) and seccomp_check_filter (kernel/seccomp.c) would refuse.
pub(crate) fn check(program: &[Instruction]) -> Result<(), String> {
    if program.is_empty() || program.len() > 4096 {
        return Err(format!("{} instructions", program.len()));
    }
    for (at, instruction) in program.iter().enumerate() {
        let left = program.len() - at - 1;
        let fine = match instruction.code {
            LD_ABS => instruction.k < 64 && instruction.k % 4 == 0,
            AND_K | RET => true,
            JA => usize::try_from(instruction.k).is_ok_and(|skip| skip < left),
            JEQ | JGT | JGE | JSET => usize::from(instruction.jt.max(instruction.jf)) < left,
            _ => false,
        };
        if !fine {
            return Err(format!("instruction {at} of {}: {instruction:x?}", program.len()));
        }
    }
    match program.last() {
        Some(last) if last.code == RET => Ok(()),
        last => Err(format!("the last instruction is {last:x?}")),
    }
}

/// What the program, which [`check`] has passed, returns for `call`.
pub(crate) fn run(program: &[Instruction], call: &Call) -> u32 {
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let holds = match code {
            RET => return k,
            LD_ABS => {
                accumulator = load(call, k);
                continue;
            }
            AND_K => {
                accumulator &= k;
                continue;
            }
            JA => {
                at += usize::try_from(k).unwrap();
                continue;
            }
            JEQ => accumulator == k,
            JGT => accumulator > k,
            JGE => accumulator >= k,
            JSET => accumulator & k != 0,
            other => panic!("unknown operation {other:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

fn load(call: &Call, offset: u32) -> u32 {
    let half =
        |value: u64, high: bool| u32::try_from(if high { value >> 32 } else { value & 0xffff_ffff }).unwrap();
    let high = offset % 8 == 4; // little endian
    match offset {
        0 => call.nr,
        4 => call.arch,
        8 | 12 => half(call.instruction_pointer, high),
        _ => half(call.args[usize::try_from(offset / 8 - 2).unwrap()], high),
    }
}
