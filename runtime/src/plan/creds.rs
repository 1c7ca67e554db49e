//! Who the process will be: `process.user`, `process.capabilities` and `noNewPrivileges` as one checked value.
//! Pure: what the host can grant is asked when it is applied (init/creds.rs). An id of 2^32-1 can't be built, since
//! it means "leave it as it is" to setresuid(2), that is: root.

use std::fmt;
use std::str::FromStr;

use caps::Capability;

use crate::error::{Error, Result};
use crate::spec::{Capabilities, Process};

/// The most supplementary groups that setgroups(2) takes (NGROUPS_MAX).
const MAX_GROUPS: usize = 65_536;

/// umask of a process whose config names none, whatever the caller's own is (runc's default).
const DEFAULT_UMASK: u32 = 0o022;

macro_rules! id {
    ($name:ident, $what:literal, $word:literal) => {
        #[doc = concat!("A ", $what, " id inside the container: 0 to 2^32-2.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The superuser's.
            pub const ROOT: Self = Self(0);

            /// Refuses 2^32-1, which the kernel takes for "unchanged".
            pub fn new(id: u32) -> Result<Self> {
                if id == u32::MAX {
                    return Err(Error::invalid(concat!(
                        $what,
                        " id 4294967295 is not valid; use 0 to 4294967294"
                    )));
                }
                Ok(Self(id))
            }

            /// The number.
            pub fn get(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Decimal digits only: no sign, no space, no name, nothing that wraps around (CVE-2024-40635).
            fn from_str(text: &str) -> Result<Self> {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                match text.parse::<u32>() {
                    Ok(id) if digits => Self::new(id),
                    _ => Err(Error::invalid(format!(
                        concat!(
                            "parsing {:?} as int for ",
                            $word,
                            " failed; give a number from 0 to 4294967294"
                        ),
                        text
                    ))),
                }
            }
        }
    };
}

