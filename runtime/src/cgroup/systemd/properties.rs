//! Limits as systemd's properties (man 5 systemd.resource-control): what is written to files alone, systemd would write
//! over at its next `daemon-reload`. Pure. What has no property here has none in systemd.

use std::collections::BTreeMap;

use super::super::device::{Access, Devices, Policy, Type};
use super::super::setting::{Group, Setting};
use crate::dbus::Value;

/// A property of a unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) value: Value,
    /// A systemd that does not know it yet is asked again without it: the files say the same.
    pub(super) optional: bool,
}

impl Property {
    pub(super) fn new(name: impl Into<String>, value: Value) -> Self {
        Self { name: name.into(), value, optional: false }
    }

    pub(super) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// "No limit" in systemd's numbers.
const INFINITY: u64 = u64::MAX;
/// The kernel's default period of a CPU quota, µs.
const PERIOD: u64 = 100_000;

/// The properties that say what these settings, of cgroup v1 or v2, say.
pub(super) fn of(groups: &[Group]) -> Vec<Property> {
    let mut list = Vec::new();
    let mut devices: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    let settings = || groups.iter().flat_map(|group| &group.settings);
    for setting in settings() {
        list.extend(single(setting));
        per_device(setting, &mut devices);
    }
    let find = |file: &str| settings().find(|s| s.file == file).map(|s| s.value.as_str());
    if let Some(value) = find("cpu.max") {
        let (quota, period) = value.split_once(' ').unwrap_or((value, ""));
        list.extend(quota_properties(quota.parse().ok(), period.parse().ok()));
    } else if let Some(quota) = find("cpu.cfs_quota_us") {
        list.extend(quota_properties(
            quota.parse().ok(),
            find("cpu.cfs_period_us").and_then(|p| p.parse().ok()),
        ));
    }
    let pairs = |(name, values)| Property::new(name, Value::Array("(st)".to_owned(), values)).optional();
    list.extend(devices.into_iter().map(pairs));
    list
}

/// A file with one value is a property with one value.
fn single(setting: &Setting) -> Option<Property> {
    let number = |name, text: &str| Some(Property::new(name, Value::U64(amount(text)?)));
    let mask = |name, text: &str| Some(Property::new(name, Value::Bytes(mask(text)?)).optional());
    let value = setting.value.as_str();
    match &*setting.file {
        "pids.max" => number("TasksMax", value),
        "memory.max" => number("MemoryMax", value),
        "memory.high" => number("MemoryHigh", value),
        "memory.low" => number("MemoryLow", value),
        "memory.min" => number("MemoryMin", value),
        "memory.swap.max" => number("MemorySwapMax", value),
        "memory.zswap.max" => number("MemoryZSwapMax", value).map(Property::optional),
        "memory.limit_in_bytes" => number("MemoryLimit", value),
        "cpu.shares" => number("CPUShares", value),
        "cpu.weight" => number("CPUWeight", value),
        // Since systemd 252 a weight of 0 says "idle".
        "cpu.idle" if value == "1" => number("CPUWeight", "0").map(Property::optional),
        "blkio.weight" => number("BlockIOWeight", value),
        "io.weight" => number("IOWeight", value.strip_prefix("default ").unwrap_or(value)),
        "io.bfq.weight" => number("IOWeight", &setting.or.as_ref()?.1),
        "cpuset.cpus" => mask("AllowedCPUs", value),
        "cpuset.mems" => mask("AllowedMemoryNodes", value),
        _ => None,
    }
}

/// `8:0 rbps=1000`: one property for each kind of limit, with all its devices.
fn per_device(setting: &Setting, found: &mut BTreeMap<&'static str, Vec<Value>>) {
    let value = match (&*setting.file, &setting.or) {
        ("io.max" | "io.weight", _) => setting.value.as_str(),
        ("io.bfq.weight", Some((_, value))) => value,
        _ => return,
    };
    for line in value.lines() {
        let Some((device, limits)) = line.split_once(' ').filter(|(device, _)| device.contains(':')) else {
            continue;
        };
        for limit in limits.split_whitespace() {
            let (name, amount) = match limit.split_once('=') {
                Some(("rbps", amount)) => ("IOReadBandwidthMax", amount),
                Some(("wbps", amount)) => ("IOWriteBandwidthMax", amount),
                Some(("riops", amount)) => ("IOReadIOPSMax", amount),
                Some(("wiops", amount)) => ("IOWriteIOPSMax", amount),
                None if setting.file != "io.max" => ("IODeviceWeight", limit),
                _ => continue,
            };
            if let Some(amount) = self::amount(amount) {
                let path = Value::Str(format!("/dev/block/{device}"));
                found.entry(name).or_default().push(Value::Struct(vec![path, Value::U64(amount)]));
            }
        }
    }
}

/// systemd keeps a quota in whole percents of a CPU in its files: rounded up, it never has less than was asked for.
fn quota_properties(quota: Option<i64>, period: Option<u64>) -> Vec<Property> {
    let period = period.filter(|period| *period != 0).unwrap_or(PERIOD);
    let per_second = match quota.and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0) {
        Some(quota) => {
            quota.saturating_mul(1_000_000).div_ceil(period).div_ceil(10_000).saturating_mul(10_000)
        }
        None => INFINITY,
    };
    vec![
        Property::new("CPUQuotaPerSecUSec", Value::U64(per_second)),
        Property::new("CPUQuotaPeriodUSec", Value::U64(period)).optional(),
    ]
}

