//! A timeline of one call, of the runtime and of the process that it makes, for Perfetto and chrome://tracing. Where
//! nobody has asked for it a span costs one branch; it must never make a call fail.
//!
//! Both sides write into memory that is shared over the clone.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::time::{ClockId, clock_gettime};

use crate::error::{OrFail, Result};
use crate::sys::shared;

/// As many spans are kept.
const SPANS: usize = 512;

/// Words of a span: its side, or 0 for none; two of the name; begin and end in nanoseconds.
const WORDS: usize = 5;

/// Longest name, in bytes.
const NAME: usize = 16;

struct Trace {
    file: File,
    /// The next free span, then the spans.
    words: &'static [AtomicU64],
}

static TRACE: OnceLock<Trace> = OnceLock::new();
static ON: AtomicBool = AtomicBool::new(false);
/// This process is one that the runtime has cloned.
static CHILD: AtomicBool = AtomicBool::new(false);

/// Begins a trace that [`finish`] writes to `path`.
///
/// # Errors
/// The file can't be made.
pub fn begin(path: &Path) -> Result<()> {
    let what = || format!("make the trace {}", path.display());
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path);
    let file = file.or_fail("open", what)?;
    let words = shared::words(1 + SPANS * WORDS).or_fail("mmap", what)?;
    if TRACE.set(Trace { file, words }).is_ok() {
        ON.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Something that takes time, from its making to its end.
#[derive(Debug)]
#[must_use]
pub struct Span(Option<(&'static str, u64)>);

/// Begins a span. Of its name the first 16 bytes are shown.
#[inline]
pub fn span(name: &'static str) -> Span {
    Span(if ON.load(Ordering::Relaxed) { Some((name, now())) } else { None })
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if let Some((name, begin)) = self.0 {
            ended(name, begin);
        }
    }
}

#[cold]
fn ended(name: &str, begin: u64) {
    let Some(trace) = TRACE.get() else { return };
    let [next, spans @ ..] = trace.words else { return };
    let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(SPANS);
    let Some([side, first, second, from, to]) = spans.get(place * WORDS..(place + 1) * WORDS) else { return };
    let mut letters = [0; NAME];
    letters.iter_mut().zip(name.bytes()).for_each(|(letter, byte)| *letter = byte);
    let letters = u128::from_ne_bytes(letters);
    first.store(u64::try_from(letters >> 64).unwrap_or(0), Ordering::Relaxed);
    second.store(u64::try_from(letters & u128::from(u64::MAX)).unwrap_or(0), Ordering::Relaxed);
    from.store(begin, Ordering::Relaxed);
    to.store(now(), Ordering::Relaxed);
    // Written last: a span without it is one that is being written.
    side.store(if CHILD.load(Ordering::Relaxed) { 2 } else { 1 }, Ordering::Release);
}

/// Says that this process is the child.
pub fn enter_child() {
    CHILD.store(true, Ordering::Relaxed);
}

/// Nanoseconds. Container and host read the same clock, but for a time namespace's offset.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
    time.map_or(0, |time| {
        time.tv_sec().unsigned_abs().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec().unsigned_abs())
    })
}

/// Writes the trace, if there is one. Called once more, it writes what has come since too.
pub fn finish() {
    let Some(Trace { file, words: [_, spans @ ..] }) = TRACE.get() else { return };
    let text = events(spans);
    let written = file.set_len(0).and_then(|()| {
        let mut file = file;
        std::io::Seek::rewind(&mut file)?;
        file.write_all(text.as_bytes())
    });
    if let Err(error) = written {
        log::warn!("write the trace: {error}");
    }
}

/// The Trace Event Format's JSON, times in microseconds.
fn events(spans: &[AtomicU64]) -> String {
    let mut text = String::from("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    for (process, name) in [(1, "runtime"), (2, "container")] {
        let _ = write!(
            text,
            "{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{process},\"tid\":{process},\"args\":{{\"name\":\"{name}\"}}}},"
        );
    }
    for span in spans.chunks_exact(WORDS) {
        let [side, first, second, from, to] = span else { continue };
        let side = side.load(Ordering::Acquire);
        if side == 0 {
            continue;
        }
        let [first, second, from, to] = [first, second, from, to].map(|word| word.load(Ordering::Relaxed));
        let letters = (u128::from(first) << 64 | u128::from(second)).to_ne_bytes();
        let name = String::from_utf8_lossy(letters.split(|letter| *letter == 0).next().unwrap_or_default());
        let length = to.saturating_sub(from);
        let _ = write!(
            text,
            "\n{{\"ph\":\"X\",\"name\":\"{name}\",\"pid\":{side},\"tid\":{side},\"ts\":{}.{:03},\"dur\":{}.{:03}}},",
            from / 1000,
            from % 1000,
            length / 1000,
            length % 1000
        );
    }
    // Every event has left a comma.
    text.pop();
    text.push_str("\n]}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_json_with_both_sides() {
        let text = |name: &[u8; 16]| {
            let letters = u128::from_ne_bytes(*name);
            [u64::try_from(letters >> 64).unwrap(), u64::try_from(letters & u128::from(u64::MAX)).unwrap()]
        };
        let ([a, b], [c, d]) = (text(b"load\0\0\0\0\0\0\0\0\0\0\0\0"), text(b"sixteen letters!"));
        let words = [1, a, b, 1_234_567, 2_234_568, 0, a, b, 5, 5, 2, c, d, 7, 7];
        let words: Vec<AtomicU64> = words.map(AtomicU64::new).into();
        let json: serde_json::Value = serde_json::from_str(&events(&words)).unwrap();
        let events = json["traceEvents"].as_array().unwrap();
        assert_eq!(events.len(), 4, "{json}");
        assert_eq!((events[2]["name"].as_str(), events[2]["pid"].as_u64()), (Some("load"), Some(1)));
        assert_eq!((events[2]["ts"].as_f64(), events[2]["dur"].as_f64()), (Some(1234.567), Some(1000.001)));
        assert_eq!(
            (events[3]["name"].as_str(), events[3]["pid"].as_u64()),
            (Some("sixteen letters!"), Some(2))
        );
        assert_eq!(events[3]["dur"].as_f64(), Some(0.0));
    }

    #[test]
    fn nothing_is_kept_where_nobody_asked() {
        assert!(span("load").0.is_none());
    }
}
