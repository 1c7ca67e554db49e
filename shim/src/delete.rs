//! `delete`: what containerd runs when a shim's connection has closed, mostly because all is done, sometimes because the
//! shim was killed. Cleans up whatever is left; asked a second time, or with nothing left, it only answers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use containerd_shim_protos::api::DeleteResponse;
use pinnace::container::id::Id;
use pinnace::container::{Runtime, delete_forced};
use pinnace::error::{Error, OrFail, Result};
use protobuf::{Message, MessageField};

use crate::flags::Flags;
use crate::options::Settings;
use crate::{reply, rootfs, socket};

/// The file in a bundle that says where the container's state is kept.
const ROOT: &str = "state-root";

/// The file in a bundle that names the runtime of a container that is not ours.
const FOREIGN: &str = "foreign-runtime";

/// The file with the pid of the container's first process.
pub(crate) const PID: &str = "init.pid";

/// A container that was killed with its shim: 128 and SIGKILL.
const KILLED: u32 = 137;

/// Leaves in the bundle where the container's state is kept, and by which runtime if not by ours.
pub(crate) fn remember(bundle: &Path, root: &Path, foreign: Option<&str>) -> Result<()> {
    let put = |name: &str, bytes: &[u8]| {
        let path = bundle.join(name);
        std::fs::write(&path, bytes).or_fail("write", || format!("write {}", path.display()))
    };
    if let Some(program) = foreign {
        put(FOREIGN, program.as_bytes())?;
    }
    put(ROOT, root.as_os_str().as_encoded_bytes())
}

/// Cleans up and replies.
pub(crate) fn delete(flags: &Flags) -> Result<()> {
    let bundle = match &flags.bundle {
        Some(bundle) => bundle.clone(),
        None => std::env::current_dir().or_fail("getcwd", || "find the bundle")?,
    };
    let root = match std::fs::read_to_string(bundle.join(ROOT)) {
        Ok(text) => PathBuf::from(text),
        Err(_) => Settings::default().root(&flags.namespace),
    };
    let id = Id::parse(&flags.id)?;
    if let Ok(program) = std::fs::read_to_string(bundle.join(FOREIGN)) {
        let output =
            Command::new(&program).arg("--root").arg(&root).args(["delete", "--force", id.as_str()]).output();
        let output = output.or_fail("execve", || format!("start runtime {program}"))?;
        let _ = nix::unistd::write(std::io::stderr(), &output.stderr);
    } else if root.join(id.as_str()).exists() {
        delete_forced(&Runtime { root, ..Runtime::default() }, &id)?;
    }
    rootfs::unmount(&bundle.join("rootfs"));
    if let Ok(address) = std::fs::read_to_string(bundle.join("address"))
        && let Some(path) = address.strip_prefix("unix://")
    {
        socket::remove_dead(Path::new(path));
    }
    let pid = std::fs::read_to_string(bundle.join(PID)).ok().and_then(|text| text.trim().parse().ok());
    let response = DeleteResponse {
        pid: pid.unwrap_or(0),
        exit_status: KILLED,
        exited_at: MessageField::some(SystemTime::now().into()),
        ..DeleteResponse::default()
    };
    let bytes = response.write_to_bytes();
    reply::print(&bytes.map_err(|e| Error::invalid(format!("write the reply: {e}")))?)
}
