//! The machine that was measured on, in one sentence for the table. Only what it says of itself.

use std::fs;
use std::process::Command;

use integration::host::cgroup_mount;

/// Processors, kernel, cgroup layout, load, day.
pub(crate) fn describe() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("of an unknown kind", |(_, name)| name.trim());
    let virtual_machine = if cpuinfo.contains(" hypervisor") { ", virtual machine" } else { "" };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let layout = match (cgroup_mount("memory"), cgroup_mount("")) {
        (Some(_), Some(_)) => "cgroup v1 and v2 (hybrid)",
        (Some(_), None) => "cgroup v1",
        _ => "cgroup v2",
    };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(1).unwrap_or("?");
    format!(
        "{}; {processors} processors {model}{virtual_machine}; Linux {}; {layout}; load {load}",
        today(),
        kernel.trim()
    )
}

fn today() -> String {
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
