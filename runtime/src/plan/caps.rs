//! Capabilities as sets of bits: `process.capabilities` and the kernel's own form of them. Pure.

use std::fmt;

use caps::Capability;

use crate::error::{Error, Result};
use crate::spec::Capabilities;

/// A set of capabilities, a bit for each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct CapSet(u64);

impl CapSet {
    /// None.
    pub const EMPTY: Self = Self(0);

    /// From the kernel's representation.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The kernel's representation.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Adds one by number.
    pub fn insert(&mut self, cap: u8) {
        self.0 |= 1_u64.checked_shl(cap.into()).unwrap_or(0);
    }

    /// Whether one is there, by number.
    pub fn contains(self, cap: u8) -> bool {
        self.0 >> u32::from(cap).min(63) & 1 == 1
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is here and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Nothing in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |cap| self.contains(*cap))
    }
}

/// `[CAP_CHOWN CAP_KILL]`, as runc's warnings list them.
impl fmt::Display for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(cap_name).collect();
        write!(f, "[{}]", names.join(" "))
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of a capability; a number for one that is newer than this program.
pub fn cap_name(cap: u8) -> String {
    KNOWN.get(usize::from(cap)).map_or_else(|| cap.to_string(), Capability::to_string)
}

/// The names of all capabilities that this program knows, in the kernel's order.
pub fn known_capabilities() -> impl Iterator<Item = String> {
    KNOWN.iter().map(Capability::to_string)
}

/// Every capability at the place of its number.
pub(super) const KNOWN: [Capability; 41] = {
    use Capability as C;
    [
        C::CAP_CHOWN,
        C::CAP_DAC_OVERRIDE,
        C::CAP_DAC_READ_SEARCH,
        C::CAP_FOWNER,
        C::CAP_FSETID,
        C::CAP_KILL,
        C::CAP_SETGID,
        C::CAP_SETUID,
        C::CAP_SETPCAP,
        C::CAP_LINUX_IMMUTABLE,
        C::CAP_NET_BIND_SERVICE,
        C::CAP_NET_BROADCAST,
        C::CAP_NET_ADMIN,
        C::CAP_NET_RAW,
        C::CAP_IPC_LOCK,
        C::CAP_IPC_OWNER,
        C::CAP_SYS_MODULE,
        C::CAP_SYS_RAWIO,
        C::CAP_SYS_CHROOT,
        C::CAP_SYS_PTRACE,
        C::CAP_SYS_PACCT,
        C::CAP_SYS_ADMIN,
        C::CAP_SYS_BOOT,
        C::CAP_SYS_NICE,
        C::CAP_SYS_RESOURCE,
        C::CAP_SYS_TIME,
        C::CAP_SYS_TTY_CONFIG,
        C::CAP_MKNOD,
        C::CAP_LEASE,
        C::CAP_AUDIT_WRITE,
        C::CAP_AUDIT_CONTROL,
        C::CAP_SETFCAP,
        C::CAP_MAC_OVERRIDE,
        C::CAP_MAC_ADMIN,
        C::CAP_SYSLOG,
        C::CAP_WAKE_ALARM,
        C::CAP_BLOCK_SUSPEND,
        C::CAP_AUDIT_READ,
        C::CAP_PERFMON,
        C::CAP_BPF,
        C::CAP_CHECKPOINT_RESTORE,
    ]
};

/// The five sets (man 7 capabilities).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapSets {
    /// Limits what the process and its children can ever gain.
    pub bounding: CapSet,
    /// What the kernel checks.
    pub effective: CapSet,
    /// What may be made effective.
    pub permitted: CapSet,
    /// Kept over an exec of a file with inheritable file capabilities. Empty unless asked for (CVE-2022-24769).
    pub inheritable: CapSet,
    /// Kept over an exec of an ordinary file.
    pub ambient: CapSet,
}

impl CapSets {
    /// Names → sets. A name that is not known is a warning and left out (runtime-spec, config.md#linux-process);
    /// names are exact and in upper case. What the kernel would always refuse is refused here, by name.
    pub(super) fn decide(named: &Capabilities) -> Result<Self> {
        let mut unknown = Vec::new();
        let mut set = |names: &[String]| {
            let mut set = CapSet::EMPTY;
            for name in names {
                match name.parse::<Capability>() {
                    Ok(cap) => set.insert(cap.index()),
                    Err(_) => unknown.push(name.clone()),
                }
            }
            set
        };
        let sets = Self {
            bounding: set(&named.bounding),
            effective: set(&named.effective),
            permitted: set(&named.permitted),
            inheritable: set(&named.inheritable),
            ambient: set(&named.ambient),
        };
        if !unknown.is_empty() {
            unknown.sort_unstable();
            unknown.dedup();
            log::warn!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" "));
        }
        within("effective", sets.effective, "permitted", sets.permitted)?;
        within("inheritable", sets.inheritable, "bounding", sets.bounding)?;
        Ok(sets)
    }
}

fn within(name: &str, set: CapSet, outer_name: &str, outer: CapSet) -> Result<()> {
    let beyond = set.without(outer);
    if beyond.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("process.capabilities.{name} has {beyond}, which {outer_name} lacks"))
        .hint(format!("add them to {outer_name} or remove them from {name}")))
}
