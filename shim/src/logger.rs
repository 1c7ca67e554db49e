//! The log: the `log` FIFO that containerd keeps in the bundle. A line that nobody reads is lost; it must never stop or
//! end the shim.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};
use nix::fcntl::OFlag;

struct Logger {
    file: Option<File>,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Opens the log. For both reading and writing, so that a reader that is gone or late is no error.
pub(crate) fn install(path: &Path, debug: bool) {
    let flags = (OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).ok();
    if let Some(file) = &file {
        // Where a panic says its last words.
        let _ = nix::unistd::dup2_stderr(file);
    }
    let logger = LOGGER.get_or_init(|| Logger { file });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(if debug { LevelFilter::Debug } else { LevelFilter::Info });
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries below tell at every level of connections that come and go.
        metadata.level() <= log::max_level() && !metadata.target().starts_with("ttrpc")
    }

    fn log(&self, record: &Record<'_>) {
        let Some(file) = self.file.as_ref().filter(|_| self.enabled(record.metadata())) else { return };
        if pinnace::wire::voice::forwarded(record) {
            return;
        }
        let level = match record.level() {
            log::Level::Warn => "warning".to_owned(),
            other => other.as_str().to_lowercase(),
        };
        let time = pinnace::container::time::now();
        let mut line = format!("time=\"{time}\" level={level} msg={:?}", record.args().to_string());
        let _ = writeln!(line, " runtime=io.containerd.pinnace.v2");
        let _ = nix::unistd::write(file, line.as_bytes());
    }

    fn flush(&self) {}
}
