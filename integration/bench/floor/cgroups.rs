//! The cgroups of the floor: made, limited as the bench's configurations say, and entered. Only what has a number there.

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::Result;

/// Controller, file and value of what the bench's full configuration limits, in cgroup v1.
const V1: [(&str, &str, &str); 6] = [
    ("memory", "memory.limit_in_bytes", "536870912"),
    ("memory", "memory.soft_limit_in_bytes", "268435456"),
    ("cpu", "cpu.shares", "512"),
    ("cpu", "cpu.cfs_period_us", "100000"),
    ("cpu", "cpu.cfs_quota_us", "50000"),
    ("pids", "pids.max", "100"),
];

/// The same in cgroup v2.
const V2: [(&str, &str); 5] = [
    ("memory.max", "536870912"),
    ("memory.low", "268435456"),
    ("cpu.weight", "20"),
    ("cpu.max", "50000 100000"),
    ("pids.max", "100"),
];

/// What every container may open (runtime-spec, config-linux.md#default-devices).
const DEVICES: [&str; 10] = [
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
    "c *:* m",
    "b *:* m",
];

/// One directory.
pub(crate) struct Cgroup<'a> {
    /// It is in the unified hierarchy.
    pub(crate) unified: bool,
    pub(crate) path: &'a str,
}

impl<'a> Cgroup<'a> {
    pub(crate) fn parse(word: &'a str) -> Result<Self> {
        let (version, path) = word.split_once(':').ok_or("a cgroup without its version")?;
        Ok(Self { unified: version == "2", path })
    }

    /// Makes it; with limits if there are to be any.
    pub(crate) fn make(&self, limited: bool) -> Result<()> {
        std::fs::create_dir(self.path)?;
        let parent = Path::new(self.path).parent().ok_or("a cgroup without a parent")?;
        let controllers = parent.file_name().unwrap_or_default().to_string_lossy();
        if self.unified {
            for (file, value) in V2 {
                if limited && Path::new(self.path).join(file).exists() {
                    self.write(file, value)?;
                }
            }
            return Ok(());
        }
        for controller in controllers.split(',') {
            match controller {
                "cpuset" => {
                    for file in ["cpuset.cpus", "cpuset.mems"] {
                        self.write(file, std::fs::read_to_string(parent.join(file))?.trim())?;
                    }
                }
                "devices" => {
                    self.write("devices.deny", "a")?;
                    DEVICES.iter().try_for_each(|line| self.write("devices.allow", line))?;
                }
                _ if limited => {
                    for (_, file, value) in V1.iter().filter(|(name, ..)| *name == controller) {
                        self.write(file, value)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = Path::new(self.path).join(file);
        let file = OpenOptions::new().write(true).open(&path)?;
        nix::unistd::write(&file, value.as_bytes()).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(())
    }

    /// Where a process with one thread walks in by itself, without waiting for anybody.
    pub(crate) fn door(&self) -> Result<File> {
        Ok(OpenOptions::new().write(true).open(Path::new(self.path).join("tasks"))?)
    }
}
