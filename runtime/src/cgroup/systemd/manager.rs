//! systemd's manager over D-Bus (man 5 org.freedesktop.systemd1): a unit is started, changed, stopped. Every call ends
//! within one deadline; nothing is retried that was not refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::properties::Property;
use crate::dbus::{Address, Answer, Bus, Method, Value};
use crate::error::{Error, Kind, Result};

/// How long systemd may take: it stands still while it reads hundreds of units anew.
const PATIENCE: Duration = Duration::from_secs(30);

const MANAGER: Method<'_> = Method {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "",
};

/// The manager of the host's units, or of a user's.
pub(super) struct Manager {
    bus: Bus,
}

/// How an attempt to start a unit was refused.
enum Refusal {
    /// A unit of that name is loaded.
    Exists,
    /// It does not know this property, or not this value of it.
    Property(String),
}

impl Manager {
    /// Connects to the bus, or, where there is none, to systemd itself.
    pub(super) async fn connect(user: bool) -> Result<Self> {
        if !user && !Path::new("/run/systemd/system").exists() {
            return Err(Error::new(
                Kind::Host,
                "systemd not running on this host, cannot use systemd cgroups manager",
            )
            .hint("leave --systemd-cgroup out, and let cgroupsPath be a path"));
        }
        let (address, direct) = if user { user_addresses() } else { system_addresses() };
        match Bus::connect(&address, PATIENCE).await {
            Ok(bus) => Ok(Self { bus }),
            Err(error) => match direct.filter(|path| path.exists()) {
                Some(path) => Ok(Self { bus: Bus::connect(&Address::Direct(path), PATIENCE).await? }),
                None if user => Err(error.hint(
                    "a user's systemd needs a login session or lingering (loginctl enable-linger), and XDG_RUNTIME_DIR or \
                     DBUS_SESSION_BUS_ADDRESS set",
                )),
                None => Err(error.hint("is dbus running?")),
            },
        }
    }

    /// Starts a transient unit and waits until it stands.
    pub(super) async fn start(
        &mut self,
        unit: &str,
        slice: &str,
        mut properties: Vec<Property>,
    ) -> Result<()> {
        properties.insert(0, Property::new("Slice", slice.into()));
        self.expect_job(unit);
        let mut reset = false;
        loop {
            match self.try_start(unit, &properties).await? {
                Ok(job) => return self.finish(unit, &job, "start").await,
                // One that failed and was kept, or ended this moment.
                Err(Refusal::Exists) if !reset => {
                    reset = true;
                    self.call("ResetFailedUnit", &[unit.into()]).await?;
                }
                Err(Refusal::Exists) => {
                    return Err(Error::new(
                        Kind::Exists,
                        format!("start {unit}: systemd has such a unit already"),
                    )
                    .hint("end it, or give another cgroupsPath"));
                }
                Err(Refusal::Property(name)) => {
                    log::debug!("systemd does not take {name} of {unit}: going on without it");
                    properties.retain(|property| property.name != name);
                }
            }
        }
    }

    async fn try_start(&mut self, unit: &str, properties: &[Property]) -> Result<Result<String, Refusal>> {
        let arguments = [
            unit.into(),
            // A job for the same unit that is under way makes this one fail.
            "fail".into(),
            list(properties),
            Value::Array("(sa(sv))".to_owned(), Vec::new()),
        ];
        match self.call("StartTransientUnit", &arguments).await? {
            Answer::Done(message) => Ok(Ok(message.arguments().into_iter().next().unwrap_or_default())),
            Answer::Refused(error, _) if error == "org.freedesktop.systemd1.UnitExists" => {
                Ok(Err(Refusal::Exists))
            }
            Answer::Refused(error, text) => match optional(properties, &text) {
                Some(name) => Ok(Err(Refusal::Property(name))),
                None => Err(refused(&format!("start {unit} in {}", slice_of(properties)), &error, &text)),
            },
        }
    }

    /// Changes properties of a unit until the next boot.
    pub(super) async fn change(&mut self, unit: &str, mut properties: Vec<Property>) -> Result<()> {
        while !properties.is_empty() {
            let arguments = [unit.into(), Value::Bool(true), list(&properties)];
            match self.call("SetUnitProperties", &arguments).await? {
                Answer::Done(_) => break,
                Answer::Refused(error, text) => match optional(&properties, &text) {
                    Some(name) => properties.retain(|property| property.name != name),
                    None => return Err(refused(&format!("change {unit}"), &error, &text)),
                },
            }
        }
        Ok(())
    }

