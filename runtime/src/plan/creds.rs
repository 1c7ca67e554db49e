//! Who the process will be: `process.user`, `process.capabilities` and `noNewPrivileges` as one checked value.
//! Pure: what the host can grant is asked when it is applied (init/creds.rs). An id of 2^32-1 can't be built, since
//! it means "leave it as it is" to setresuid(2), that is: root.

use std::fmt;
use std::str::FromStr;

pub use super::caps::{CapSet, CapSets, cap_name, known_capabilities};
use crate::error::{Error, Result};
use crate::spec::Process;

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
                if id == u32::MAX && !mutant!("id") {
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

/// Everything that says who the process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User id inside the container.
    pub uid: Uid,
    /// Group id inside the container.
    pub gid: Gid,
    /// Supplementary groups, ascending, each once. Empty means none.
    pub groups: Vec<Gid>,
    /// The caller's supplementary groups are kept instead, which only an annotation of config.json asks for.
    pub keep_groups: bool,
    /// File mode creation mask.
    pub umask: u32,
    /// The caller's is kept instead: an exec that names none, in a container that names none (runtime-spec,
    /// config.md#user). A container's first process always has one.
    pub keep_umask: bool,
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
            keep_groups: false,
            umask,
            keep_umask: false,
            caps: process.capabilities.as_ref().map(CapSets::decide).transpose()?.unwrap_or_default(),
            no_new_privs: process.no_new_privileges,
        })
    }
}

#[cfg(test)]
#[path = "creds_test.rs"]
mod tests;
