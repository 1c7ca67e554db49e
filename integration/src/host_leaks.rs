//! What a test left on the host: mounts, cgroups, processes, keys. It must never touch what doesn't bear the test's name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::host::eventually;
use crate::host_process;

/// How long the kernel and dying processes get to let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything on the host that bears `name`, after waiting for what dies by itself; each a readable line.
pub fn left_behind(name: &str) -> Vec<String> {
    let mut left = Vec::new();
    eventually(PATIENCE, || {
        host_process::reap_orphans();
        left = now(name);
        left.is_empty().then_some(())
    });
    left
}

fn now(name: &str) -> Vec<String> {
    let mut left: Vec<String> =
        mounts().into_iter().filter(|line| line.contains(name)).map(|m| format!("mount {m}")).collect();
    left.extend(cgroups(name).into_iter().map(|path| format!("cgroup {path}")));
    left.extend(processes(name));
    left.extend(keys().into_iter().filter(|line| line.contains(name)).map(|key| format!("key {key}")));
    left
}

/// Unmounts what is mounted on paths that bear `name`, kills what runs in cgroups that do, and removes them: after a failed test the host is as before.
pub fn clear(name: &str) {
    for line in mounts().iter().rev() {
        if let Some(point) = line.split(' ').nth(4).filter(|point| point.contains(name)) {
            let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
        }
    }
    eventually(PATIENCE, || {
        let mut directories = cgroups(name);
        for directory in &directories {
            for pid in fs::read_to_string(format!("{directory}/cgroup.procs")).unwrap_or_default().lines() {
                if let Ok(pid @ 2..) = pid.parse() {
                    host_process::send(pid, libc::SIGKILL);
                }
            }
            // A frozen process does not die.
            let _ = fs::write(format!("{directory}/freezer.state"), "THAWED");
        }
        host_process::reap_orphans();
        // The deepest first.
        directories.sort_by_key(|directory| std::cmp::Reverse(directory.len()));
        directories.retain(|directory| fs::remove_dir(directory).is_err());
        directories.is_empty().then_some(())
    });
}

/// The lines of the host's mount table.
pub fn mounts() -> BTreeSet<String> {
    // Read by one call each 4 KiB: a table that changes meanwhile may show a line twice or torn, so read until two agree.
    let read = || fs::read_to_string("/proc/self/mountinfo").expect("read /proc/self/mountinfo");
    let mut text = read();
    loop {
        let again = read();
        if again == text {
            return text.lines().map(str::to_owned).collect();
        }
        text = again;
    }
}

/// Cgroup directories of any hierarchy, at any depth, whose path contains `name`.
pub fn cgroups(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in mounts() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        if let ("cgroup" | "cgroup2", Some(mount)) =
            (right.split(' ').next().unwrap_or(""), left.split(' ').nth(4))
        {
            search(Path::new(mount), name, &mut found);
        }
    }
    found
}

fn search(directory: &Path, name: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path().display().to_string();
            if path.contains(name) {
                found.push(path);
            }
            search(&entry.path(), name, found);
        }
    }
}

/// Processes whose command line, root, working directory or cgroup bears `name`.
fn processes(name: &str) -> Vec<String> {
    let us = i32::try_from(std::process::id()).expect("invariant: a pid is an i32");
    let mut found = Vec::new();
    for pid in host_process::pids() {
        let text = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let link = |file: &str| fs::read_link(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let command = String::from_utf8_lossy(&text("cmdline")).replace('\0', " ");
        let marks = [
            command.clone(),
            String::from_utf8_lossy(&text("cgroup")).into_owned(),
            link("root").display().to_string(),
            link("cwd").display().to_string(),
        ];
        if pid != us && marks.iter().any(|mark| mark.contains(name)) {
            let state = host_process::state_and_parent(pid);
            found.push(format!("process {pid} (state, parent: {state:?}) {command}"));
        }
    }
    found
}

/// The keys that this process may see.
pub fn keys() -> BTreeSet<String> {
    fs::read_to_string("/proc/keys").unwrap_or_default().lines().map(str::to_owned).collect()
}
