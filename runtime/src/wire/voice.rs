//! What a cloned child logs: said over the wire, logged by the parent. It must never write to the front end's own log,
//! whose descriptor the child has closed and whose number may be another file's by then.

use std::sync::atomic::{AtomicI32, Ordering};

use log::{Level, Record};

use super::{LOG, shortened};
use crate::sys::socket;

/// This process was not cloned by the runtime, or is the runtime: it logs itself.
const OWN: i32 = -1;
/// Nobody listens any more.
const SILENT: i32 = -2;

/// The child's end of the wire, by number. A cloned child has this word to itself.
static VOICE: AtomicI32 = AtomicI32::new(OWN);

const LEVELS: [(Level, u8); 5] = [
    (Level::Error, b'e'),
    (Level::Warn, b'w'),
    (Level::Info, b'i'),
    (Level::Debug, b'd'),
    (Level::Trace, b't'),
];

/// From here on this process speaks over `fd`.
pub(super) fn give(fd: i32) {
    VOICE.store(fd, Ordering::Relaxed);
}

/// From here on nobody hears this process: it is parked, or has its program before it.
pub(super) fn take() {
    VOICE.store(SILENT, Ordering::Relaxed);
}

/// Whether the record was one of a cloned child and is dealt with. A front end's logger asks this first.
#[must_use]
pub fn forwarded(record: &Record<'_>) -> bool {
    match VOICE.load(Ordering::Relaxed) {
        OWN => false,
        SILENT => true,
        fd => {
            let level =
                LEVELS.iter().find(|(level, _)| *level == record.level()).map_or(b'd', |(_, byte)| *byte);
            let mut packet = vec![LOG, level];
            packet.extend(record.line().unwrap_or(0).to_le_bytes());
            packet.extend(record.file().unwrap_or_default().bytes());
            packet.push(0);
            packet.extend(shortened(&record.args().to_string()).into_bytes());
            // There is nobody to tell of a failure.
            let _ = socket::write_to_number(fd, &packet);
            true
        }
    }
}

/// Logs what a child has said: the bytes of its packet behind the first. False: that was no such word.
pub(super) fn log(packet: &[u8]) -> bool {
    let [level, a, b, c, d, rest @ ..] = packet else { return false };
    let Some((level, _)) = LEVELS.iter().find(|(_, byte)| byte == level) else { return false };
    let Some(end) = rest.iter().position(|byte| *byte == 0) else { return false };
    let (file, text) = rest.split_at(end);
    let (file, text) = (String::from_utf8_lossy(file), String::from_utf8_lossy(&text[1..]));
    if *level <= log::max_level() {
        log::logger().log(
            &Record::builder()
                .level(*level)
                .target(module_path!())
                .file(Some(&file))
                .line(Some(u32::from_le_bytes([*a, *b, *c, *d])))
                .args(format_args!("{text}"))
                .build(),
        );
    }
    true
}