    /// Stops a unit and waits until it is gone. One that is gone already is fine.
    pub(super) async fn stop(&mut self, unit: &str) -> Result<()> {
        self.expect_job(unit);
        match self.call("StopUnit", &[unit.into(), "replace".into()]).await? {
            Answer::Done(message) => {
                let job = message.arguments().into_iter().next().unwrap_or_default();
                self.finish(unit, &job, "stop").await?;
            }
            Answer::Refused(error, _) if error == "org.freedesktop.systemd1.NoSuchUnit" => return Ok(()),
            Answer::Refused(error, text) => return Err(refused(&format!("stop {unit}"), &error, &text)),
        }
        // Only a systemd that does not know CollectMode still has it, and only if it failed.
        self.call("ResetFailedUnit", &[unit.into()]).await.map(drop)
    }

    /// Moves a process into a unit, or into a cgroup below it.
    pub(super) async fn attach(&mut self, unit: &str, below: &str, pid: i32) -> Result<()> {
        let pids = Value::Array("u".to_owned(), vec![Value::U32(u32::try_from(pid).unwrap_or_default())]);
        match self.call("AttachProcessesToUnit", &[unit.into(), below.into(), pids]).await? {
            Answer::Done(_) => Ok(()),
            Answer::Refused(error, text) => {
                Err(refused(&format!("move process {pid} to {unit}"), &error, &text))
            }
        }
    }

    async fn call(&mut self, member: &str, arguments: &[Value]) -> Result<Answer> {
        let serial = self.bus.send(Method { member, ..MANAGER }, arguments);
        self.bus.answer(serial).await
    }

    /// Asks to be told when a job of this unit ends. The third argument of JobRemoved is the unit.
    fn expect_job(&mut self, unit: &str) {
        let Method { destination, path, interface, .. } = MANAGER;
        self.bus.subscribe(&format!(
            "type='signal',sender='{destination}',path='{path}',interface='{interface}',member='JobRemoved',arg2='{unit}'"
        ));
    }

    async fn finish(&mut self, unit: &str, job: &str, verb: &str) -> Result<()> {
        let ended = self
            .bus
            .signal(|message| {
                message.member == "JobRemoved" && message.arguments().get(1).is_some_and(|path| path == job)
            })
            .await?;
        match ended.arguments().get(3).map(String::as_str) {
            Some("done") => Ok(()),
            result => Err(Error::new(
                Kind::Host,
                format!("{verb} {unit}: the job of systemd ended with {:?}", result.unwrap_or("nothing")),
            )
            .hint(format!("systemctl status {unit}"))),
        }
    }
}

fn list(properties: &[Property]) -> Value {
    let pair =
        |p: &Property| Value::Struct(vec![p.name.as_str().into(), Value::Variant(Box::new(p.value.clone()))]);
    Value::Array("(sv)".to_owned(), properties.iter().map(pair).collect())
}

fn slice_of(properties: &[Property]) -> &str {
    match properties.first().map(|property| &property.value) {
        Some(Value::Str(slice)) => slice,
        _ => "",
    }
}

/// The property that a refusal names, if the unit can do without it: "Cannot set property X, or unknown property",
/// "X value out of range".
fn optional(properties: &[Property], text: &str) -> Option<String> {
    let named = |property: &&Property| {
        property.optional
            && text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == property.name)
    };
    properties.iter().find(named).map(|property| property.name.clone())
}

fn refused(what: &str, error: &str, text: &str) -> Error {
    Error::new(Kind::Host, format!("{what}: systemd: {text} ({error})"))
}

fn system_addresses() -> (Address, Option<PathBuf>) {
    let named = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").ok().and_then(|list| Address::parse(&list));
    match named {
        Some(address) => (address, None),
        None => (Address::Path("/run/dbus/system_bus_socket".into()), Some("/run/systemd/private".into())),
    }
}

fn user_addresses() -> (Address, Option<PathBuf>) {
    if let Some(address) =
        std::env::var("DBUS_SESSION_BUS_ADDRESS").ok().and_then(|list| Address::parse(&list))
    {
        return (address, None);
    }
    let dir = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty())
        .map_or_else(|| PathBuf::from(format!("/run/user/{}", nix::unistd::geteuid())), PathBuf::from);
    (Address::Path(dir.join("bus")), Some(dir.join("systemd/private")))
}
