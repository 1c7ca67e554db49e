//! What tests ask of the host: waiting, skipping, privileges, cgroup hierarchies. It must never change the host.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest that anything may take on a machine where much else runs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Polls `question` until it answers; `None` after `limit`.
pub fn eventually<T>(limit: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if begin.elapsed() > limit {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Notes that this test can't say anything on this host, and why: printed, and appended with the test's name to the
/// file that `PINNACE_SKIPS` names. The caller returns.
#[track_caller]
pub fn skip(reason: &str) {
    println!("skip: {reason}");
    let Some(path) = std::env::var_os("PINNACE_SKIPS") else { return };
    let place = std::panic::Location::caller();
    let thread = std::thread::current();
    // libtest names a test's thread after it, except with one thread.
    let name =
        thread.name().filter(|name| *name != "main").map_or_else(|| place.to_string(), ToOwned::to_owned);
    let line = format!("{name}\t{reason}\n");
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|e| panic!("note a skip in {}: {e}", path.display()));
}

/// The directory of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("invariant: the crate is a member of the workspace")
}

/// Where the cgroup hierarchy of a v1 controller (`memory`, `name=systemd`) or, with "", of v2 is mounted.
pub fn cgroup_mount(controller: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let found = match right.next()? {
            "cgroup2" => controller.is_empty(),
            "cgroup" => right.nth(1)?.split(',').any(|option| option == controller),
            _ => false,
        };
        found.then(|| left.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

/// Where a container is limited by a controller: the mount of its v1 hierarchy, or that of v2 where it is offered.
pub fn controller_mount(controller: &str) -> Option<PathBuf> {
    cgroup_mount(controller).or_else(|| {
        let unified = cgroup_mount("")?;
        let offered = fs::read_to_string(unified.join("cgroup.controllers")).ok()?;
        // v2 needs no controller for these two.
        let always = ["devices", "freezer"].contains(&controller);
        (always || offered.split_whitespace().any(|name| name == controller)).then_some(unified)
    })
}

/// What a file of a container's cgroup says, by its name in v1 or in v2; `None` where the host has no such controller,
/// which is noted as a skip.
#[track_caller]
pub fn cgroup_file(id: &str, controller: &str, v1: &str, v2: &str) -> Option<String> {
    let Some(mount) = controller_mount(controller) else {
        skip(&format!("no cgroup controller {controller}"));
        return None;
    };
    let file = if cgroup_mount(controller).is_some() { v1 } else { v2 };
    let path = mount.join(id).join(file);
    Some(fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned())
}

/// True if this process has the capability of that number in its effective set.
pub fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    u64::from_str_radix(set.trim(), 16).unwrap_or(0) & (1 << number) != 0
}

/// Inode numbers of a process's namespaces, by the names of /proc/PID/ns.
pub fn namespace(pid: i32, name: &str) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(format!("/proc/{pid}/ns/{name}")).ok().map(|meta| meta.ino())
}
