//! The few shapes that counters have in cgroup files. What is not there reads as nothing; what can't be read is an
//! error.

use std::collections::BTreeMap;

use nix::errno::Errno;

use crate::cgroup::dir::Dir;
use crate::error::{Error, Result};

/// What a file says that may be absent (another kernel, a controller that is off, a cgroup that is being removed).
fn text(dir: &Dir, file: &str) -> Result<Option<String>> {
    match dir.read(file) {
        Ok(text) => Ok(Some(text)),
        Err(Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) => Err(unread(dir, file, errno)),
    }
}

/// The error of a file that could not be read.
pub(super) fn unread(dir: &Dir, file: &str, errno: Errno) -> Error {
    dir.unread(file, errno).within("unable to get container cgroup stats")
}

/// The lines of a file.
pub(super) fn lines(dir: &Dir, file: &str) -> Result<Vec<String>> {
    Ok(text(dir, file)?.iter().flat_map(|t| t.lines()).map(str::to_owned).collect())
}

/// One number; `max` is the largest.
pub(super) fn number(dir: &Dir, file: &str) -> Result<Option<u64>> {
    Ok(text(dir, file)?.and_then(|t| parse(t.trim())))
}

/// Numbers between spaces.
pub(super) fn numbers(dir: &Dir, file: &str) -> Result<Vec<u64>> {
    Ok(text(dir, file)?.map(|t| t.split_whitespace().filter_map(parse).collect()).unwrap_or_default())
}

/// Lines of `key number`.
pub(super) fn key_values(dir: &Dir, file: &str) -> Result<BTreeMap<String, u64>> {
    let text = text(dir, file)?.unwrap_or_default();
    Ok(text
        .lines()
        .filter_map(|l| l.split_once(' '))
        .filter_map(|(k, v)| Some((k.to_owned(), parse(v.trim())?)))
        .collect())
}

/// `0-2,7` as 0, 1, 2, 7.
pub(super) fn list(dir: &Dir, file: &str) -> Result<Vec<u16>> {
    Ok(text(dir, file)?.map(|t| parse_list(t.trim())).unwrap_or_default())
}

/// A counter that a kernel bug drove below 0 is 0.
fn parse(text: &str) -> Option<u64> {
    match text {
        "max" => Some(u64::MAX),
        text if text.starts_with('-') => text.parse::<i64>().ok().map(|_| 0),
        text => text.parse().ok(),
    }
}

fn parse_list(text: &str) -> Vec<u16> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse()) {
            all.extend(first..=last);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for (text, number) in
            [("12", Some(12)), ("max", Some(u64::MAX)), ("-5", Some(0)), ("", None), ("x", None)]
        {
            assert_eq!(parse(text), number, "{text:?}");
        }
        for (text, expected) in
            [("0-2,7", &[0, 1, 2, 7][..]), ("3", &[3]), ("", &[]), ("0-1,3-4", &[0, 1, 3, 4])]
        {
            assert_eq!(parse_list(text), expected, "{text:?}");
        }
    }

    #[test]
    fn fuzz() {
        crate::fuzz::run(
            "cgroup-numbers",
            &[b"12", b"max", b"-5", b"0-3,5,7-9", b"", b"65535-65536"],
            |bytes| {
                let text = String::from_utf8_lossy(bytes);
                format!("{} {}", parse(&text).is_some(), "x".repeat(parse_list(&text).len().min(9)))
            },
        );
    }
}
