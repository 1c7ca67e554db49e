//! The containers of the bench. Only what they are configured as.
//!
//! * `plain`: namespaces and the usual mounts, no limits, no masks, no filter.
//! * `full`: what Docker says: limits, device rules, capabilities, masked and read-only paths, its seccomp profile.
//! * `waiting`: `full` with a program that does not end.
//! * `beside`: `plain` in a cgroup of its own, for when one of the others is there.

use std::path::Path;

use integration::Bundle;
use integration::host::cgroup_mount;
use pinnace::seccomp;
use pinnace::spec::oci::LinuxSeccomp;
use serde_json::{Value, json};

use crate::Result;

const PROFILE: &str = include_str!("../data/docker-seccomp.json");

/// The bundles, in the directory of an ordinary one.
pub(crate) struct Bundles {
    bundle: Bundle,
    plain: Value,
    full: Value,
}

impl Bundles {
    pub(crate) fn make() -> Result<Self> {
        let bundle = Bundle::new();
        for file in ["hosts", "hostname", "resolv.conf"] {
            std::fs::write(bundle.rootfs().join("etc").join(file), "")?;
        }
        let plain = plain(&bundle);
        let full = full(&plain)?;
        let bundles = Self { bundle, plain, full };
        bundles.write("plain", &bundles.plain)?;
        bundles.write("full", &bundles.full)?;
        let mut beside = bundles.plain.clone();
        beside["linux"]["cgroupsPath"] = json!(format!("/{}", bundles.id("beside")));
        bundles.write("beside", &beside)?;
        let mut waiting = bundles.full.clone();
        waiting["process"]["args"] = json!(["/bin/sleep", "1000"]);
        bundles.write("waiting", &waiting)?;
        let profile: LinuxSeccomp = serde_json::from_str(PROFILE)?;
        let filter = seccomp::compile(&profile)?.ok_or("the profile filters nothing")?;
        let bytes: Vec<u8> = filter
            .program()
            .iter()
            .flat_map(|i| {
                let ([c0, c1], [k0, k1, k2, k3]) = (i.code.to_ne_bytes(), i.k.to_ne_bytes());
                [c0, c1, i.jt, i.jf, k0, k1, k2, k3]
            })
            .collect();
        std::fs::write(bundles.filter(), bytes)?;
        Ok(bundles)
    }

    /// Writes a bundle.
    pub(crate) fn write(&self, name: &str, config: &Value) -> Result<()> {
        let directory = self.bundle.make_beside(name);
        std::fs::write(directory.join("config.json"), config.to_string())?;
        Ok(())
    }

    /// `full` with something else in it, as a bundle of that name.
    pub(crate) fn vary(&self, name: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut config = self.full.clone();
        change(&mut config);
        self.write(name, &config)
    }

    /// `plain` with so many bind mounts more.
    pub(crate) fn with_mounts(&self, name: &str, count: u32) -> Result<()> {
        let source = self.bundle.make_beside("bound").display().to_string();
        let mut config = self.plain.clone();
        let mounts = config["mounts"].as_array_mut().ok_or("no mounts")?;
        mounts.extend((0..count).map(|number| {
            json!({"destination": format!("/mnt/{number}"), "type": "bind", "source": source,
                   "options": ["bind", "ro"]})
        }));
        self.write(name, &config)
    }

    /// A bundle's directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.bundle.beside(name).display().to_string()
    }

    /// Everything is below here.
    pub(crate) fn directory(&self) -> &Path {
        self.bundle.directory()
    }

    pub(crate) fn rootfs(&self) -> String {
        self.bundle.rootfs().display().to_string()
    }

    /// The id of a contender's container.
    pub(crate) fn id(&self, contender: &str) -> String {
        format!("{}{contender}", self.bundle.id())
    }

    /// The file with the profile of `full` as a program.
    pub(crate) fn filter(&self) -> String {
        self.bundle.beside("filter").display().to_string()
    }

    /// The cgroups of the containers, as the floor wants them.
    pub(crate) fn floor_cgroups(&self) -> Vec<String> {
        let names = [
            "cpuset",
            "devices",
            "memory",
            "cpu",
            "cpuacct",
            "pids",
            "blkio",
            "hugetlb",
            "net_cls",
            "net_prio",
            "perf_event",
            "freezer",
            "rdma",
            "name=systemd",
            "misc",
        ];
        let mut mounts: Vec<_> = names.iter().filter_map(|name| cgroup_mount(name)).collect();
        mounts.dedup();
        let id = self.bundle.id();
        let mut list: Vec<_> = mounts.iter().map(|mount| format!("1:{}/{id}", mount.display())).collect();
        list.extend(cgroup_mount("").map(|mount| format!("2:{}/{id}", mount.display())));
        list
    }
}

fn plain(bundle: &Bundle) -> Value {
    let mut config = bundle.config.clone();
    config["process"]["args"] = json!(["/bin/true"]);
    config["process"]["noNewPrivileges"] = json!(false);
    config["root"]["path"] = json!(bundle.rootfs());
    let linux = &mut config["linux"];
    linux["maskedPaths"] = json!([]);
    linux["readonlyPaths"] = json!([]);
    linux["namespaces"] =
        json!(["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind })));
    config
}

fn full(plain: &Value) -> Result<Value> {
    let mut config = plain.clone();
    let linux = &mut config["linux"];
    linux["maskedPaths"] = json!([
        "/proc/acpi",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap"
    ]);
    linux["readonlyPaths"] =
        json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
    linux["seccomp"] = serde_json::from_str(PROFILE)?;
    let device = |major: i64, minor: Option<i64>| {
        let mut rule = json!({"allow": true, "type": "c", "major": major, "access": "rwm"});
        if let Some(minor) = minor {
            rule["minor"] = json!(minor);
        }
        rule
    };
    let mut devices = vec![
        json!({"allow": false, "access": "rwm"}),
        json!({"allow": true, "type": "c", "access": "m"}),
        json!({"allow": true, "type": "b", "access": "m"}),
    ];
    devices.extend([3, 5, 7, 8, 9].map(|minor| device(1, Some(minor))));
    devices.extend([device(5, Some(0)), device(5, Some(2)), device(136, None)]);
    linux["resources"] = json!({
        "devices": devices,
        "memory": {"limit": 512 << 20, "reservation": 256 << 20},
        "cpu": {"shares": 512, "quota": 50_000, "period": 100_000},
        "pids": {"limit": 100}
    });
    let mounts = config["mounts"].as_array_mut().ok_or("no mounts")?;
    mounts.extend(["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].map(
        |path| json!({"destination": path, "type": "bind", "source": path, "options": ["rbind", "rprivate"]}),
    ));
    Ok(config)
}