id!(Uid, "user", "uid");
id!(Gid, "group", "gid");

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
const KNOWN: [Capability; 41] = {
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
    fn decide(named: &Capabilities) -> Result<Self> {
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

/// Everything that says who the process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User id inside the container.
    pub uid: Uid,
    /// Group id inside the container.
    pub gid: Gid,
    /// Supplementary groups, ascending, each once. Empty means none: the caller's are never kept.
    pub groups: Vec<Gid>,
    /// File mode creation mask.
    pub umask: u32,
    /// Capabilities; all empty when config.json names none.
    pub caps: CapSets,
    /// An exec never gains privileges.
    pub no_new_privs: bool,
}

impl Credentials {
    /// What `process` asks for.
    pub fn decide(process: &Process) -> Result<Self> {
        let user = &process.user;
        if user.additional_gids.len() > MAX_GROUPS {
            return Err(Error::invalid(format!(
                "process.user.additionalGids has {} groups; the kernel takes {MAX_GROUPS}",
                user.additional_gids.len()
            )));
        }
        let groups: Result<Vec<Gid>> = user.additional_gids.iter().copied().map(Gid::new).collect();
        let mut groups = groups.map_err(|e| e.within("process.user.additionalGids"))?;
        groups.sort_unstable();
        groups.dedup();
        let umask = user.umask.unwrap_or(DEFAULT_UMASK);
        if umask > 0o777 {
            return Err(Error::invalid(format!(
                "process.user.umask {umask} is not a umask; use 0 to 511 (octal 777)"
            )));
        }
        Ok(Self {
            uid: Uid::new(user.uid).map_err(|e| e.within("process.user.uid"))?,
            gid: Gid::new(user.gid).map_err(|e| e.within("process.user.gid"))?,
            groups,
            umask,
            caps: process.capabilities.as_ref().map(CapSets::decide).transpose()?.unwrap_or_default(),
            no_new_privs: process.no_new_privileges,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::User;
    use proptest::prelude::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    fn capable(caps: Capabilities) -> Process {
        Process { capabilities: Some(caps), ..Process::default() }
    }

    #[test]
    fn table_is_in_the_kernels_order_and_whole() {
        for (number, cap) in KNOWN.iter().enumerate() {
            assert_eq!(usize::from(cap.index()), number);
        }
        assert_eq!(KNOWN.len(), caps::all().len());
        assert_eq!(cap_name(63), "63");
    }

    #[test]
    fn ids_from_text() {
        for (text, id) in [("0", 0), ("1", 1), ("00012", 12), ("4294967294", u32::MAX - 1)] {
            assert_eq!(text.parse::<Uid>().unwrap().get(), id, "{text}");
            assert_eq!(text.parse::<Gid>().unwrap().get(), id, "{text}");
        }
        for text in [
            "",
            " 1",
            "1 ",
            "+1",
            "-1",
            "1x",
            "0x1",
            "4294967295",
            "4294967296",
            "99999999999999999999",
            "root",
        ] {
            assert!(text.parse::<Uid>().is_err(), "{text:?}");
            assert!(text.parse::<Gid>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_that_parses_is_the_number_that_was_written(text in "[0-9+ x-]{0,12}") {
            if let Ok(uid) = text.parse::<Uid>() {
                prop_assert_ne!(uid.get(), u32::MAX);
                prop_assert_eq!(u64::from(uid.get()), text.parse::<u64>().unwrap());
            }
        }

        #[test]
        fn set_algebra(a: u64, b: u64) {
            let (x, y) = (CapSet::from_bits(a), CapSet::from_bits(b));
            prop_assert_eq!(x.without(y).or(x.and(y)), x);
            let mut again = CapSet::EMPTY;
            x.iter().for_each(|cap| again.insert(cap));
            prop_assert_eq!(again, x);
        }
    }

    #[test]
    fn ids_that_mean_unchanged_are_refused() {
        let users = [
            User { uid: u32::MAX, ..User::default() },
            User { gid: u32::MAX, ..User::default() },
            User { additional_gids: vec![1, u32::MAX], ..User::default() },
            User { umask: Some(0o1000), ..User::default() },
            User { additional_gids: vec![5; MAX_GROUPS + 1], ..User::default() },
        ];
        for user in users {
            let error = Credentials::decide(&Process { user, ..Process::default() }).unwrap_err();
            assert!(error.to_string().starts_with("process.user."), "{error}");
        }
    }

    #[test]
    fn defaults_are_the_least() {
        let creds = Credentials::decide(&Process::default()).unwrap();
        assert_eq!(creds.caps, CapSets::default());
        assert!(creds.groups.is_empty());
        assert_eq!(creds.umask, 0o022);
    }

    #[test]
    fn groups_are_sorted_as_the_kernel_gives_them_back() {
        let user = User { additional_gids: vec![27, 4, 27, 0], umask: Some(0o77), ..User::default() };
        let creds = Credentials::decide(&Process { user, ..Process::default() }).unwrap();
        assert_eq!(creds.groups.iter().map(|gid| gid.get()).collect::<Vec<_>>(), [0, 4, 27]);
        assert_eq!(creds.umask, 0o77);
    }

    #[test]
    fn unknown_names_are_left_out_and_case_matters() {
        let creds = Credentials::decide(&capable(Capabilities {
            bounding: names(&["CAP_KILL", "cap_chown", "CHOWN", "CAP_NEVER"]),
            permitted: names(&["CAP_KILL", "CAP_CHECKPOINT_RESTORE"]),
            effective: names(&["CAP_KILL"]),
            ..Capabilities::default()
        }))
        .unwrap();
        assert_eq!(creds.caps.bounding.to_string(), "[CAP_KILL]");
        assert_eq!(creds.caps.permitted.bits(), 1 << 5 | 1 << 40);
        assert!(creds.caps.inheritable.is_empty());
    }

    #[test]
    fn what_the_kernel_always_refuses_is_refused_by_name() {
        let cases = [
            (
                Capabilities { effective: names(&["CAP_KILL"]), ..Capabilities::default() },
                "process.capabilities.effective has [CAP_KILL], which permitted lacks",
            ),
            (
                Capabilities { inheritable: names(&["CAP_CHOWN"]), ..Capabilities::default() },
                "process.capabilities.inheritable has [CAP_CHOWN], which bounding lacks",
            ),
        ];
        for (caps, text) in cases {
            let error = Credentials::decide(&capable(caps)).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
    }
}
