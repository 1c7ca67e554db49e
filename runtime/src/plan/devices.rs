//! The device nodes of a container: the default ones and config.json's. Pure.

use std::path::PathBuf;

use super::mounts::clean;
use crate::error::{Error, Result};
use crate::spec::oci::{LinuxDevice, LinuxDeviceType};

/// A node to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Where, below the root, cleaned.
    pub path: PathBuf,
    /// S_IFCHR, S_IFBLK or S_IFIFO.
    pub typ: libc::mode_t,
    /// Major and minor number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: libc::mode_t,
    /// Owner inside the container.
    pub uid: u32,
    /// Group inside the container.
    pub gid: u32,
}

/// Name, major, minor of the devices that every container has (runtime-spec, config-linux.md#default-devices).
const DEFAULT: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Links that every /dev has: name, target.
pub const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// config.json's devices, and those default ones that it does not itself describe.
pub fn decide(devices: &[LinuxDevice]) -> Result<Vec<Device>> {
    let mut all: Vec<Device> = DEFAULT
        .iter()
        .map(|&(name, major, minor)| Device {
            path: PathBuf::from("dev").join(name),
            typ: libc::S_IFCHR,
            major,
            minor,
            mode: 0o666,
            uid: 0,
            gid: 0,
        })
        .collect();
    for device in devices {
        let decided = one(device)?;
        all.retain(|d| d.path != decided.path);
        all.push(decided);
    }
    Ok(all)
}

fn one(device: &LinuxDevice) -> Result<Device> {
    let path = clean(device.path());
    if path.as_os_str().is_empty() {
        return Err(Error::invalid("device: has no path").hint("set linux.devices[].path in config.json"));
    }
    if device.typ() == LinuxDeviceType::P && (device.major(), device.minor()) != (0, 0) {
        return Err(Error::invalid(format!("device {}: a fifo has no numbers", device.path().display()))
            .hint("leave major and minor out, or 0"));
    }
    let number = |value: i64, what: &str| {
        u32::try_from(value).map_err(|_| {
            Error::invalid(format!(
                "device {}: {what} number {value} is out of range",
                device.path().display()
            ))
        })
    };
    let typ = match device.typ() {
        LinuxDeviceType::B => libc::S_IFBLK,
        LinuxDeviceType::C | LinuxDeviceType::U => libc::S_IFCHR,
        LinuxDeviceType::P => libc::S_IFIFO,
        LinuxDeviceType::A => {
            return Err(Error::invalid(format!(
                "device {}: type a names no device",
                device.path().display()
            ))
            .hint("use b, c, u or p in linux.devices[].type"));
        }
    };
    Ok(Device {
        path,
        typ,
        major: number(device.major(), "major")?,
        minor: number(device.minor(), "minor")?,
        // Only the permission bits count (runtime-spec 1.3).
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_described_default_is_made_once() {
        let list: Vec<LinuxDevice> = serde_json::from_str(
            r#"[{"path":"/dev/null","type":"c","major":1,"minor":3,"fileMode":33188,"uid":7}]"#,
        )
        .unwrap();
        let all = decide(&list).unwrap();
        let null: Vec<_> = all.iter().filter(|d| d.path.ends_with("null")).collect();
        assert_eq!(null.len(), 1);
        assert_eq!((null[0].mode, null[0].uid), (0o644, 7));
        assert_eq!(all.len(), 6);
    }
}
