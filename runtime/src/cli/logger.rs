//! The log, in runc's two forms, which engines parse: text, or one JSON object a line. It only writes to the file that
//! `--log` names or to standard error, a whole line at once, and never fails for a line that could not be written.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::grammar::Matches;
use crate::error::{Error, OrFail, Result};
use crate::wire::voice::forwarded;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

#[derive(Debug)]
struct Logger {
    form: Form,
    file: Option<File>,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Starts the log as `--log`, `--log-format` and `--debug` say. Before this, and when it fails, nothing is logged.
pub(crate) fn install(matches: &Matches) -> Result<()> {
    let form = match matches.text("log-format") {
        None | Some("" | "text") => Form::Text,
        Some("json") => Form::Json,
        Some(other) => return Err(Error::invalid(format!("invalid log-format: {other}"))),
    };
    let file = matches.path("log").map(open).transpose()?;
    set(Logger { form, file }, matches.on("debug"));
    Ok(())
}

/// Starts the log on standard error as text, for a command line whose own choice can't be had.
pub(crate) fn install_plain() {
    set(Logger { form: Form::Text, file: None }, false);
}

fn set(logger: Logger, debug: bool) {
    let logger = LOGGER.get_or_init(|| logger);
    // An error means that there is a logger already: the program's own, which stays.
    if log::set_logger(logger).is_ok() {
        log::set_max_level(if debug { LevelFilter::Debug } else { LevelFilter::Info });
    }
}

fn open(path: &str) -> Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path)
        .or_fail("open", || format!("open the log {}", Path::new(path).display()))
}

/// Reports the error that ends the program: in the log and, if that is a file, on standard error for whoever watches.
pub(crate) fn fatal(text: &str) {
    log::error!("{text}");
    if LOGGER.get().is_some_and(|logger| logger.file.is_some()) {
        write_all(std::io::stderr().as_fd(), format!("{text}\n").as_bytes());
    }
}

/// Reports an error that whoever watches has seen already: in the log, if that is a file.
pub(crate) fn beside(error: &Error) {
    if LOGGER.get().is_some_and(|logger| logger.file.is_some()) {
        log::error!("{error}");
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || forwarded(record) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let message = record.args().to_string();
        // Where a line comes from is worth its room only to whoever asked for everything; an error says it itself.
        let place = (log::max_level() >= LevelFilter::Debug && record.level() > Level::Error)
            .then(|| (record.file(), record.line()));
        let place = match place {
            Some((Some(file), Some(line))) => Some(format!("{file}:{line}")),
            _ => None,
        };
        let line = line(self.form, now, record.level(), &message, place.as_deref());
        match &self.file {
            Some(file) => write_all(file.as_fd(), line.as_bytes()),
            None => write_all(std::io::stderr().as_fd(), line.as_bytes()),
        }
    }

    fn flush(&self) {}
}

/// Appends in one call, so that the lines of two writers don't mix; there is nobody to tell of a failure.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn line(form: Form, now: u64, level: Level, message: &str, place: Option<&str>) -> String {
    let time = rfc3339(now);
    // logrus' words.
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let mut line = String::with_capacity(message.len() + 80);
    match form {
        Form::Text => {
            let _ = write!(line, "time=\"{time}\" level={level} msg={}", quoted(message));
            if let Some(place) = place {
                let _ = write!(line, " file={}", quoted(place));
            }
        }
        // The keys are sorted, as logrus has them.
        Form::Json => {
            line.push('{');
            if let Some(place) = place {
                let _ = write!(line, "\"file\":{},", json(place));
            }
            let _ = write!(line, "\"level\":\"{level}\",\"msg\":{},\"time\":\"{time}\"}}", json(message));
        }
    }
    line.push('\n');
    line
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `text` in double quotes with Go's escapes: one line whatever is in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let code = u32::from(c);
                let _ = if code < 0x80 {
                    write!(quoted, "\\x{code:02x}")
                } else {
                    write!(quoted, "\\u{code:04x}")
                };
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Seconds since 1970 as a UTC date and time (RFC 3339).
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut day) = (1970, days);
    let length = |year: u64| {
        if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) {
            366
        } else {
            365
        }
    };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let february = length(year) - 337;
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_599, "1972-02-28T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_198_523, "2026-11-20T18:15:23Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }

    #[test]
    fn text_lines() {
        assert_eq!(
            line(Form::Text, 0, Level::Error, "no \"such\"\nthing\u{1b}", None),
            "time=\"1970-01-01T00:00:00Z\" level=error msg=\"no \\\"such\\\"\\nthing\\x1b\"\n"
        );
        assert_eq!(
            line(Form::Text, 0, Level::Warn, "ü", Some("a.rs:1")),
            "time=\"1970-01-01T00:00:00Z\" level=warning msg=\"ü\" file=\"a.rs:1\"\n"
        );
    }

    #[test]
    fn json_lines_have_sorted_keys() {
        assert_eq!(
            line(Form::Json, 0, Level::Error, "no \"such\"\n", None),
            "{\"level\":\"error\",\"msg\":\"no \\\"such\\\"\\n\",\"time\":\"1970-01-01T00:00:00Z\"}\n"
        );
        assert!(
            line(Form::Json, 0, Level::Debug, "m", Some("a.rs:1"))
                .starts_with("{\"file\":\"a.rs:1\",\"level\":")
        );
    }
}
