//! bpf(2) for device filters of cgroup v2: load, attach, replace, list. No other kind of program.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use super::{check, fs::owned};

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_DETACH: libc::c_long = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 4;
/// The kernel attaches at most 64 programs of a kind to a cgroup (`BPF_CGROUP_MAX_PROGS`).
const MOST: usize = 64;

/// A register of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reg {
    /// The result.
    R0,
    /// The context, at the start.
    R1,
    /// Free.
    R2,
    /// Free.
    R3,
    /// Free.
    R4,
    /// Free.
    R5,
}

/// `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    code: u8,
    registers: u8,
    offset: i16,
    value: i32,
}

// Opcodes of Documentation/bpf/standardization/instruction-set.rst: class | source | operation.
const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbf;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const SET: u8 = 0xb4;
const JUMP: u8 = 0x05;
const JUMP_NE: u8 = 0x56;
const JUMP_SET: u8 = 0x46;
const EXIT: u8 = 0x95;

impl Insn {
    fn new(code: u8, to: u8, from: u8, offset: i16, value: u32) -> Self {
        // Two fields of four bits; C lays them out by the byte order.
        let registers = if cfg!(target_endian = "big") { to << 4 | from } else { from << 4 | to };
        Self { code, registers, offset, value: i32::from_ne_bytes(value.to_ne_bytes()) }
    }

    /// `to = *(u32 *)(from + offset)`.
    pub fn load(to: Reg, from: Reg, offset: i16) -> Self {
        Self::new(LOAD_WORD, to.index(), from.index(), offset, 0)
    }

    /// `to = from`.
    pub fn copy(to: Reg, from: Reg) -> Self {
        Self::new(COPY, to.index(), from.index(), 0, 0)
    }

    /// `to = value`.
    pub fn set(to: Reg, value: u32) -> Self {
        Self::new(SET, to.index(), 0, 0, value)
    }

    /// `to &= bits`.
    pub fn and(to: Reg, bits: u32) -> Self {
        Self::new(AND, to.index(), 0, 0, bits)
    }

    /// `to >>= count`.
    pub fn shift_right(to: Reg, count: u32) -> Self {
        Self::new(SHIFT_RIGHT, to.index(), 0, 0, count)
    }

    /// Skips `over` instructions.
    pub fn jump(over: i16) -> Self {
        Self::new(JUMP, 0, 0, over, 0)
    }

    /// Skips `over` instructions if the register is not `value`.
    pub fn jump_if_differs(register: Reg, value: u32, over: i16) -> Self {
        Self::new(JUMP_NE, register.index(), 0, over, value)
    }

    /// Skips `over` instructions if the register has one of `bits`.
    pub fn jump_if_has(register: Reg, bits: u32, over: i16) -> Self {
        Self::new(JUMP_SET, register.index(), 0, over, bits)
    }

    /// Returns R0.
    pub fn exit() -> Self {
        Self::new(EXIT, 0, 0, 0, 0)
    }
}

impl Reg {
    fn index(self) -> u8 {
        match self {
            Self::R0 => 0,
            Self::R1 => 1,
            Self::R2 => 2,
            Self::R3 => 3,
            Self::R4 => 4,
            Self::R5 => 5,
        }
    }
}

/// The part of `union bpf_attr` that BPF_PROG_LOAD reads; what follows counts as zero.
#[derive(Default)]
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// The part that BPF_PROG_ATTACH and BPF_PROG_DETACH read.
#[derive(Default)]
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

/// What BPF_PROG_QUERY reads and writes, whole, up to the last field of the newest kernel: kernels from 6.17 on write `revision` whatever size was given.
#[derive(Default)]
#[repr(C)]
struct Query {
    target: u32,
    kind: u32,
    flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

#[repr(C)]
struct ById {
    id: u32,
}

/// Loads a program that decides on device accesses. EPERM without CAP_BPF (or, before kernel 5.11, over
/// RLIMIT_MEMLOCK, which is the caller's own and stays).
pub fn load_device_filter(program: &[Insn]) -> nix::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut attr = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        insns: address(program.as_ptr())?,
        license: address(license.as_ptr())?,
        prog_name: *b"pinnace_devices\0",
        ..Load::default()
    };
    for _ in 0..30 {
        // SAFETY: `program` and `license` live over the call, and their lengths are as given.
        match unsafe { call(BPF_PROG_LOAD, &mut attr) } {
            // A signal came while the verifier ran.
            Err(Errno::EAGAIN) => {}
            result => return result.and_then(owned),
        }
    }
    Err(Errno::EAGAIN)
}

