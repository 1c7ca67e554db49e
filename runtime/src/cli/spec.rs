//! `spec`: writes a config.json to start from. It never overwrites one.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::Call;
use crate::cgroup::{Cgroup, Mode};
use crate::error::{Error, Kind, OrFail, Result};
use crate::spec::{Defaults, default_spec};

const CONFIG: &str = "config.json";

/// Writes config.json into the bundle that `--bundle` names.
pub(crate) fn spec(call: &Call) -> Result<u8> {
    let path = Path::new(call.matches.path("bundle").unwrap_or("")).join(CONFIG);
    let write = || format!("write {}", path.display());
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::new(Kind::Exists, format!("File {CONFIG} exists. Remove it first")));
        }
        opened => opened.or_fail("open", write)?,
    };
    let own_ids = || (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let defaults = Defaults {
        hostname: call.program,
        cgroup_namespace: Cgroup::mode() == Mode::V2,
        rootless: call.matches.on("rootless").then(own_ids),
    };
    let text = indented(&default_spec(&defaults), b"\t")?;
    file.write_all(&text).or_fail("write", write)?;
    Ok(0)
}

/// JSON with one `indent` a level.
pub(crate) fn indented(value: &impl Serialize, indent: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(4096);
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(indent));
    value.serialize(&mut serializer).map_err(|error| Error::invalid(format!("write JSON: {error}")))?;
    Ok(text)
}
