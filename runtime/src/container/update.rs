//! update: other limits for a container that runs. What was not mentioned stays as it is, on the host as in state.json,
//! and device rules are never touched: plugins add their own after the start.

use serde_json::{Map, Value};

use super::state::{Container, Status};
use crate::error::{Error, Kind, Result};
use crate::resctrl::Resctrl;
use crate::spec::{Resources, validate_resources};
use crate::wait;

/// What can be updated; the rest of a resources object is ignored, as by runc, because engines send it whole.
const CHANGEABLE: [(&str, &[&str]); 5] = [
    ("memory", &["limit", "reservation", "swap", "checkBeforeUpdate"]),
    ("cpu", &[]),
    ("blockIO", &[]),
    ("pids", &[]),
    ("unified", &[]),
];

impl Container {
    /// Applies the limits and keeps them.
    ///
    /// # Errors
    /// It has stopped, or a limit can't be had: the ones before it in the order of the controllers are set already.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        wait::block(self.updating(resources))
    }

    /// [`Self::update`] for an event loop (see [`wait`]).
    pub async fn updating(&self, resources: &Resources) -> Result<()> {
        if self.status()? == Status::Stopped {
            return Err(Error::new(Kind::NotRunning, "container not running"));
        }
        let mut spec = self.config()?;
        let linux = spec.linux.get_or_insert_default();
        let old = linux.resources.take().unwrap_or_default();
        let (apply, keep) = merge(&old, resources)?;
        validate_resources(&keep)?;
        self.cgroup()?.update(&apply).await?;
        linux.resources = Some(keep);
        self.replace_config(&spec)
    }
}

impl Container {
    /// Gives the container's class of service another line for the cache or for memory bandwidth, and keeps it.
    ///
    /// # Errors
    /// It was made without Intel RDT, the host lacks what is asked for, or the kernel refuses the line.
    pub fn update_rdt(&self, cache: Option<&str>, bandwidth: Option<&str>) -> Result<()> {
        let resctrl = Resctrl::find();
        let has = |ask: fn(&Resctrl) -> bool| resctrl.as_ref().is_some_and(ask);
        if cache.is_some() && !has(Resctrl::allocates_cache) {
            return Err(Error::invalid("Intel RDT/CAT: l3 cache schema is not enabled"));
        }
        if bandwidth.is_some() && !has(Resctrl::allocates_bandwidth) {
            return Err(Error::invalid("Intel RDT/MBA: memory bandwidth schema is not enabled"));
        }
        let mut spec = self.config()?;
        let rdt = spec.linux.as_mut().and_then(|linux| linux.intel_rdt.as_mut());
        let (Some(rdt), Some(resctrl), Some(group)) = (rdt, &resctrl, &self.state.intel_rdt_path) else {
            return Err(Error::invalid("updating a non-existent Intel RDT configuration is not supported"));
        };
        for (field, new) in [(&mut rdt.l3_cache_schema, cache), (&mut rdt.mem_bw_schema, bandwidth)] {
            if let Some(new) = new {
                *field = Some(new.to_owned());
            }
        }
        resctrl.set(group, rdt)?;
        self.replace_config(&spec)
    }
}

/// What to apply now, and what then holds.
fn merge(old: &Resources, new: &Resources) -> Result<(Resources, Resources)> {
    let old = object(old)?;
    let mut apply = object(new)?;
    apply.retain(|part, _| CHANGEABLE.iter().any(|(name, _)| name == part));
    for (part, fields) in CHANGEABLE.iter().filter(|(_, fields)| !fields.is_empty()) {
        if let Some(Value::Object(part)) = apply.get_mut(*part) {
            part.retain(|field, _| fields.contains(&field.as_str()));
        }
    }
    let mut keep = old.clone();
    for (name, value) in &apply {
        overlay(keep.entry(name.as_str()).or_insert(Value::Null), value);
    }
    complete(&mut apply, &old);
    forget(&mut keep, &apply);
    Ok((resources(apply)?, resources(keep)?))
}

/// Values that the kernel takes together, or that are one limit with two names: who is told one, is told both.
fn complete(apply: &mut Map<String, Value>, old: &Map<String, Value>) {
    for (part, one, other) in [
        ("cpu", "quota", "period"),
        ("cpu", "period", "quota"),
        ("memory", "swap", "limit"),
        ("memory", "limit", "swap"),
    ] {
        let Some(Value::Object(apply)) = apply.get_mut(part) else { continue };
        // Without a memory limit there is none of memory and swap either.
        let no_limit = part == "memory" && one == "limit" && number(apply, one) == Some(-1);
        if number(apply, one).is_some_and(|n| n != 0)
            && number(apply, other).is_none()
            && !no_limit
            && let Some(partner) = old.get(part).and_then(|part| part.get(other))
        {
            apply.insert(other.to_owned(), partner.clone());
        }
    }
}

/// What no longer holds, though nobody said so: see [`complete`]; and an idle cgroup has no weight (cgroup-v2.rst).
fn forget(keep: &mut Map<String, Value>, apply: &Map<String, Value>) {
    let said =
        |part: &str, field: &str| apply.get(part).and_then(|part| part.get(field)).and_then(Value::as_i64);
    let mut remove = |part: &str, field: &str| {
        if let Some(Value::Object(part)) = keep.get_mut(part) {
            part.remove(field);
        }
    };
    if said("memory", "limit") == Some(-1) && said("memory", "swap").is_none() {
        remove("memory", "swap");
    }
    if said("cpu", "idle").is_some() && said("cpu", "shares").is_none() {
        remove("cpu", "shares");
    }
}

