//! The cgroup in state.json: runc's `cgroups.Cgroup`, place and limits. Only for readers of that file; the rules that
//! every container has beside config.json's are not repeated here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Each, State};
use crate::spec::{Resources, Spec, oci};

/// Where the container's cgroup is asked to be, and its limits.
pub(super) struct Cgroup<'a> {
    state: &'a State,
    path: Option<&'a str>,
    resources: Option<&'a Resources>,
}

impl<'a> Cgroup<'a> {
    pub(super) fn new(state: &'a State, spec: &'a Spec) -> Self {
        let linux = spec.linux.as_ref();
        Self {
            state,
            path: linux.and_then(|l| l.cgroups_path.as_deref()).filter(|path| !path.is_empty()),
            resources: linux.and_then(|l| l.resources.as_ref()),
        }
    }

    fn place<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if self.state.flags.systemd_cgroup {
            let mut parts = self.path.unwrap_or("").splitn(3, ':');
            let (slice, prefix, name) = (parts.next(), parts.next(), parts.next());
            some(map, "parent", slice.filter(|s| !s.is_empty()))?;
            some(map, "scope_prefix", prefix)?;
            map.serialize_entry("name", name.unwrap_or(self.state.id.as_str()))?;
            map.serialize_entry("Systemd", &true)?;
        } else if let Some(path) = self.path {
            map.serialize_entry("path", path)?;
        } else {
            map.serialize_entry("name", self.state.id.as_str())?;
        }
        if self.state.flags.rootless {
            map.serialize_entry("Rootless", &true)?;
        }
        Ok(())
    }
}

impl Serialize for Cgroup<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.place(&mut map)?;
        if let Some(resources) = self.resources {
            map.serialize_entry("devices", &Each(|| resources.devices.iter().map(Rule::new)))?;
            if let Some(memory) = &resources.memory {
                memory_entries(&mut map, memory)?;
            }
            if let Some(cpu) = &resources.cpu {
                cpu_entries(&mut map, cpu)?;
            }
            some(&mut map, "pids_limit", resources.pids.and_then(|pids| pids.limit))?;
            if let Some(block_io) = &resources.block_io {
                block_io_entries(&mut map, block_io)?;
            }
            other_entries(&mut map, resources)?;
        }
        map.end()
    }
}

/// Writes the entry if there is a value.
fn some<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, value: Option<T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

/// Writes the list if it has an item.
fn list<M, T, V, F>(map: &mut M, key: &str, items: &[T], view: F) -> Result<(), M::Error>
where
    M: SerializeMap,
    V: Serialize,
    F: Fn(&T) -> V,
{
    if items.is_empty() {
        return Ok(());
    }
    map.serialize_entry(key, &Each(|| items.iter().map(&view)))
}

fn memory_entries<M: SerializeMap>(map: &mut M, memory: &oci::LinuxMemory) -> Result<(), M::Error> {
    some(map, "memory", memory.limit())?;
    some(map, "memory_reservation", memory.reservation())?;
    some(map, "memory_swap", memory.swap())?;
    some(map, "oom_kill_disable", memory.disable_oom_killer())?;
    some(map, "memory_swappiness", memory.swappiness())?;
    some(map, "memory_check_before_update", memory.check_before_update())
}

fn cpu_entries<M: SerializeMap>(map: &mut M, cpu: &oci::LinuxCpu) -> Result<(), M::Error> {
    some(map, "cpu_shares", cpu.shares())?;
    some(map, "cpu_quota", cpu.quota())?;
    some(map, "cpu_burst", cpu.burst())?;
    some(map, "cpu_period", cpu.period())?;
    some(map, "cpu_rt_quota", cpu.realtime_runtime())?;
    some(map, "cpu_rt_period", cpu.realtime_period())?;
    some(map, "cpuset_cpus", cpu.cpus().as_ref())?;
    some(map, "cpuset_mems", cpu.mems().as_ref())?;
    some(map, "cpu_idle", cpu.idle())
}

