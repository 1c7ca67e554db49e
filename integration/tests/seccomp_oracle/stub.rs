//! The part of a filter that libseccomp does not make: ENOSYS for calls that are newer than the profile. Modelled on
//! its own, from what runc documents of its stub, with libseccomp's numbers.

use std::collections::HashMap;

use pinnace::seccomp::Arch;
use pinnace::spec::oci::{LinuxSeccomp, LinuxSeccompAction as Action};

use crate::audit;
use crate::simulate::Call;

const ENOSYS: u32 = 0x0005_0026;
const X32_BIT: u32 = 0x4000_0000;

/// i386's calls that also go through `socketcall` or `ipc`: the code there (linux/net.h, linux/ipc.h), and the number of
/// their own (asm/unistd_32.h) if they have one.
const MULTIPLEXED: [(&str, u32, u64, Option<u32>); 32] = [
    ("socket", 102, 1, Some(359)),
    ("bind", 102, 2, Some(361)),
    ("connect", 102, 3, Some(362)),
    ("listen", 102, 4, Some(363)),
    ("accept", 102, 5, None),
    ("getsockname", 102, 6, Some(367)),
    ("getpeername", 102, 7, Some(368)),
    ("socketpair", 102, 8, Some(360)),
    ("send", 102, 9, None),
    ("recv", 102, 10, None),
    ("sendto", 102, 11, Some(369)),
    ("recvfrom", 102, 12, Some(371)),
    ("shutdown", 102, 13, Some(373)),
    ("setsockopt", 102, 14, Some(366)),
    ("getsockopt", 102, 15, Some(365)),
    ("sendmsg", 102, 16, Some(370)),
    ("recvmsg", 102, 17, Some(372)),
    ("accept4", 102, 18, Some(364)),
    ("recvmmsg", 102, 19, Some(337)),
    ("sendmmsg", 102, 20, Some(345)),
    ("semop", 117, 1, None),
    ("semget", 117, 2, Some(393)),
    ("semctl", 117, 3, Some(394)),
    ("semtimedop", 117, 4, None),
    ("msgsnd", 117, 11, Some(400)),
    ("msgrcv", 117, 12, Some(401)),
    ("msgget", 117, 13, Some(399)),
    ("msgctl", 117, 14, Some(402)),
    ("shmat", 117, 21, Some(397)),
    ("shmdt", 117, 22, Some(398)),
    ("shmget", 117, 23, Some(395)),
    ("shmctl", 117, 24, Some(396)),
];

/// Of a multiplexed call of i386: the number it goes through, its code there, its own number.
pub(crate) fn multiplexed(name: &str) -> Option<(u32, u64, Option<u32>)> {
    let (_, through, code, own) = MULTIPLEXED.iter().find(|(known, ..)| *known == name)?;
    Some((*through, *code, *own))
}

/// The greatest number by which i386 makes a multiplexed call. libseccomp knows it by its code, but a call that a
/// profile names is not newer than the profile.
pub(crate) fn greatest(name: &str) -> Option<u32> {
    multiplexed(name).map(|(through, _, own)| own.unwrap_or(through))
}

/// The numbers beyond which calls answer ENOSYS.
pub(crate) struct Stub(HashMap<Arch, u32>);

impl Stub {
    /// `newest`: the greatest number among the names of the profile.
    pub(crate) fn of(profile: &LinuxSeccomp, archs: &[Arch], newest: impl Fn(Arch) -> Option<u32>) -> Self {
        if matches!(
            profile.default_action(),
            Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace
        ) {
            return Self(HashMap::new());
        }
        let known = archs.iter().filter_map(|arch| newest(*arch).map(|newest| (*arch, newest)));
        Self(known.filter(|(_, newest)| *newest != 0).collect())
    }

    /// What the stub says of a call; `None`: it leaves it to the filter.
    pub(crate) fn answer(&self, call: &Call) -> Option<u32> {
        let arch = match call.arch {
            arch if arch == audit(Arch::X86_64) && call.nr & X32_BIT != 0 => Arch::X32,
            arch => *self.0.keys().find(|known| **known != Arch::X32 && audit(**known) == arch)?,
        };
        (call.nr > *self.0.get(&arch)?).then_some(ENOSYS)
    }
}