/// A limit in the language of the files: a number, `max`, or -1.
fn amount(text: &str) -> Option<u64> {
    if matches!(text, "max" | "infinity" | "-1") { Some(INFINITY) } else { text.parse().ok() }
}

/// `0-2,7` as a set of bits, the first eight in the first byte.
fn mask(ranges: &str) -> Option<Vec<u8>> {
    let mut bits = Vec::new();
    for range in ranges.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        for bit in first..=last {
            let byte = usize::from(bit / 8);
            if bits.len() <= byte {
                bits.resize(byte + 1, 0);
            }
            bits[byte] |= 1 << (bit % 8);
        }
    }
    Some(bits)
}

/// The device rules, for cgroup v1 alone: there systemd writes the files of a scope anew at each reload, and where it
/// knows of no rules it allows all. In v2 it would attach a program of its own beside ours; all programs must allow a
/// device, so what a hook adds to ours later (GPUs) would be gone at the next reload. Without rules it attaches none.
pub(super) fn devices(policy: &Policy) -> Vec<Property> {
    if policy.allow {
        return Vec::new();
    }
    let rule = |(devices, access): (&Devices, &Access)| {
        let kind = if devices.kind == Type::Char { "char" } else { "block" };
        let name = match (devices.major, devices.minor) {
            (None, _) => format!("{kind}-*"),
            (Some(major), None) => format!("{kind}-{major}"),
            (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        };
        Value::Struct(vec![Value::Str(name), Value::Str(access.to_string())])
    };
    let rules = policy.exceptions.iter().map(rule).collect();
    // The rules before the policy: systemd takes a unit whose policy came first for one that was changed on disk.
    vec![
        Property::new("DeviceAllow", Value::Array("(ss)".to_owned(), rules)),
        Property::new("DevicePolicy", "strict".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::{v1, v2};
    use super::*;
    use crate::spec::parse_resources;

    fn shown(properties: &[Property]) -> Vec<String> {
        let value = |value: &Value| match value {
            Value::U64(INFINITY) => "max".to_owned(),
            Value::U64(number) => number.to_string(),
            Value::Bytes(bytes) => format!("{bytes:x?}"),
            Value::Array(_, items) => items
                .iter()
                .map(|item| match item {
                    Value::Struct(fields) => match fields.as_slice() {
                        [Value::Str(a), Value::U64(b)] => format!("{a}={b}"),
                        [Value::Str(a), Value::Str(b)] => format!("{a}={b}"),
                        other => panic!("{other:?}"),
                    },
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>()
                .join(" "),
            other => format!("{other:?}"),
        };
        properties.iter().map(|p| format!("{} {}", p.name, value(&p.value))).collect()
    }

    #[test]
    fn of_version_2() {
        for (json, expected) in [
            ("{}", vec![]),
            (r#"{"pids":{"limit":-1}}"#, vec!["TasksMax max"]),
            (
                r#"{"memory":{"limit":100,"swap":300,"reservation":50},"pids":{"limit":7}}"#,
                vec!["TasksMax 7", "MemorySwapMax 200", "MemoryMax 100", "MemoryLow 50"],
            ),
            (
                r#"{"cpu":{"shares":1024,"quota":50500,"period":100000,"cpus":"0-2,9","mems":"0"}}"#,
                vec![
                    "CPUWeight 100",
                    "AllowedCPUs [7, 2]",
                    "AllowedMemoryNodes [1]",
                    "CPUQuotaPerSecUSec 510000",
                    "CPUQuotaPeriodUSec 100000",
                ],
            ),
            (
                r#"{"cpu":{"quota":-1,"idle":1}}"#,
                vec!["CPUWeight 0", "CPUQuotaPerSecUSec max", "CPUQuotaPeriodUSec 100000"],
            ),
            (
                r#"{"blockIO":{"weight":100,"weightDevice":[{"major":8,"minor":0,"weight":10}],
                    "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":16,"rate":2}],
                    "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":3}]}}"#,
                vec![
                    "IOWeight 910",
                    "IODeviceWeight /dev/block/8:0=1",
                    "IOReadBandwidthMax /dev/block/8:0=1 /dev/block/8:16=2",
                    "IOWriteIOPSMax /dev/block/8:0=3",
                ],
            ),
            (
                r#"{"unified":{"memory.high":"max","cpu.max":"20000","pids.max":"5","io.latency":"8:0 target=1"}}"#,
                vec![
                    "MemoryHigh max",
                    "TasksMax 5",
                    "CPUQuotaPerSecUSec 200000",
                    "CPUQuotaPeriodUSec 100000",
                ],
            ),
        ] {
            let groups = v2::settings(&parse_resources(json.as_bytes()).unwrap()).unwrap();
            assert_eq!(shown(&of(&groups)), expected, "{json}");
        }
    }

    #[test]
    fn of_version_1() {
        let json = r#"{"memory":{"limit":100,"swap":-1},"cpu":{"shares":512,"quota":1000,"period":10000},
            "pids":{"limit":9},"blockIO":{"weight":20}}"#;
        let groups = v1::settings(&parse_resources(json.as_bytes()).unwrap(), None).unwrap();
        assert_eq!(
            shown(&of(&groups)),
            [
                "MemoryLimit 100",
                "CPUShares 512",
                "TasksMax 9",
                "BlockIOWeight 20",
                "CPUQuotaPerSecUSec 100000",
                "CPUQuotaPeriodUSec 10000"
            ]
        );
    }

    #[test]
    fn device_rules() {
        let json = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"b","major":8,"minor":0,"access":"r"}]}"#;
        let policy = Policy::new(&parse_resources(json.as_bytes()).unwrap().devices).unwrap();
        let [allow, strict] = &devices(&policy)[..] else { panic!() };
        assert_eq!((strict.name.as_str(), &strict.value), ("DevicePolicy", &"strict".into()));
        let rules = &shown(std::slice::from_ref(allow))[0];
        for rule in ["char-*=m", "block-*=m", "char-136=rwm", "/dev/char/1:3=rwm", "/dev/block/8:0=r"] {
            assert!(rules.split(' ').any(|r| r == rule), "{rule} in {rules}");
        }
        let all = parse_resources(br#"{"devices":[{"allow":true,"access":"rwm"}]}"#).unwrap().devices;
        assert_eq!(devices(&Policy::new(&all).unwrap()), []);
    }
}
