//! AppArmor profile and SELinux labels of the process. They are written through a procfs of our own
//! (init/procfs.rs): a write that lands anywhere else would be a container without its confinement (CVE-2019-16884).

use std::fs;
use std::path::Path;

use nix::errno::Errno;

use super::procfs::Proc;
use crate::error::{Error, Kind, Result};

/// Refuses a profile or a label that this kernel can't enforce. For the parent, before anything is done: in the
/// container /sys is the container's.
pub fn supported(apparmor_profile: Option<&str>, selinux_labels: [Option<&str>; 2]) -> Result<()> {
    if asked(apparmor_profile) && !apparmor_enabled() {
        return Err(Error::new(Kind::Invalid, "apparmor: config provided but apparmor not supported")
            .hint("remove process.apparmorProfile or boot with AppArmor (apparmor=1 security=apparmor)"));
    }
    if selinux_labels.into_iter().any(asked) && !selinux_enabled() {
        return Err(Error::new(
            Kind::Invalid,
            "selinux label is specified in config, but selinux is disabled or not supported",
        )
        .hint("remove process.selinuxLabel and linux.mountLabel or boot with SELinux"));
    }
    Ok(())
}

fn asked(label: Option<&str>) -> bool {
    label.is_some_and(|label| !label.is_empty())
}

/// Whether this kernel enforces AppArmor profiles. securityfs is no sign: podman unmounts all below /sys/kernel for the
/// runtime of a container that has id mappings.
pub fn apparmor_enabled() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether this kernel enforces SELinux labels.
pub fn selinux_enabled() -> bool {
    Path::new("/sys/fs/selinux/status").exists()
}

/// The next exec changes to this AppArmor profile. Empty: no change.
pub fn apparmor(proc: &Proc, profile: &str) -> Result<()> {
    if profile.is_empty() {
        return Ok(());
    }
    let word = format!("exec {profile}");
    // attr/apparmor came with LSM stacking (kernel 5.8); attr/exec belongs to whichever module is first.
    let written = match proc.write_own("attr/apparmor/exec", &word) {
        Err(Errno::ENOENT) if proc.read_own("attr/apparmor/current").is_err() => {
            proc.write_own("attr/exec", &word)
        }
        other => other,
    };
    written.map_err(|errno| {
        let what = format!("unable to apply apparmor profile: apparmor failed to apply profile {profile:?}");
        match errno {
            Errno::ENOENT => Error::os("write", errno, what).hint("load it with apparmor_parser"),
            _ => Error::os("write", errno, what),
        }
    })
}

/// The next exec changes to this SELinux label. Empty: no change.
pub fn selinux_exec(proc: &Proc, label: &str) -> Result<()> {
    selinux(proc, "attr/exec", "can't set process label", label)
}

/// Keys made from now on, such as the session keyring, get this SELinux label. Empty: the default again.
pub fn selinux_key(proc: &Proc, label: &str) -> Result<()> {
    selinux(proc, "attr/keycreate", "can't set key label", label)
}

fn selinux(proc: &Proc, file: &str, what: &str, label: &str) -> Result<()> {
    if label.is_empty() {
        return Ok(());
    }
    proc.write_own(file, label).map_err(|errno| {
        let error = Error::os("write", errno, format!("{what} {label:?}"));
        if errno == Errno::EINVAL { error.hint("the loaded SELinux policy does not know it") } else { error }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_cannot_be_enforced_is_refused() {
        supported(None, [None, None]).unwrap();
        supported(Some(""), [Some(""), None]).unwrap();
        let refused = |profile, label| supported(profile, [None, label]).map_err(|e| e.to_string());
        if apparmor_enabled() {
            refused(Some("x"), None).unwrap();
        } else {
            assert!(refused(Some("x"), None).unwrap_err().starts_with("apparmor: config provided but"));
        }
        if selinux_enabled() {
            refused(None, Some("x")).unwrap();
        } else {
            assert!(refused(None, Some("x")).unwrap_err().starts_with("selinux label is specified"));
        }
    }
}
