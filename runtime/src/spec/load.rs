//! Bytes → [`Spec`], strictly: bounded size and depth, UTF-8, no NUL, no duplicate key, nothing after the end. It never
//! guesses what a bundle may have meant, since another reader may guess otherwise.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::place::path_at;
use super::{Process, Resources, Spec};
use crate::error::{Error, OrFail, Result};

/// Largest file that is read, in bytes. What engines write has some ten KiB.
const MAX: u64 = 16 << 20;

/// Deepest nesting. The types know no more than some ten levels; the parser passes over what they do not know without
/// counting.
const MAX_DEPTH: usize = 64;

/// Longest part of a parser's message that is shown, in characters: it can quote what stands in the file.
const MAX_MESSAGE: usize = 400;

/// A parsed config.json beside the bytes it came from (they are kept in the state directory).
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub spec: Spec,
    /// What stood there.
    pub bytes: Vec<u8>,
}

/// Reads and parses a config.json.
///
/// # Errors
/// The file cannot be read, is too large, or is not a config.json; with the JSON path of what is wrong.
pub fn load(path: &Path) -> Result<Loaded> {
    let bytes = read(path).map_err(|e| match e.errno() {
        Some(nix::errno::Errno::ENOENT) => e.hint("a bundle's config.json can be made with `spec`"),
        _ => e,
    })?;
    let spec = parse(&bytes).map_err(|e| e.within(path.display()))?;
    Ok(Loaded { spec, bytes })
}

/// Parses a config.json.
///
/// # Errors
/// As [`load`].
pub fn parse(bytes: &[u8]) -> Result<Spec> {
    parse_strictly(bytes)
}

/// Reads the file of `exec --process`.
///
/// # Errors
/// As [`load`].
pub fn load_process(path: &Path) -> Result<Process> {
    parse_strictly(&read(path)?).map_err(|e| e.within(path.display()))
}

/// Parses a process that came otherwise than in a file.
///
/// # Errors
/// As [`load`].
pub fn parse_process(bytes: &[u8]) -> Result<Process> {
    parse_strictly(bytes)
}

/// Parses the file of `update --resources`.
///
/// # Errors
/// As [`load`].
pub fn parse_resources(bytes: &[u8]) -> Result<Resources> {
    parse_strictly(bytes)
}

/// Reads a whole file or pipe of a bounded size.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut file = File::open(path).or_fail("open", || format!("read {}", path.display()))?;
    let meta = file.metadata().or_fail("fstat", || format!("read {}", path.display()))?;
    let too_large = || Error::invalid(format!("read {}: larger than {} MiB", path.display(), MAX >> 20));
    if meta.len() > MAX {
        return Err(too_large());
    }
    // One more than there is: the read that fills it also sees the end.
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    let mut limited = Read::by_ref(&mut file).take(MAX + 1);
    limited.read_to_end(&mut bytes).or_fail("read", || format!("read {}", path.display()))?;
    if limited.limit() == 0 {
        return Err(too_large());
    }
    Ok(bytes)
}

fn parse_strictly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::invalid("starts with a byte order mark").hint("save the file as UTF-8 without it"));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let valid = bytes.get(..e.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok());
        Error::invalid(format!("line {} is not UTF-8", line_after(valid.unwrap_or(""))))
            .hint("save the file as UTF-8")
    })?;
    if let Some(line) = escaped_nul(text) {
        return Err(Error::invalid(format!("line {line} has a NUL (\\u0000)"))
            .hint("no path, name or argument can hold one"));
    }
    if is_deep(text) {
        return Err(Error::invalid(format!("nested deeper than {MAX_DEPTH} levels")));
    }
    serde_json::from_str(text).map_err(|e| explain(text, &e))
}

/// The number of the line that follows on `text`.
fn line_after(text: &str) -> usize {
    text.matches('\n').count() + 1
}

/// The line of the first `\u0000`. A raw NUL is refused by the parser, as every control character is.
fn escaped_nul(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find('\\').map(|at| at + from) {
        if text.get(at + 1..).is_some_and(|escape| escape.starts_with("u0000")) {
            return Some(line_after(text.get(..at)?));
        }
        // Past the escaped character, which can be a backslash; outside of ASCII there is no escape, nor valid JSON.
        from = at + 2;
    }
    None
}

/// Whether objects and arrays lie in each other deeper than is allowed.
fn is_deep(text: &str) -> bool {
    let mut depth = 0usize;
    let mut rest = text;
    // Most of a file is strings, which are skipped whole.
    while let Some((outside, more)) = rest.split_once('"') {
        if deepest(outside, &mut depth) > MAX_DEPTH {
            return true;
        }
        rest = behind_string(more);
    }
    deepest(rest, &mut depth) > MAX_DEPTH
}

/// The greatest depth in a piece without strings that begins at `depth`, which becomes that of its end.
fn deepest(piece: &str, depth: &mut usize) -> usize {
    let mut most = *depth;
    for byte in piece.bytes() {
        match byte {
            b'{' | b'[' => {
                *depth = depth.saturating_add(1);
                most = most.max(*depth);
            }
            b'}' | b']' => *depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// What follows on a string that has been opened.
fn behind_string(mut text: &str) -> &str {
    while let Some((inside, behind)) = text.split_once('"') {
        // The quote is the string's own behind an odd number of backslashes.
        if inside.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0 {
            return behind;
        }
        text = behind;
    }
    ""
}

/// Makes one line out of a parser's error: where in the document, what, and in which line of the file.
fn explain(text: &str, error: &serde_json::Error) -> Error {
    let path = path_at(text, error.line(), error.column());
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&place).unwrap_or(&message);
    let message = message.replace("EOF while parsing", "the file ends within");
    let mut shown: String =
        message.chars().take(MAX_MESSAGE).map(|c| if c.is_control() { '?' } else { c }).collect();
    if shown.len() < message.len() {
        shown.push('…');
    }
    let path: String = path.chars().take(MAX_MESSAGE).map(|c| if c.is_control() { '?' } else { c }).collect();
    let frame = if path.is_empty() { path } else { format!("{path}: ") };
    let error = Error::invalid(format!("{frame}{shown}{place}"));
    if shown.starts_with("the file ends") { error.hint("it was cut off, or is being written") } else { error }
}

#[cfg(test)]
#[path = "load_test.rs"]
mod tests;