fn number(part: &Map<String, Value>, field: &str) -> Option<i64> {
    part.get(field).and_then(Value::as_i64)
}

/// Puts `new` over `old`, field by field; of lists of devices, device by device.
fn overlay(old: &mut Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in new {
                overlay(old.entry(name.as_str()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for device in new {
                let same = |known: &&mut Value| {
                    known.get("major") == device.get("major") && known.get("minor") == device.get("minor")
                };
                match old.iter_mut().rev().find(same) {
                    Some(known) => overlay(known, device),
                    None => old.push(device.clone()),
                }
            }
        }
        (old, new) => old.clone_from(new),
    }
}

fn object(resources: &Resources) -> Result<Map<String, Value>> {
    match serde_json::to_value(resources) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(Error::invalid(format!("write resources: {error}"))),
    }
}

fn resources(map: Map<String, Value>) -> Result<Resources> {
    serde_json::from_value(Value::Object(map))
        .map_err(|error| Error::invalid(format!("read resources: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old and new, and then what is applied and what is kept, as JSON.
    fn merged(old: &str, new: &str) -> (Value, Value) {
        let read = |text: &str| crate::spec::parse_resources(text.as_bytes()).unwrap();
        let (apply, keep) = merge(&read(old), &read(new)).unwrap();
        (serde_json::to_value(apply).unwrap(), serde_json::to_value(keep).unwrap())
    }

    fn check(old: &str, new: &str, apply: &str, keep: &str) {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(merged(old, new), (value(apply), value(keep)), "{old} + {new}");
    }

    #[test]
    fn what_was_not_mentioned_stays_and_is_not_applied_again() {
        check(
            r#"{"memory":{"limit":100,"swappiness":5},"cpu":{"shares":2},"devices":[{"allow":false,"access":"m"}],"pids":{"limit":3}}"#,
            r#"{"cpu":{"cpus":"0"},"pids":{"limit":-1}}"#,
            r#"{"cpu":{"cpus":"0"},"pids":{"limit":-1}}"#,
            r#"{"memory":{"limit":100,"swappiness":5},"cpu":{"shares":2,"cpus":"0"},"devices":[{"allow":false,"access":"m"}],
                "pids":{"limit":-1}}"#,
        );
        check("{}", "{}", "{}", "{}");
    }

    #[test]
    fn quota_and_period_are_told_together() {
        let old = r#"{"cpu":{"quota":5000,"period":10000}}"#;
        check(
            old,
            r#"{"cpu":{"quota":7000}}"#,
            r#"{"cpu":{"quota":7000,"period":10000}}"#,
            r#"{"cpu":{"quota":7000,"period":10000}}"#,
        );
        check(
            old,
            r#"{"cpu":{"period":7000}}"#,
            r#"{"cpu":{"quota":5000,"period":7000}}"#,
            r#"{"cpu":{"quota":5000,"period":7000}}"#,
        );
        check("{}", r#"{"cpu":{"quota":7000}}"#, r#"{"cpu":{"quota":7000}}"#, r#"{"cpu":{"quota":7000}}"#);
        check(
            old,
            r#"{"cpu":{"shares":7}}"#,
            r#"{"cpu":{"shares":7}}"#,
            r#"{"cpu":{"shares":7,"quota":5000,"period":10000}}"#,
        );
    }

    #[test]
    fn memory_and_swap_are_told_together() {
        let old = r#"{"memory":{"limit":100,"swap":200}}"#;
        let both = |limit: i64, swap: i64| format!(r#"{{"memory":{{"limit":{limit},"swap":{swap}}}}}"#);
        check(old, r#"{"memory":{"limit":150}}"#, &both(150, 200), &both(150, 200));
        check(old, r#"{"memory":{"swap":300}}"#, &both(100, 300), &both(100, 300));
        check(old, r#"{"memory":{"swap":-1}}"#, &both(100, -1), &both(100, -1));
        check(old, r#"{"memory":{"limit":-1}}"#, r#"{"memory":{"limit":-1}}"#, r#"{"memory":{"limit":-1}}"#);
        check(old, &both(-1, -1), &both(-1, -1), &both(-1, -1));
    }

    #[test]
    fn an_idle_cgroup_has_no_shares() {
        check(
            r#"{"cpu":{"shares":512}}"#,
            r#"{"cpu":{"idle":1}}"#,
            r#"{"cpu":{"idle":1}}"#,
            r#"{"cpu":{"idle":1}}"#,
        );
    }

    #[test]
    fn devices_are_updated_one_by_one() {
        check(
            r#"{"blockIO":{"weight":10,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":1,"rate":2}]}}"#,
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":9},{"major":8,"minor":2,"rate":3}]}}"#,
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":9},{"major":8,"minor":2,"rate":3}]}}"#,
            r#"{"blockIO":{"weight":10,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},
                {"major":8,"minor":1,"rate":9},{"major":8,"minor":2,"rate":3}]}}"#,
        );
    }

    #[test]
    fn what_engines_send_along_is_left_out() {
        let (apply, keep) = merged(
            r#"{"devices":[{"allow":true,"access":"r"}]}"#,
            r#"{"devices":[{"allow":false}],"hugepageLimits":[{"pageSize":"2MB","limit":1}],"network":{"classID":1},
                "memory":{"limit":5,"swappiness":1,"disableOOMKiller":true},"unified":{"memory.high":"7"}}"#,
        );
        assert_eq!(apply, serde_json::json!({"memory": {"limit": 5}, "unified": {"memory.high": "7"}}));
        assert_eq!(keep["devices"], serde_json::json!([{"allow": true, "access": "r"}]));
        assert_eq!(keep["unified"]["memory.high"], "7");
    }
}
