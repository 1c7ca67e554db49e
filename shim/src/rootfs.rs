//! The mounts that containerd asks for under the bundle's rootfs: made before create, taken away after delete. These
//! are the only mounts that are made in the host's mount namespace, and only below that directory.

use std::path::Path;

use containerd_shim_protos::types::mount::Mount;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use pinnace::error::{Error, OrFail, Result};
use pinnace::sys::mount::{
    attach, fs_message, fsconfig_create, fsconfig_flag, fsconfig_string, fsmount, fsopen,
};

/// What one page holds, beside its end: more options go one by one (man 2 mount, "data").
const PAGE: usize = 4095;

/// Flags by their names; `false` takes the flag away.
const FLAGS: [(&str, MsFlags, bool); 22] = [
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("nodev", MsFlags::MS_NODEV, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("remount", MsFlags::MS_REMOUNT, true),
    ("mand", MsFlags::MS_MANDLOCK, true),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("atime", MsFlags::MS_NOATIME, false),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("norelatime", MsFlags::MS_RELATIME, false),
    ("strictatime", MsFlags::MS_STRICTATIME, true),
    ("bind", MsFlags::MS_BIND, true),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
    ("defaults", MsFlags::empty(), true),
];

/// Makes all mounts, or none.
pub(crate) fn mount_all(mounts: &[Mount], rootfs: &Path) -> Result<()> {
    for entry in mounts {
        let target = rootfs.join(entry.target.trim_start_matches('/'));
        if let Err(error) = mount_one(entry, &target) {
            unmount(rootfs);
            return Err(error);
        }
    }
    Ok(())
}

/// Takes away everything that is mounted on the directory. What is not mounted is no error.
pub(crate) fn unmount(rootfs: &Path) {
    loop {
        match umount2(rootfs, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::EINVAL | Errno::ENOENT) => return,
            Err(errno) => {
                return log::warn!(
                    "{}",
                    Error::os("umount2", errno, format!("unmount {}", rootfs.display()))
                );
            }
        }
    }
}

fn mount_one(entry: &Mount, target: &Path) -> Result<()> {
    let what = || format!("mount {} on {} as {}", entry.source, target.display(), entry.type_);
    let (flags, data) = split(&entry.options);
    if data.iter().map(|word| word.len() + 1).sum::<usize>() > PAGE {
        return mount_long(entry, flags, &data, target);
    }
    let text = data.join(",");
    let bind = flags.contains(MsFlags::MS_BIND);
    let kind = (!bind).then_some(entry.type_.as_str());
    let first = if bind { flags & (MsFlags::MS_BIND | MsFlags::MS_REC) } else { flags };
    mount(Some(entry.source.as_str()), target, kind, first, Some(text.as_str())).or_fail("mount", what)?;
    // A bind takes attributes only in a second call (man 2 mount, NOTES).
    if bind && flags != first {
        let again = flags.difference(MsFlags::MS_REC) | MsFlags::MS_REMOUNT;
        mount(None::<&str>, target, None::<&str>, again, None::<&str>).or_fail("mount", what)?;
    }
    Ok(())
}

/// An overlay of more layers than a page of options holds: each layer is an option of its own (kernel 6.5).
fn mount_long(entry: &Mount, flags: MsFlags, data: &[&str], target: &Path) -> Result<()> {
    let what = || format!("mount {} on {} as {}", entry.source, target.display(), entry.type_);
    let fs = fsopen(&entry.type_).or_fail("fsopen", what)?;
    let say = |error: Error| match fs_message(&fs) {
        Some(message) => error.hint(message),
        None => error,
    };
    let set =
        |key: &str, value: &str| fsconfig_string(&fs, key, value).or_fail("fsconfig", what).map_err(say);
    if !entry.source.is_empty() {
        set("source", &entry.source)?;
    }
    for word in data {
        match word.split_once('=') {
            Some(("lowerdir", layers)) => layers.split(':').try_for_each(|layer| set("lowerdir+", layer))?,
            Some((key, value)) => set(key, value)?,
            None => fsconfig_flag(&fs, word).or_fail("fsconfig", what).map_err(say)?,
        }
    }
    if flags.contains(MsFlags::MS_RDONLY) {
        fsconfig_flag(&fs, "ro").or_fail("fsconfig", what)?;
    }
    fsconfig_create(&fs).or_fail("fsconfig", what).map_err(say)?;
    let made = fsmount(&fs, 0).or_fail("fsmount", what)?;
    let target = nix::fcntl::open(
        target,
        nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )
    .or_fail("open", what)?;
    attach(made, target).or_fail("move_mount", what)
}

fn split(options: &[String]) -> (MsFlags, Vec<&str>) {
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    for option in options {
        match FLAGS.iter().find(|(name, ..)| name == option) {
            Some((_, flag, true)) => flags |= *flag,
            Some((_, flag, false)) => flags &= !*flag,
            // For userspace alone.
            None if option == "loop" || option.starts_with("x-") || option.starts_with("X-") => {}
            None => data.push(option.as_str()),
        }
    }
    (flags, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_data() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let options = words("ro workdir=/w lowerdir=/a:/b rw nosuid x-gvfs-hide index=off");
        let (flags, data) = split(&options);
        assert_eq!(flags, MsFlags::MS_NOSUID);
        assert_eq!(data, ["workdir=/w", "lowerdir=/a:/b", "index=off"]);
        assert_eq!(split(&words("rbind ro")).0, MsFlags::MS_BIND | MsFlags::MS_REC | MsFlags::MS_RDONLY);
    }
}