fn block_io_entries<M: SerializeMap>(map: &mut M, block_io: &oci::LinuxBlockIo) -> Result<(), M::Error> {
    some(map, "blkio_weight", block_io.weight())?;
    some(map, "blkio_leaf_weight", block_io.leaf_weight())?;
    let weights = block_io.weight_device().as_deref().unwrap_or_default();
    list(map, "blkio_weight_device", weights, |device| WeightDevice {
        major: device.major(),
        minor: device.minor(),
        weight: device.weight().unwrap_or(0),
        leaf_weight: device.leaf_weight().unwrap_or(0),
    })?;
    for (key, devices) in [
        ("blkio_throttle_read_bps_device", block_io.throttle_read_bps_device()),
        ("blkio_throttle_write_bps_device", block_io.throttle_write_bps_device()),
        ("blkio_throttle_read_iops_device", block_io.throttle_read_iops_device()),
        ("blkio_throttle_write_iops_device", block_io.throttle_write_iops_device()),
    ] {
        list(map, key, devices.as_deref().unwrap_or_default(), |device| *device)?;
    }
    Ok(())
}

fn other_entries<M: SerializeMap>(map: &mut M, resources: &Resources) -> Result<(), M::Error> {
    list(map, "hugetlb_limit", &resources.hugepage_limits, |limit| HugepageLimit {
        page_size: limit.page_size.clone(),
        limit: limit.limit,
    })?;
    if let Some(network) = &resources.network {
        some(map, "net_cls_classid_u", network.class_id())?;
        let priorities = network.priorities().as_deref().unwrap_or_default();
        list(map, "net_prio_ifpriomap", priorities, |item| InterfacePriority {
            interface: item.name().clone(),
            priority: item.priority(),
        })?;
    }
    if !resources.rdma.is_empty() {
        let rdma: BTreeMap<_, _> = resources
            .rdma
            .iter()
            .map(|(device, limit)| {
                (device, Rdma { hca_handles: limit.hca_handles(), hca_objects: limit.hca_objects() })
            })
            .collect();
        map.serialize_entry("rdma", &rdma)?;
    }
    if !resources.unified.is_empty() {
        map.serialize_entry("unified", &resources.unified)?;
    }
    Ok(())
}

/// Go's `devices.Rule`: the type is the letter's number, -1 stands for all numbers.
#[derive(Serialize)]
pub(super) struct Rule<'a> {
    #[serde(rename = "type")]
    pub(super) typ: u32,
    pub(super) major: i64,
    pub(super) minor: i64,
    pub(super) permissions: Cow<'a, str>,
    pub(super) allow: bool,
}

impl<'a> Rule<'a> {
    fn new(rule: &'a oci::LinuxDeviceCgroup) -> Self {
        Self {
            typ: letter(rule.typ().unwrap_or_default()),
            major: rule.major().unwrap_or(-1),
            minor: rule.minor().unwrap_or(-1),
            permissions: rule.access().as_deref().unwrap_or("").into(),
            allow: rule.allow(),
        }
    }
}

pub(super) fn letter(typ: oci::LinuxDeviceType) -> u32 {
    u32::from(match typ {
        oci::LinuxDeviceType::A => b'a',
        oci::LinuxDeviceType::B => b'b',
        oci::LinuxDeviceType::C | oci::LinuxDeviceType::U => b'c',
        oci::LinuxDeviceType::P => b'p',
    })
}

#[derive(Serialize)]
struct WeightDevice {
    major: i64,
    minor: i64,
    weight: u16,
    #[serde(rename = "leafWeight")]
    leaf_weight: u16,
}

#[derive(Serialize)]
struct HugepageLimit {
    page_size: String,
    limit: u64,
}

#[derive(Serialize)]
struct InterfacePriority {
    interface: String,
    priority: u32,
}

#[derive(Serialize)]
struct Rdma {
    #[serde(skip_serializing_if = "Option::is_none")]
    hca_handles: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hca_objects: Option<u32>,
}
