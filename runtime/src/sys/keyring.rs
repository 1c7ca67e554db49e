//! keyctl(2): the session keyring of the calling process.

use std::ffi::CString;

use nix::errno::Errno;

use super::check;

const GET_KEYRING_ID: libc::c_int = 0;
const JOIN_SESSION_KEYRING: libc::c_int = 1;
const SETPERM: libc::c_int = 5;
const DESCRIBE: libc::c_int = 6;

/// KEY_SPEC_SESSION_KEYRING: the caller's, whichever it is.
const SESSION_KEYRING: libc::c_long = -3;

/// A key's serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(libc::c_long);

/// Joins the session keyring of that name, made if there is none (`KEYCTL_JOIN_SESSION_KEYRING`).
pub fn join_session(name: &str) -> nix::Result<Key> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `name` is a valid C string for the duration of the call.
    let key = check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) })?;
    // The kernel answers 0 when it is the caller's session keyring already.
    Ok(Key(if key == 0 { SESSION_KEYRING } else { key }))
}

impl Key {
    /// Whether it is the key that `other` names; the caller's own, which has no number here, may be any.
    pub fn is(self, other: Self) -> bool {
        self == other || self.0 == SESSION_KEYRING
    }
}

/// The caller's session keyring (`KEYCTL_GET_KEYRING_ID`).
pub fn session() -> nix::Result<Key> {
    // SAFETY: no pointers.
    Ok(Key(check(unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION_KEYRING, 0) })?))
}

/// `type;uid;gid;permissions;description` (`KEYCTL_DESCRIBE`).
pub fn describe(key: Key) -> nix::Result<String> {
    let mut text = vec![0_u8; 4096];
    // SAFETY: the pointer is valid for as many bytes as the length says.
    let length =
        check(unsafe { libc::syscall(libc::SYS_keyctl, DESCRIBE, key.0, text.as_mut_ptr(), text.len()) })?;
    // The length counts the NUL, and can be more than what fitted.
    let length = usize::try_from(length).map_err(|_| Errno::EOVERFLOW)?.saturating_sub(1);
    text.truncate(length);
    String::from_utf8(text).map_err(|_| Errno::EILSEQ)
}

/// `KEYCTL_SETPERM`; the bits are those of keyctl_setperm(3).
pub fn set_permissions(key: Key, permissions: u32) -> nix::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, key.0, permissions) })?;
    Ok(())
}