/// Attaches a device filter to a cgroup beside those that are there, or in the place of one.
pub fn attach_device_filter(
    cgroup: impl AsFd,
    program: &OwnedFd,
    replaced: Option<&OwnedFd>,
) -> nix::Result<()> {
    let mut attr = Attach {
        target: number(&cgroup)?,
        program: number(program)?,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
        replaced: 0,
    };
    if let Some(replaced) = replaced {
        attr.flags |= BPF_F_REPLACE;
        attr.replaced = number(replaced)?;
    }
    // SAFETY: integers only.
    unsafe { call(BPF_PROG_ATTACH, &mut attr) }.map(drop)
}

/// Takes a device filter off a cgroup.
pub fn detach_device_filter(cgroup: impl AsFd, program: &OwnedFd) -> nix::Result<()> {
    let mut attr = Attach {
        target: number(&cgroup)?,
        program: number(program)?,
        kind: BPF_CGROUP_DEVICE,
        ..Attach::default()
    };
    // SAFETY: integers only.
    unsafe { call(BPF_PROG_DETACH, &mut attr) }.map(drop)
}

/// The ids of the device filters attached to a cgroup itself.
pub fn device_filters(cgroup: impl AsFd) -> nix::Result<Vec<u32>> {
    let mut ids = [0_u32; MOST];
    let mut attr = Query {
        target: number(&cgroup)?,
        kind: BPF_CGROUP_DEVICE,
        ids: address(ids.as_mut_ptr())?,
        count: u32::try_from(ids.len()).map_err(|_| Errno::EOVERFLOW)?,
        ..Query::default()
    };
    // SAFETY: `ids` has room for `count` numbers, and `attr` is as large as the newest kernel's.
    unsafe { call(BPF_PROG_QUERY, &mut attr) }?;
    let count = usize::try_from(attr.count).map_err(|_| Errno::EOVERFLOW)?;
    Ok(ids.get(..count).ok_or(Errno::ENOSPC)?.to_vec())
}

/// A descriptor of a loaded program.
pub fn by_id(id: u32) -> nix::Result<OwnedFd> {
    // SAFETY: integers only.
    unsafe { call(BPF_PROG_GET_FD_BY_ID, &mut ById { id }) }.and_then(owned)
}

/// # Safety
/// `T` is the head of `union bpf_attr` for `command`, large enough for what the kernel writes into it, and its pointers
/// are valid for what `command` does with them.
unsafe fn call<T>(command: libc::c_long, attr: &mut T) -> nix::Result<libc::c_long> {
    // SAFETY: `attr` is valid for its size; the rest is the caller's promise.
    check(unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) })
}

fn address<T>(pointer: *const T) -> nix::Result<u64> {
    u64::try_from(pointer.addr()).map_err(|_| Errno::EFAULT)
}

fn number(fd: impl AsFd) -> nix::Result<u32> {
    let fd: RawFd = fd.as_fd().as_raw_fd();
    u32::try_from(fd).map_err(|_| Errno::EBADF)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Runs a program on a context of words, as instruction-set.rst says.
    pub(crate) fn run(program: &[Insn], context: &[u32]) -> u64 {
        let mut registers = [0_u64; 11];
        let mut at = 0_usize;
        for _ in 0..100_000 {
            let Insn { code, registers: pair, offset, value } = program[at];
            let (to, from) =
                if cfg!(target_endian = "big") { (pair >> 4, pair & 15) } else { (pair & 15, pair >> 4) };
            let (to, from) = (usize::from(to), usize::from(from));
            let value = u32::from_ne_bytes(value.to_ne_bytes());
            let low = u32::try_from(registers[to] & u64::from(u32::MAX)).unwrap();
            let mut jump = false;
            match code {
                LOAD_WORD => registers[to] = u64::from(context[usize::try_from(offset).unwrap() / 4]),
                COPY => registers[to] = registers[from],
                SET => registers[to] = u64::from(value),
                AND => registers[to] = u64::from(low & value),
                SHIFT_RIGHT => registers[to] = u64::from(low >> value),
                JUMP => jump = true,
                JUMP_NE => jump = low != value,
                JUMP_SET => jump = low & value != 0,
                EXIT => return registers[0],
                code => panic!("opcode {code:#x}"),
            }
            at += 1 + if jump { usize::try_from(offset).unwrap() } else { 0 };
        }
        panic!("the program does not end");
    }

    #[test]
    fn layout() {
        assert_eq!(size_of::<Insn>(), 8);
        assert_eq!(size_of::<Load>(), 64);
        assert_eq!(size_of::<Query>(), 64);
        assert_eq!(
            Insn::load(Reg::R2, Reg::R1, 4),
            Insn { code: 0x61, registers: 0x12, offset: 4, value: 0 }
        );
    }
}
