//! `checkpoint`: a container's processes into files.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::Call;
use super::grammar::Matches;
use super::root::absolute;
use crate::container::CheckpointOptions;
use crate::container::criu::{CgroupsMode, CriuOptions};
use crate::error::{Error, OrFail, Result};

/// Where the images are when nobody says: below the current directory.
const IMAGES: &str = "checkpoint";

/// Writes the checkpoint, and deletes the container unless it goes on.
pub(crate) fn checkpoint(call: &Call) -> Result<u8> {
    let matches = &call.matches;
    let container = call.container()?;
    let options = CheckpointOptions {
        criu: criu_options(matches)?,
        parent_path: matches.path("parent-path").map(PathBuf::from),
        leave_running: matches.on("leave-running"),
        pre_dump: matches.on("pre-dump"),
        tcp_skip_in_flight: matches.on("tcp-skip-in-flight"),
        link_remap: matches.on("link-remap"),
        page_server: matches.path("page-server").map(page_server).transpose()?,
        status: matches.number("status-fd").filter(|fd| *fd != -1).map(status_fd).transpose()?,
    };
    let goes_on = options.leave_running || options.pre_dump;
    container.checkpoint(options)?;
    if !goes_on && let Err(error) = container.delete_dead() {
        // The checkpoint is there and complete, whatever is left of the container.
        log::warn!("{error}");
    }
    Ok(0)
}

/// What `checkpoint` and `restore` both take.
pub(crate) fn criu_options(matches: &Matches) -> Result<CriuOptions> {
    if let Some(other) = matches.all("empty-ns").find(|name| *name != "network") {
        return Err(Error::invalid(format!("namespace {other:?} is not supported")));
    }
    Ok(CriuOptions {
        program: matches.path("criu").map(PathBuf::from),
        image_path: absolute(Path::new(matches.path("image-path").unwrap_or(IMAGES)))?,
        work_path: matches.path("work-path").map(|path| absolute(Path::new(path))).transpose()?,
        tcp_established: matches.on("tcp-established"),
        ext_unix_sk: matches.on("ext-unix-sk"),
        shell_job: matches.on("shell-job"),
        file_locks: matches.on("file-locks"),
        auto_dedup: matches.on("auto-dedup"),
        lazy_pages: matches.on("lazy-pages"),
        cgroups_mode: cgroups_mode(matches.path("manage-cgroups-mode"))?,
    })
}

fn cgroups_mode(word: Option<&str>) -> Result<CgroupsMode> {
    Ok(match word {
        None => CgroupsMode::Default,
        Some("soft") => CgroupsMode::Soft,
        Some("full") => CgroupsMode::Full,
        Some("strict") => CgroupsMode::Strict,
        Some("ignore") => CgroupsMode::Ignore,
        Some(_) => return Err(Error::invalid("invalid manage-cgroups-mode value")),
    })
}

/// ADDRESS:PORT, an IPv6 address in brackets.
fn page_server(text: &str) -> Result<(String, u16)> {
    let form = || Error::invalid("Use --page-server ADDRESS:PORT to specify page server");
    let (address, port) = text.rsplit_once(':').ok_or_else(form)?;
    let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    if bare.is_empty() || port.is_empty() || (bare == address && address.contains(':')) {
        return Err(form());
    }
    let port = port.parse().map_err(|_| Error::invalid("Invalid port number"))?;
    Ok((bare.to_owned(), port))
}

/// Takes over an inherited descriptor, so that whoever reads it sees its end.
fn status_fd(number: i64) -> Result<OwnedFd> {
    let failed = || format!("invalid --status-fd argument {number}");
    let fd = i32::try_from(number).map_err(|_| Error::invalid(failed()))?;
    let path = format!("/proc/self/fd/{fd}");
    let copy = nix::fcntl::open(path.as_str(), OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
        .or_fail("open", failed)?;
    nix::unistd::close(fd).or_fail("close", failed)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_servers() {
        for (text, server) in [
            ("127.0.0.1:27", Some(("127.0.0.1", 27))),
            ("[::1]:65535", Some(("::1", 65535))),
            ("::1:27", None),
            (":27", None),
            ("host:", None),
            ("host", None),
            ("host:x", None),
            ("host:65536", None),
        ] {
            let read = page_server(text).ok();
            assert_eq!(read.as_ref().map(|(address, port)| (address.as_str(), *port)), server, "{text}");
        }
    }

    #[test]
    fn modes() {
        assert_eq!(cgroups_mode(None).unwrap(), CgroupsMode::Default);
        assert_eq!(cgroups_mode(Some("strict")).unwrap(), CgroupsMode::Strict);
        assert_eq!(cgroups_mode(Some("x")).unwrap_err().to_string(), "invalid manage-cgroups-mode value");
    }
}
