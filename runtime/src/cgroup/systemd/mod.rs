//! A container's cgroup as a transient scope of systemd (systemd's docs/TRANSIENT-SETTINGS and CGROUP_DELEGATION): made,
//! changed and stopped over D-Bus. Never makes a cgroup itself: what is below the scope is `create`'s.
//!
//! systemd makes no scope without a process in it, and removes it with the last one. So a placeholder stands in it until
//! the container's first process is born there.

mod annotation;
mod manager;
mod properties;
mod unit;

pub use unit::Unit;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use nix::unistd::Pid;

use super::device::Policy;
use super::{Mode, host, v1, v2};
use crate::dbus::Value;
use crate::error::{Error, Kind, OrFail, Result};
use crate::spec::Resources;
use crate::sys::placeholder::Placeholder;
use manager::Manager;
use properties::Property;

/// A scope that stands.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) unit: Unit,
    /// The container's cgroup is this one below the scope's.
    below: String,
    /// What keeps it until the container has a process.
    placeholder: Mutex<Option<Placeholder>>,
}

impl Scope {
    /// One that was made before.
    pub(super) fn known(unit: Unit) -> Self {
        Self { unit, below: String::new(), placeholder: Mutex::new(None) }
    }

    pub(super) fn with_below(self, below: &str) -> Self {
        Self { below: host::clean(below), ..self }
    }

    /// The process that stands in it for the container.
    pub(super) fn placeholder(&self) -> Option<i32> {
        let placeholder = self.placeholder.lock().unwrap_or_else(PoisonError::into_inner);
        placeholder.as_ref().map(|placeholder| placeholder.pid().as_raw())
    }

    pub(super) fn release(&self) {
        self.placeholder.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether the container's cgroup is below the scope's own.
    pub(super) fn has_below(&self) -> bool {
        !self.below.is_empty()
    }

    /// Tells systemd of limits that change.
    pub(super) async fn update(&self, resources: &Resources) -> Result<()> {
        let properties = limits(resources, host::mode())?;
        if properties.is_empty() {
            return Ok(());
        }
        Manager::connect(self.unit.user).await?.change(&self.unit.name, properties).await
    }

    /// Stops the unit, of which nothing is there any more then.
    pub(super) async fn stop(&self) -> Result<()> {
        Manager::connect(self.unit.user).await?.stop(&self.unit.name).await
    }

    /// Moves a process in that has no right to it itself: see [`super::entry`].
    pub(super) async fn attach(&self, pid: Pid) -> Result<()> {
        let below = if self.below.is_empty() { String::new() } else { format!("/{}", self.below) };
        Manager::connect(self.unit.user).await?.attach(&self.unit.name, &below, pid.as_raw()).await
    }
}

/// What a scope is made from.
#[derive(Debug)]
pub struct Request<'a> {
    /// The container.
    pub id: &'a str,
    /// Its limits.
    pub resources: &'a Resources,
    /// config.json's: some name properties of the unit.
    pub annotations: &'a BTreeMap<String, String>,
}

/// Makes the scope: it, and its cgroup from the root of the hierarchy that systemd keeps.
pub(super) async fn start(unit: Unit, request: &Request<'_>) -> Result<(Scope, String)> {
    let mode = host::mode();
    let mut properties = own(request, mode);
    properties.extend(limits(request.resources, mode)?);
    if mode != Mode::V2 {
        properties.extend(properties::devices(&Policy::new(&request.resources.devices)?));
    }
    // Last, so that they hold.
    properties.extend(annotation::properties(request.annotations)?);
    let mut manager = Manager::connect(unit.user).await?;
    let placeholder =
        Placeholder::start().or_fail("clone3", || format!("start a process for {}", unit.name))?;
    let pid = u32::try_from(placeholder.pid().as_raw()).unwrap_or_default();
    properties.push(Property::new("PIDs", Value::Array("u".to_owned(), vec![Value::U32(pid)])));
    manager.start(&unit.name, &unit.slice, properties).await?;
    let path = place(&placeholder, mode, &unit)?;
    Ok((Scope { unit, below: String::new(), placeholder: Mutex::new(Some(placeholder)) }, path))
}

/// What every scope of a container is.
fn own(request: &Request<'_>, mode: Mode) -> Vec<Property> {
    let io = if mode == Mode::V2 { "IOAccounting" } else { "BlockIOAccounting" };
    let mut list = vec![
        Property::new("Description", Value::Str(format!("container {}", request.id))),
        // A container's end is its engine's business, also at shutdown.
        Property::new("DefaultDependencies", Value::Bool(false)),
        // What is below the scope is ours.
        Property::new("Delegate", Value::Bool(true)),
        // A unit that failed is not kept.
        Property::new("CollectMode", "inactive-or-failed".into()).optional(),
    ];
    list.extend(
        ["CPUAccounting", "MemoryAccounting", "TasksAccounting", io]
            .map(|name| Property::new(name, Value::Bool(true)).optional()),
    );
    list
}

fn limits(resources: &Resources, mode: Mode) -> Result<Vec<Property>> {
    let groups = if mode == Mode::V2 { v2::settings(resources)? } else { v1::settings(resources, None)? };
    Ok(properties::of(&groups))
}

/// Where systemd has put the placeholder.
fn place(placeholder: &Placeholder, mode: Mode, unit: &Unit) -> Result<String> {
    let file = format!("/proc/{}/cgroup", placeholder.pid());
    let text = std::fs::read_to_string(&file).or_fail("open", || format!("read {file}"))?;
    let hierarchy = if mode == Mode::V2 { "0::" } else { "name=systemd:" };
    let path = text.lines().find_map(|line| Some(line.split_once(hierarchy)?.1)).unwrap_or_default();
    if path.rsplit('/').next() == Some(unit.name.as_str()) {
        return Ok(path.to_owned());
    }
    Err(Error::new(Kind::Host, format!("find the cgroup of {}: its process is in {path:?}", unit.name))
        .hint("does the manager that was asked run in another cgroup or pid namespace?"))
}
