//! Where the process is: namespaces, mounts, devices, cgroups, names, network. Read from procfs; what is not there
//! is `null`.

use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::see;

/// Adds everything of this file to the document.
pub(crate) fn add(seen: &mut Map<String, Value>) {
    seen.insert("namespaces".into(), namespaces());
    seen.insert("mounts".into(), mounts());
    seen.insert("dev".into(), devices());
    seen.insert("cgroups".into(), cgroups());
    seen.insert("interfaces".into(), interfaces());
    let (hostname, domainname) = names();
    seen.insert("hostname".into(), json!(hostname));
    seen.insert("domainname".into(), json!(domainname));
    for map in ["uid_map", "gid_map", "setgroups", "timens_offsets"] {
        let text = fs::read_to_string(format!("/proc/self/{map}")).ok();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        seen.insert(map.into(), json!(text.map(|t| t.lines().map(words).collect::<Vec<_>>())));
    }
    seen.insert(
        "exe".into(),
        json!(fs::read_link("/proc/self/exe").map(|p| p.to_string_lossy().into_owned()).ok()),
    );
    seen.insert("lsm_label".into(), json!(fs::read_to_string("/proc/self/attr/current").ok()));
}

fn namespaces() -> Value {
    let mut found = Map::new();
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
        let inode = fs::metadata(format!("/proc/self/ns/{name}")).map(|meta| meta.ino()).ok();
        found.insert(name.to_owned(), json!(inode));
    }
    Value::Object(found)
}

/// proc_pid_mountinfo(5), with the octal escapes undone.
fn mounts() -> Value {
    let Ok(text) = fs::read_to_string("/proc/self/mountinfo") else { return Value::Null };
    json!(text.lines().filter_map(mount).collect::<Vec<_>>())
}

fn mount(line: &str) -> Option<Value> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let right: Vec<&str> = right.splitn(3, ' ').collect();
    let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    Some(json!({
        "id": left.first()?, "parent": left.get(1)?, "device": left.get(2)?,
        "root": unescape(left.get(3)?), "point": unescape(left.get(4)?), "options": words(left.get(5)?),
        "propagation": left.get(6..)?, "type": right.first()?, "source": unescape(right.get(1)?),
        "super": words(right.get(2)?),
    }))
}

fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn devices() -> Value {
    let mut found = Map::new();
    for entry in fs::read_dir("/dev").into_iter().flatten().flatten() {
        let path = entry.path();
        let about = fs::symlink_metadata(&path)
            .map_or_else(|e| see::error(&e), |meta| see::stat(Path::new(&path), &meta));
        found.insert(entry.file_name().to_string_lossy().into_owned(), about);
    }
    Value::Object(found)
}

/// Controller (each of them, `name=…` for a named hierarchy, "" for v2) to path.
fn cgroups() -> Value {
    let Ok(text) = fs::read_to_string("/proc/self/cgroup") else { return Value::Null };
    let mut found = Map::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        for controller in controllers.split(',') {
            found.insert(controller.to_owned(), json!(path));
        }
    }
    Value::Object(found)
}

/// Network interfaces and whether they are up, asked of the kernel without a sysfs.
fn interfaces() -> Value {
    let mut found = Map::new();
    let mut list = std::ptr::null_mut();
    // SAFETY: getifaddrs writes a list that is freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Value::Null;
    }
    let mut item = list;
    // SAFETY: `item` walks the list that getifaddrs made until NULL.
    while let Some(interface) = unsafe { item.as_ref() } {
        // SAFETY: the name is a NUL-terminated string owned by the list.
        let name = unsafe { CStr::from_ptr(interface.ifa_name) }.to_string_lossy().into_owned();
        let up = interface.ifa_flags & libc::IFF_UP.unsigned_abs() != 0;
        found.insert(name, json!({"up": up}));
        item = interface.ifa_next;
    }
    // SAFETY: the list came from getifaddrs and is not used any more.
    unsafe { libc::freeifaddrs(list) };
    Value::Object(found)
}

fn names() -> (String, String) {
    // SAFETY: utsname is plain data, for which all zeroes is a value.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: uname fills one utsname with NUL-terminated strings.
    unsafe { libc::uname(&raw mut names) };
    // SAFETY: both are NUL-terminated within their arrays, by uname or by the zeroes.
    let (host, domain) =
        unsafe { (CStr::from_ptr(names.nodename.as_ptr()), CStr::from_ptr(names.domainname.as_ptr())) };
    (host.to_string_lossy().into_owned(), domain.to_string_lossy().into_owned())
}
