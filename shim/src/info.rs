//! `-v` and `-info`: who this is and what it can do. Only says what is true of this build and this kernel.

use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};
use pinnace::cli::{COMMIT, RELEASE, features_json};
use pinnace::error::{Error, Result};
use protobuf::well_known_types::any::Any;
use protobuf::{Message, MessageField};

use crate::reply;

/// The type under which containerd looks for the runtime-spec's features.
const FEATURES: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// Prints the version.
pub(crate) fn version() -> Result<()> {
    let text = format!("containerd-shim-pinnace-v2:\n  Version:  {RELEASE}\n  Revision: {COMMIT}\n");
    reply::print(text.as_bytes())
}

/// Prints a RuntimeInfo. The options on standard input change nothing of it.
pub(crate) fn info() -> Result<()> {
    let mut version = RuntimeVersion::new();
    RELEASE.clone_into(&mut version.version);
    COMMIT.clone_into(&mut version.revision);
    let mut info = RuntimeInfo::new();
    "io.containerd.pinnace.v2".clone_into(&mut info.name);
    info.version = MessageField::some(version);
    let features = Any { type_url: FEATURES.to_owned(), value: features_json()?, ..Any::default() };
    info.features = MessageField::some(features);
    let bytes = info.write_to_bytes().map_err(|e| Error::invalid(format!("write the runtime info: {e}")))?;
    reply::print(&bytes)
}
