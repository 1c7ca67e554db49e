//! Architectures as seccomp sees them: the audit value, the column of the call table, the width of an argument. Pure.

use super::tables::{CallId, Column};
use crate::spec::oci::Arch as OciArch;

/// Set in the number of a call that is made by the x32 convention; the audit value is x86_64's (asm/unistd.h).
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// An architecture that this compiler has numbers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// x86_64.
    X86_64,
    /// x86_64 with 32-bit pointers.
    X32,
    /// i386.
    X86,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM (EABI).
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
}

/// How many bits of an argument a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// The low half, as libseccomp does for x32 and the 32-bit architectures; values of the profile are cut.
    Half,
    /// All 64 bits.
    Whole,
}

impl Arch {
    /// The architecture that this build runs on.
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else if cfg!(target_arch = "arm") {
            Some(Self::Arm)
        } else if cfg!(target_arch = "riscv64") {
            Some(Self::Riscv64)
        } else {
            None
        }
    }

    /// Everything that the kernel of a machine of this architecture can report in `seccomp_data.arch`. A filter for
    /// anything else would be dead weight.
    pub(super) const fn family(self) -> &'static [Self] {
        match self {
            Self::X86_64 | Self::X32 | Self::X86 => &[Self::X86_64, Self::X32, Self::X86],
            Self::Aarch64 | Self::Arm => &[Self::Aarch64, Self::Arm],
            Self::Riscv64 => &[Self::Riscv64],
        }
    }

    /// The architecture of a profile; `None`: no table, and thus no machine that this build runs on.
    pub(super) fn named(name: OciArch) -> Option<Self> {
        match name {
            OciArch::ScmpArchNative => Self::native(),
            OciArch::ScmpArchX86_64 => Some(Self::X86_64),
            OciArch::ScmpArchX32 => Some(Self::X32),
            OciArch::ScmpArchX86 => Some(Self::X86),
            OciArch::ScmpArchAarch64 => Some(Self::Aarch64),
            OciArch::ScmpArchArm => Some(Self::Arm),
            OciArch::ScmpArchRiscv64 => Some(Self::Riscv64),
            _ => None,
        }
    }

    /// AUDIT_ARCH_* of linux/audit.h.
    pub(super) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
            Self::Riscv64 => 0xc000_00f3,
        }
    }

    /// The bits of an argument that conditions look at.
    pub(super) const fn width(self) -> Width {
        match self {
            Self::X86_64 | Self::Aarch64 | Self::Riscv64 => Width::Whole,
            Self::X32 | Self::X86 | Self::Arm => Width::Half,
        }
    }

    /// The number by which `call` arrives in `seccomp_data.nr`.
    pub(super) fn number(self, call: CallId) -> Option<u32> {
        match self {
            Self::X86_64 => call.number(Column::X86_64),
            Self::X32 => call.number(Column::X32).map(|number| number | X32_BIT),
            Self::X86 => call.number(Column::X86),
            Self::Aarch64 => call.number(Column::Aarch64),
            Self::Arm => call.number(Column::Arm),
            Self::Riscv64 => call.number(Column::Riscv64),
        }
    }
}
