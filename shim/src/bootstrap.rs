//! `start`: finds the shim of the container's group, or makes its socket and starts it, and tells containerd where it
//! serves, in the words of every containerd since 1.6. Must never leave a process behind when it fails.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult};
use pinnace::cgroup::Cgroup;
use pinnace::error::{Error, Kind, OrFail, Result};
use pinnace::sys::process::take_core_cookie;
use protobuf::Message;
use protobuf::well_known_types::any::Any;
use serde::Deserialize;

use crate::flags::Flags;
use crate::options::Settings;
use crate::reply;
use crate::socket::{self, Socket};

/// The version of the task service that is announced to a containerd that asks in protobuf (2.3 and later). The others
/// get a plain address, which they take for version 2; both are served.
const VERSION: i32 = 3;

/// Annotations that put containers into one shim, the first that is there.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// Starts or finds the shim, and replies.
pub(crate) fn start(flags: &Flags) -> Result<()> {
    let input = reply::input()?;
    let params = params(&input, flags);
    let settings = options(&input, params.as_ref())?;
    let group = group(Path::new("config.json"), &flags.id)?;
    let dir = params.as_ref().and_then(|params| params.socket_dir.as_deref());
    let path = socket::path(dir, &flags.address, &flags.namespace, &group)?;
    let address = format!("unix://{}", path.display());
    if let Socket::Ours(listener) = socket::listen(&path)? {
        let ttrpc = params.as_ref().map_or("", |params| params.containerd_ttrpc_address.as_str());
        spawn(flags, listener.into(), ttrpc, &settings.shim_cgroup).inspect_err(|_| socket::remove(&path))?;
    }
    // What containerd 1.6 and 1.7 find the shim by after a restart.
    fs::write("address", &address).or_fail("write", || "write the bundle's address")?;
    if params.is_none() {
        return reply::print(address.as_bytes());
    }
    let result = BootstrapResult {
        version: VERSION,
        address,
        protocol: "ttrpc".to_owned(),
        ..BootstrapResult::default()
    };
    let bytes = result.write_to_bytes();
    reply::print(&bytes.map_err(|e| Error::invalid(format!("write the reply: {e}")))?)
}

/// The parameters, if that is what came. Older containerds send the options or nothing, which can be read as
/// parameters too: only those that name this very container are.
fn params(input: &[u8], flags: &Flags) -> Option<BootstrapParams> {
    let params = BootstrapParams::parse_from_bytes(input).ok()?;
    (params.instance_id == flags.id && params.namespace == flags.namespace).then_some(params)
}

/// The options: one of the parameters' extensions, or all that an older containerd sends.
fn options(input: &[u8], params: Option<&BootstrapParams>) -> Result<Settings> {
    match params {
        Some(params) => {
            let any = params.extensions.iter().find_map(|extension| extension.value.as_ref());
            Settings::of(any)
        }
        None => Settings::of(Any::parse_from_bytes(input).ok().as_ref()),
    }
}

/// All that is read of config.json here.
#[derive(Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

fn group(config: &Path, id: &str) -> Result<String> {
    let what = || format!("read {}", config.display());
    let bytes = fs::read(config).or_fail("open", what)?;
    let spec: Annotated =
        serde_json::from_slice(&bytes).map_err(|error| Error::invalid(format!("{}: {error}", what())))?;
    let mut annotations = spec.annotations.unwrap_or_default();
    Ok(GROUPS.iter().find_map(|name| annotations.remove(*name)).unwrap_or_else(|| id.to_owned()))
}

/// Starts the process that serves. It takes the socket as its standard input, and nothing else of ours: containerd
/// reads our output to its end.
fn spawn(flags: &Flags, listener: OwnedFd, ttrpc_address: &str, cgroup: &str) -> Result<()> {
    if std::env::var_os("SCHED_CORE").is_some_and(|value| !value.is_empty()) {
        take_core_cookie()
            .or_fail("prctl(PR_SCHED_CORE)", || "keep others from the shim's cores")
            .map_err(|error| error.hint("the kernel needs CONFIG_SCHED_CORE and a processor with SMT"))?;
    }
    let program: PathBuf = std::env::current_exe().or_fail("readlink", || "find the own executable")?;
    let mut command = Command::new(program);
    command.args(["-namespace", &flags.namespace, "-id", &flags.id, "-address", &flags.address]);
    if flags.debug {
        command.arg("-debug");
    }
    if !ttrpc_address.is_empty() {
        command.env("TTRPC_ADDRESS", ttrpc_address);
    }
    command.stdin(Stdio::from(listener)).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().or_fail("clone", || "start the shim")?;
    if cgroup.is_empty() {
        return Ok(());
    }
    enter(cgroup, child.id()).inspect_err(|_| {
        let _ = child.kill();
    })
}

/// Puts the shim into a cgroup that is there, in every hierarchy that has it.
fn enter(cgroup: &str, pid: u32) -> Result<()> {
    let what = || format!("put the shim into the cgroup {cgroup}");
    let mut entered = false;
    for path in Cgroup::place("shim", Some(cgroup))?.paths().into_values() {
        let procs = Path::new(&path).join("cgroup.procs");
        if procs.exists() {
            fs::write(&procs, pid.to_string()).or_fail("write", what)?;
            entered = true;
        }
    }
    if entered { Ok(()) } else { Err(Error::new(Kind::NotFound, format!("{}: it is not there", what()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        let words = ["-namespace", "n", "-id", "i", "start"];
        Flags::parse(words.iter().map(|word| (*word).to_owned())).unwrap()
    }

    #[test]
    fn parameters_are_told_from_what_older_ones_send() {
        let sent = BootstrapParams { instance_id: "i".into(), namespace: "n".into(), ..Default::default() };
        assert!(params(&sent.write_to_bytes().unwrap(), &flags()).is_some());
        let other = BootstrapParams { namespace: "m".into(), ..sent };
        assert!(params(&other.write_to_bytes().unwrap(), &flags()).is_none());
        let options =
            Any { type_url: "containerd.runc.v1.Options".into(), value: b"n".to_vec(), ..Any::new() };
        assert!(params(&options.write_to_bytes().unwrap(), &flags()).is_none());
        assert!(params(b"", &flags()).is_none());
        assert!(params(b"\xff\xff", &flags()).is_none());
    }

    #[test]
    fn groups() {
        let path = std::env::temp_dir().join(format!("pinnace-group-{}", std::process::id()));
        let of = |text: &str| {
            fs::write(&path, text).unwrap();
            group(&path, "own")
        };
        assert_eq!(of("{}").unwrap(), "own");
        assert_eq!(of(r#"{"annotations":null}"#).unwrap(), "own");
        let pod = r#""io.kubernetes.cri.sandbox-id":"pod""#;
        assert_eq!(of(&format!(r#"{{"annotations":{{{pod}}},"process":{{}}}}"#)).unwrap(), "pod");
        let both = format!(r#"{{"annotations":{{{pod},"io.containerd.runc.v2.group":"g"}}}}"#);
        assert_eq!(of(&both).unwrap(), "g");
        assert!(of("{").is_err());
        fs::remove_file(&path).unwrap();
    }
}
