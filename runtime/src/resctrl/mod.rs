//! Intel RDT and its like on other machines: the container's group in the resctrl file system (kernel
//! Documentation/filesystems/resctrl.rst). It never mounts that file system: whoever runs the host has.

mod stats;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statfs::{FsType, statfs};

pub use stats::Stats;

use crate::error::{Error, OrFail, Result};
use crate::spec::IntelRdt;

/// Where it is mounted by convention; the kernel makes this directory if it knows the machine's features.
const ROOT: &str = "/sys/fs/resctrl";
/// `RDTGROUP_SUPER_MAGIC` (linux/magic.h).
const MAGIC: FsType = FsType(0x0765_5821);

/// The mounted file system.
#[derive(Clone, Debug)]
pub struct Resctrl {
    root: PathBuf,
}

/// A container's group: its class of service, and its own monitoring below that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The class's directory.
    pub path: PathBuf,
    /// The monitoring group's directory.
    pub monitoring: Option<PathBuf>,
    /// The class is to be made for this container alone, and goes with it.
    pub own: bool,
}

impl Resctrl {
    /// The host's; none where the machine or the kernel has no such thing, or nobody has mounted it.
    pub fn find() -> Option<Self> {
        let is_resctrl = statfs(ROOT).ok()?.filesystem_type() == MAGIC;
        if is_resctrl {
            return Some(Self { root: ROOT.into() });
        }
        // Only then is it worth a look at every mount of the host.
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let line = mounts.lines().find(|line| line.contains(" - resctrl "))?;
        line.split(' ').nth(4).map(|point| Self { root: point.into() })
    }

    /// The host's, for a container that asks for it.
    ///
    /// # Errors
    /// There is none, or it lacks what is asked for; in runc's words.
    pub fn demand(rdt: &IntelRdt) -> Result<Self> {
        let found = Self::find().ok_or_else(|| {
            Error::invalid("intelRdt is specified in config, but Intel RDT is not enabled")
                .hint("mount -t resctrl resctrl /sys/fs/resctrl, on a machine that has it")
        })?;
        found.check(rdt)?;
        Ok(found)
    }

    fn check(&self, rdt: &IntelRdt) -> Result<()> {
        let asks = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.is_empty());
        if asks(&rdt.l3_cache_schema) && !self.allocates_cache() {
            return Err(Error::invalid(
                "intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled",
            ));
        }
        if asks(&rdt.mem_bw_schema) && !self.allocates_bandwidth() {
            return Err(Error::invalid(
                "intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled",
            ));
        }
        Ok(())
    }

    /// Cache can be allocated (CAT).
    pub fn allocates_cache(&self) -> bool {
        self.root.join("info/L3").exists()
    }

    /// Memory bandwidth can be allocated (MBA).
    pub fn allocates_bandwidth(&self) -> bool {
        self.root.join("info/MB").exists()
    }

    /// Decides the group of container `id`; makes nothing.
    pub fn place(&self, rdt: &IntelRdt, id: &str) -> Group {
        let class = rdt.clos_id.as_deref().unwrap_or_default();
        let path = match class {
            "" => self.root.join(id),
            "/" => self.root.clone(),
            class => self.root.join(class),
        };
        let monitoring = rdt.enable_monitoring.then(|| path.join("mon_groups").join(id));
        let own = class.is_empty() && !path.exists();
        Group { path, monitoring, own }
    }

    /// Makes the group with its schemata. Nobody is in it yet.
    ///
    /// # Errors
    /// A class that was named alone is not there; what the kernel refused, with its own words.
    pub fn make(&self, group: &Group, rdt: &IntelRdt) -> Result<()> {
        let schemata = schemata(rdt);
        if schemata.is_empty()
            && rdt.clos_id.as_ref().is_some_and(|class| !class.is_empty())
            && !group.path.exists()
        {
            let text = "clos dir not accessible (must be pre-created when schemata, l3CacheSchema and memBwSchema are empty)";
            return Err(Error::os("stat", Errno::ENOENT, format!("{text}: {}", group.path.display())));
        }
        self.directory(&group.path)?;
        if !schemata.is_empty() {
            self.write(&group.path.join("schemata"), &schemata)?;
        }
        group.monitoring.as_ref().map_or(Ok(()), |path| self.directory(path))
    }

    /// New schemata for a group that is there.
    pub fn set(&self, group: &Path, rdt: &IntelRdt) -> Result<()> {
        match schemata(rdt) {
            schemata if schemata.is_empty() => Ok(()),
            schemata => self.write(&group.join("schemata"), &schemata),
        }
    }

    fn directory(&self, path: &Path) -> Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(error).or_fail("mkdir", || format!("make the resctrl group {}", path.display()))
            }
            _ => Ok(()),
        }
        .map_err(|error| self.explained(error))
    }

    fn write(&self, path: &Path, text: &str) -> Result<()> {
        fs::write(path, text)
            .or_fail("write", || format!("intelrdt: unable to write {text:?} to {}", path.display()))
            .map_err(|error| self.explained(error))
    }

    /// The error with what the kernel has to say about it.
    fn explained(&self, error: Error) -> Error {
        match fs::read_to_string(self.root.join("info/last_cmd_status")) {
            Ok(status) => error.hint(format!("last_cmd_status: {}", status.trim_end())),
            Err(_) => error,
        }
    }
}

/// The lines that go to `schemata`, in runc's order.
fn schemata(rdt: &IntelRdt) -> String {
    let lines = [&rdt.l3_cache_schema, &rdt.mem_bw_schema].into_iter().flatten().chain(&rdt.schemata);
    lines.filter(|line| !line.is_empty()).flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// The doors into a group, which a process opens for itself by writing `0`: the class's first, since moving to another
/// class leaves a monitoring group.
pub fn doors(class: Option<&Path>, monitoring: Option<&Path>) -> Result<Vec<OwnedFd>> {
    let mut doors = Vec::new();
    for path in [class, monitoring].into_iter().flatten() {
        let path = path.join("tasks");
        let file = fs::OpenOptions::new().write(true).open(&path);
        doors.push(
            file.or_fail("open", || format!("error adding pid to Intel RDT: open {}", path.display()))?
                .into(),
        );
    }
    Ok(doors)
}

/// Removes a group that was made for a container; its processes, if any, fall back to the one above. One that is gone is
/// fine.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).or_fail("rmdir", || format!("remove the resctrl group {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "resctrl_test.rs"]
mod tests;
