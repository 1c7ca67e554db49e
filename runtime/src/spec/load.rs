//! Bytes → [`Spec`], strictly: one pass, no trailing data, no duplicate key, no NUL, bounded size and depth.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{Process, Resources, Spec};
use crate::error::{Error, OrFail, Result};

/// A parsed config.json beside the bytes it came from (they are kept in the state directory).
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub spec: Spec,
    /// What stood there.
    pub bytes: Vec<u8>,
}

/// Reads and parses a config.json.
pub fn load(path: &Path) -> Result<Loaded> {
    let bytes = std::fs::read(path).or_fail("open", || format!("read {}", path.display()))?;
    let spec = parse(&bytes).map_err(|e| e.within(path.display()))?;
    Ok(Loaded { spec, bytes })
}

/// Parses a config.json.
pub fn parse(bytes: &[u8]) -> Result<Spec> {
    parse_strictly(bytes)
}

/// Reads the file of `exec --process`.
pub fn load_process(path: &Path) -> Result<Process> {
    let bytes = std::fs::read(path).or_fail("open", || format!("read {}", path.display()))?;
    parse_strictly(&bytes).map_err(|e| e.within(path.display()))
}

/// Parses the file of `update --resources`.
pub fn parse_resources(bytes: &[u8]) -> Result<Resources> {
    parse_strictly(bytes)
}

fn parse_strictly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::invalid(e.to_string()))
}
