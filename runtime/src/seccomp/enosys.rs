//! What a filter answers to numbers that no rule is for: the default action, ENOSYS for calls that are newer than the
//! profile, KILL_THREAD for a calling convention that it does not cover. Pure.
//!
//! A profile's author could not refuse a call that did not exist yet, and a C library that gets EPERM for it does not
//! fall back to the older call, where ENOSYS makes it (clone3, faccessat2: opencontainers/runc#2151). So numbers greater
//! than the greatest one that the profile names answer ENOSYS, unless its default action lets calls pass. A profile
//! that names no call of an architecture, or only the one with number 0, says nothing about its age there.

use super::action::{BAD_ARCH, ENOSYS};
use super::arch::{Arch, X32_BIT};

/// The answer from a number up to the next entry's.
pub(super) type Ground = Vec<(u32, u32)>;

/// What lies under the rules of all conventions that share an audit value. `newest` holds them, each with the greatest
/// number that the profile names; `stub`: whether newer numbers answer ENOSYS.
pub(super) fn ground(newest: &[(Arch, Option<u32>)], default: u32, stub: bool) -> Ground {
    let newest_of = |arch: Arch| newest.iter().find(|(other, _)| *other == arch).map(|(_, newest)| *newest);
    // The first number that is too new, if there is one.
    let too_new = |arch: Arch| match newest_of(arch).flatten() {
        Some(newest) if stub && newest != 0 => newest.checked_add(1),
        _ => None,
    };
    let mut ground = vec![(0, default)];
    let Some(x86_64) = newest_of(Arch::X86_64).map(|_| too_new(Arch::X86_64)) else {
        ground.extend(newest.iter().filter_map(|(arch, _)| too_new(*arch)).map(|number| (number, ENOSYS)));
        return ground;
    };
    // On x86_64 bit 30 tells x32 calls; every other bit is part of the number.
    let covered = newest_of(Arch::X32).is_some();
    let x32 = too_new(Arch::X32);
    let foreign = if covered { default } else { BAD_ARCH };
    let beyond = |too_new: Option<u32>| if too_new.is_some() { ENOSYS } else { foreign };
    ground.extend(x86_64.map(|number| (number, ENOSYS)));
    ground.push((X32_BIT, foreign));
    ground.extend(x32.map(|number| (number, ENOSYS)));
    ground.push((2 * X32_BIT, beyond(x86_64)));
    ground.push((3 * X32_BIT, beyond(x32)));
    if !covered {
        // The number by which a tracer skips a call is not a foreign one (seccomp(2), SECCOMP_RET_TRACE).
        ground.push((u32::MAX, default));
    }
    ground
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERRNO: u32 = libc::SECCOMP_RET_ERRNO | 1;

    fn at(ground: &Ground, number: u32) -> u32 {
        assert!(ground.is_sorted_by_key(|(first, _)| *first), "{ground:x?}");
        ground.iter().rev().find(|(first, _)| *first <= number).unwrap().1
    }

    #[test]
    fn newer_than_the_profile_is_enosys() {
        for arch in [Arch::X86, Arch::Aarch64, Arch::Arm, Arch::Riscv64] {
            let ground = ground(&[(arch, Some(400))], ERRNO, true);
            for (number, answer) in [(0, ERRNO), (400, ERRNO), (401, ENOSYS), (u32::MAX, ENOSYS)] {
                assert_eq!(at(&ground, number), answer, "{arch:?} {number}");
            }
        }
    }

    #[test]
    fn x86_64_alone_does_not_cover_x32() {
        let ground = ground(&[(Arch::X86_64, Some(400))], ERRNO, true);
        for (number, answer) in [
            (400, ERRNO),
            (401, ENOSYS),
            (0x3fff_ffff, ENOSYS),
            (0x4000_0000, BAD_ARCH),
            (0x7fff_ffff, BAD_ARCH),
            (0x8000_0000, ENOSYS),
            (0xc000_0000, BAD_ARCH),
            (0xffff_fffe, BAD_ARCH),
            (0xffff_ffff, ERRNO),
        ] {
            assert_eq!(at(&ground, number), answer, "{number:#x}");
        }
    }

    #[test]
    fn x86_64_and_x32_have_an_end_each() {
        let ground = ground(&[(Arch::X86_64, Some(400)), (Arch::X32, Some(X32_BIT + 547))], ERRNO, true);
        for (number, answer) in [
            (400, ERRNO),
            (401, ENOSYS),
            (0x4000_0000, ERRNO),
            (0x4000_0223, ERRNO),
            (0x4000_0224, ENOSYS),
            (0x8000_0000, ENOSYS),
            (0xffff_ffff, ENOSYS),
        ] {
            assert_eq!(at(&ground, number), answer, "{number:#x}");
        }
    }

    #[test]
    fn a_profile_without_age_or_with_an_open_default_has_no_stub() {
        for (newest, stub) in [(None, true), (Some(0), true), (Some(400), false)] {
            let ground = ground(&[(Arch::X86, newest)], ERRNO, stub);
            assert_eq!(ground, [(0, ERRNO)], "{newest:?} {stub}");
        }
        let open = ground(&[(Arch::X86_64, Some(400))], ERRNO, false);
        for (number, answer) in [(0x3fff_ffff, ERRNO), (0x8000_0000, BAD_ARCH), (0xffff_ffff, ERRNO)] {
            assert_eq!(at(&open, number), answer, "{number:#x}");
        }
    }
}
