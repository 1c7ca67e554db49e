//! Credentials of the calling thread: ids, groups, capabilities, no_new_privs. Raw system calls, because a C
//! library's set*id wrappers act on every thread through signals, which a forked child neither has nor wants.

use nix::errno::Errno;

use super::check;
use super::process::prctl;

/// The three sets of capget(2), a bit for each capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// What the kernel checks.
    pub effective: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What is kept over an exec of a file with inheritable file capabilities.
    pub inheritable: u64,
}

/// `struct __user_cap_header_struct`, version 3 (linux/capability.h).
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

impl Header {
    const OWN: Self = Self { version: 0x2008_0522, pid: 0 };
}

/// `struct __user_cap_data_struct`; version 3 takes two: the low and the high words.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn words(bits: u64) -> [u32; 2] {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = bits.to_le_bytes();
    [u32::from_le_bytes([b0, b1, b2, b3]), u32::from_le_bytes([b4, b5, b6, b7])]
}

fn bits(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// capget(2) of this thread.
pub fn caps() -> nix::Result<Caps> {
    let mut header = Header::OWN;
    let mut data = [Data::default(); 2];
    // SAFETY: both point to structures of the layout that version 3 asks for, valid during the call.
    check(unsafe {
        libc::syscall(libc::SYS_capget, std::ptr::from_mut(&mut header), std::ptr::from_mut(&mut data))
    })?;
    let [low, high] = data;
    Ok(Caps {
        effective: bits(low.effective, high.effective),
        permitted: bits(low.permitted, high.permitted),
        inheritable: bits(low.inheritable, high.inheritable),
    })
}

/// capset(2) of this thread: the three sets at once.
pub fn set_caps(caps: Caps) -> nix::Result<()> {
    let header = Header::OWN;
    let [effective, permitted, inheritable] = [caps.effective, caps.permitted, caps.inheritable].map(words);
    let data = [0, 1].map(|i| Data {
        effective: effective[i],
        permitted: permitted[i],
        inheritable: inheritable[i],
    });
    // SAFETY: both point to structures of the layout that version 3 asks for, valid during the call.
    check(unsafe {
        libc::syscall(libc::SYS_capset, std::ptr::from_ref(&header), std::ptr::from_ref(&data))
    })?;
    Ok(())
}

/// `PR_CAPBSET_READ`: whether capability number `cap` is in the bounding set; EINVAL if the kernel has no such one.
pub fn bounding_has(cap: u8) -> nix::Result<bool> {
    Ok(prctl(libc::PR_CAPBSET_READ, cap.into(), 0, 0, 0)? == 1)
}

/// `PR_CAPBSET_DROP`. EPERM without CAP_SETPCAP.
pub fn bounding_drop(cap: u8) -> nix::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, cap.into(), 0, 0, 0).map(drop)
}

fn ambient(operation: libc::c_int, cap: u8) -> nix::Result<i32> {
    prctl(libc::PR_CAP_AMBIENT, operation.unsigned_abs().into(), cap.into(), 0, 0)
}

/// `PR_CAP_AMBIENT_IS_SET`.
pub fn ambient_has(cap: u8) -> nix::Result<bool> {
    Ok(ambient(libc::PR_CAP_AMBIENT_IS_SET, cap)? == 1)
}

/// `PR_CAP_AMBIENT_RAISE`. EPERM unless the capability is both permitted and inheritable.
pub fn ambient_raise(cap: u8) -> nix::Result<()> {
    ambient(libc::PR_CAP_AMBIENT_RAISE, cap).map(drop)
}

/// `PR_CAP_AMBIENT_CLEAR_ALL`.
pub fn ambient_clear() -> nix::Result<()> {
    ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0).map(drop)
}

/// `PR_SET_KEEPCAPS`: whether the permitted set survives leaving user id 0.
pub fn keep_caps(keep: bool) -> nix::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0, 0, 0).map(drop)
}

/// `PR_SET_NO_NEW_PRIVS`.
pub fn set_no_new_privs() -> nix::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).map(drop)
}

/// `PR_GET_NO_NEW_PRIVS`.
pub fn no_new_privs() -> nix::Result<bool> {
    Ok(prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)? == 1)
}

/// setgroups(2): exactly these supplementary groups.
pub fn set_groups(groups: &[u32]) -> nix::Result<()> {
    // SAFETY: the pointer is valid for as many 32-bit ids as the first argument says.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    Ok(())
}

/// getgroups(2), in the kernel's order (ascending).
pub fn groups() -> nix::Result<Vec<u32>> {
    // SAFETY: with a size of 0 the kernel writes nothing.
    let count = check(unsafe { libc::syscall(libc::SYS_getgroups, 0, std::ptr::null_mut::<u32>()) })?;
    let count = usize::try_from(count).map_err(|_| Errno::EOVERFLOW)?;
    let mut groups = vec![0_u32; count];
    // SAFETY: the pointer is valid for as many 32-bit ids as the first argument says.
    let got = check(unsafe { libc::syscall(libc::SYS_getgroups, count, groups.as_mut_ptr()) })?;
    groups.truncate(usize::try_from(got).map_err(|_| Errno::EOVERFLOW)?);
    Ok(groups)
}

/// setresgid(2): real, effective and saved (and with them the file system's) group id. EINVAL: `gid` is not mapped
/// in this user namespace.
pub fn set_gid(gid: u32) -> nix::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    Ok(())
}

/// setresuid(2): real, effective and saved (and with them the file system's) user id. EINVAL: `uid` is not mapped
/// in this user namespace.
pub fn set_uid(uid: u32) -> nix::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    Ok(())
}

/// getresuid(2): real, effective, saved.
pub fn uids() -> nix::Result<[u32; 3]> {
    let mut ids = [0_u32; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: three valid pointers to 32-bit ids.
    check(unsafe {
        libc::syscall(
            libc::SYS_getresuid,
            std::ptr::from_mut(real),
            std::ptr::from_mut(effective),
            std::ptr::from_mut(saved),
        )
    })?;
    Ok(ids)
}

/// getresgid(2): real, effective, saved.
pub fn gids() -> nix::Result<[u32; 3]> {
    let mut ids = [0_u32; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: three valid pointers to 32-bit ids.
    check(unsafe {
        libc::syscall(
            libc::SYS_getresgid,
            std::ptr::from_mut(real),
            std::ptr::from_mut(effective),
            std::ptr::from_mut(saved),
        )
    })?;
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_words_are_low_then_high() {
        for set in [0, 1, 1 << 31, 1 << 32, (1 << 40) | 5, u64::MAX] {
            let [low, high] = words(set);
            assert_eq!(bits(low, high), set);
        }
        assert_eq!(words(1 << 32), [0, 1]);
    }

    /// What the kernel says of us through two different doors is the same.
    #[test]
    fn reads_agree_with_proc() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(':').unwrap().1.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let caps = caps().unwrap();
        assert_eq!(field("CapPrm"), [format!("{:016x}", caps.permitted)]);
        assert_eq!(field("CapEff"), [format!("{:016x}", caps.effective)]);
        assert_eq!(field("CapInh"), [format!("{:016x}", caps.inheritable)]);
        assert_eq!(field("Groups"), groups().unwrap().iter().map(u32::to_string).collect::<Vec<_>>());
        assert_eq!(field("Uid")[..3], uids().unwrap().map(|id| id.to_string()));
        assert_eq!(field("Gid")[..3], gids().unwrap().map(|id| id.to_string()));
    }
}
