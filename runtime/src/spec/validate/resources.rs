//! Limits that contradict each other, and names that become part of a file's name or of a line in one. Pure. What one
//! cgroup version takes and another does not is the cgroup code's to say.

use super::{item, refuse};
use crate::error::Result;
use crate::spec::{Resources, oci};

/// Checks `linux.resources`, or the file of `update --resources`.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate_resources(resources: &Resources) -> Result<()> {
    if let Some(memory) = &resources.memory {
        for (name, bytes) in
            [("limit", memory.limit()), ("reservation", memory.reservation()), ("swap", memory.swap())]
        {
            if let Some(bytes) = bytes.filter(|bytes| *bytes < -1) {
                let why = format_args!("{bytes} is no size; -1 means unlimited");
                return Err(refuse(format_args!("linux.resources.memory.{name}"), why));
            }
        }
    }
    resources.cpu.as_ref().map_or(Ok(()), cpu)?;
    resources.block_io.as_ref().map_or(Ok(()), block_io)?;
    for (index, limit) in resources.hugepage_limits.iter().enumerate() {
        if !is_page_size(&limit.page_size) {
            let why = format_args!("page size {:?} is not of the form 64KB, 2MB or 1GB", limit.page_size);
            return Err(refuse(item("linux.resources.hugepageLimits", index), why));
        }
    }
    for (device, limit) in &resources.rdma {
        let field = format_args!("linux.resources.rdma.{device:?}").to_string();
        if !is_word(device) {
            return Err(refuse(field, "is no device name"));
        }
        if limit.hca_handles().is_none() && limit.hca_objects().is_none() {
            return Err(refuse(field, "has neither hcaHandles nor hcaObjects"));
        }
    }
    let priorities = resources.network.iter().flat_map(|network| network.priorities().iter().flatten());
    for (index, priority) in priorities.enumerate() {
        if !is_word(priority.name()) {
            let field = item("linux.resources.network.priorities", index);
            return Err(refuse(field, format_args!("{:?} is no interface name", priority.name())));
        }
    }
    Ok(())
}

fn cpu(cpu: &oci::LinuxCpu) -> Result<()> {
    // runtime-spec, config-linux.md#cpu: a burst is taken out of the quota of other periods.
    let quota = cpu.quota().and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0);
    if let (Some(quota), Some(burst)) = (quota, cpu.burst())
        && burst > quota
    {
        return Err(refuse("linux.resources.cpu.burst", format_args!("{burst} is above the quota {quota}")));
    }
    if let Some(idle) = cpu.idle().filter(|idle| !(0..=1).contains(idle)) {
        return Err(refuse("linux.resources.cpu.idle", format_args!("{idle} is neither 0 nor 1")));
    }
    for (name, list) in [("cpus", cpu.cpus()), ("mems", cpu.mems())] {
        let list = list.as_deref().unwrap_or_default();
        if !list.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b',' | b' ')) {
            return Err(refuse(
                format_args!("linux.resources.cpu.{name}"),
                format_args!("{list:?} is no list"),
            )
            .hint("use numbers and ranges as in 0-3,7"));
        }
    }
    Ok(())
}

fn block_io(block_io: &oci::LinuxBlockIo) -> Result<()> {
    let devices = block_io.weight_device().iter().flatten();
    for (index, device) in devices.enumerate() {
        let field = || item("linux.resources.blockIO.weightDevice", index);
        if device.weight().is_none() && device.leaf_weight().is_none() {
            return Err(refuse(field(), "has neither weight nor leafWeight"));
        }
        number(&field(), device.major(), device.minor())?;
    }
    for (name, list) in [
        ("throttleReadBpsDevice", block_io.throttle_read_bps_device()),
        ("throttleWriteBpsDevice", block_io.throttle_write_bps_device()),
        ("throttleReadIOPSDevice", block_io.throttle_read_iops_device()),
        ("throttleWriteIOPSDevice", block_io.throttle_write_iops_device()),
    ] {
        for (index, device) in list.iter().flatten().enumerate() {
            number(&format!("linux.resources.blockIO.{name}[{index}]"), device.major(), device.minor())?;
        }
    }
    Ok(())
}

fn number(field: &str, major: i64, minor: i64) -> Result<()> {
    if u32::try_from(major).is_err() || u32::try_from(minor).is_err() {
        return Err(refuse(field, format_args!("{major}:{minor} is no device number")));
    }
    Ok(())
}

/// runtime-spec, config-linux.md#huge-page-limits. It becomes part of a file's name.
fn is_page_size(text: &str) -> bool {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// One word of a line.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
