//! checkpoint and what is made from one: containerd's words for what the library does with CRIU. Never ends a container:
//! its processes are gone when CRIU has ended them, which the shim learns as of every other end.

use std::path::{Path, PathBuf};

use containerd_shim_protos::shim::oci::CheckpointOptions as Asked;
use pinnace::container::criu::{CgroupsMode, CriuOptions};
use pinnace::container::{CheckpointOptions, RestoreOptions};
use pinnace::error::{Error, Result};
use protobuf::Message;
use protobuf::well_known_types::any::Any;

use crate::container::Container;

/// Where CRIU works unless the request names a place, and where its log stays in the bundle when it has failed:
/// containerd's own names.
const WORK: &str = "criu-work";
const LOG: &str = "criu-dump.log";

/// Writes the container to `path`.
pub(crate) async fn dump(container: &Container, path: &str, options: Option<&Any>) -> Result<()> {
    let asked = match options.filter(|any| !any.type_url.is_empty()) {
        None => Asked::default(),
        Some(any) => Asked::parse_from_bytes(&any.value)
            .map_err(|error| Error::invalid(format!("read the options of a checkpoint: {error}")))?,
    };
    let own_work = asked.work_path.is_empty();
    let work = if own_work { container.bundle.join(WORK) } else { PathBuf::from(&asked.work_path) };
    let image_path = if asked.image_path.is_empty() { path } else { &asked.image_path };
    let options = CheckpointOptions {
        criu: CriuOptions {
            image_path: image_path.into(),
            work_path: Some(work.clone()),
            tcp_established: asked.open_tcp,
            ext_unix_sk: asked.external_unix_sockets,
            shell_job: asked.terminal,
            file_locks: asked.file_locks,
            cgroups_mode: cgroups_mode(&asked.cgroups_mode)?,
            ..CriuOptions::default()
        },
        leave_running: !asked.exit,
        ..CheckpointOptions::default()
    };
    let outcome = container.handle().checkpoint(options).await;
    if outcome.is_err() {
        keep_log(&work, &container.bundle);
    }
    if own_work {
        let _ = std::fs::remove_dir_all(&work);
    }
    outcome
}

/// The log is what one has of a failure, and its directory may go.
fn keep_log(work: &Path, bundle: &Path) {
    let log = work.join("dump.log");
    if log.is_file()
        && let Err(error) = std::fs::copy(&log, bundle.join(LOG))
    {
        log::warn!("keep {}: {error}", log.display());
    }
}

/// Runc's words, and none.
fn cgroups_mode(word: &str) -> Result<CgroupsMode> {
    Ok(match word {
        "" => CgroupsMode::Default,
        "soft" => CgroupsMode::Soft,
        "full" => CgroupsMode::Full,
        "strict" => CgroupsMode::Strict,
        "ignore" => CgroupsMode::Ignore,
        other => return Err(Error::invalid(format!("unknown cgroups mode {other:?} of a checkpoint"))),
    })
}

/// What a request to create from a checkpoint comes to; none if it names none.
pub(crate) fn source(checkpoint: &str, bundle: &Path) -> Option<RestoreOptions> {
    if checkpoint.is_empty() {
        return None;
    }
    let work_path = Some(bundle.join(WORK));
    let criu = CriuOptions { image_path: checkpoint.into(), work_path, ..CriuOptions::default() };
    Some(RestoreOptions { criu, ..RestoreOptions::default() })
}
