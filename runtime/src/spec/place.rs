//! The place in a JSON document that a parser's error points at, as a path: `linux.namespaces[1].type`. Found again from
//! the text, so that parsing itself keeps no path, which would cost as much as the parsing. It never judges the text:
//! up to that place the parser has accepted it.

use std::fmt::Write as _;

/// One level of nesting on the way to the place.
enum Level<'t> {
    /// In an object, at the value of this key; none: between two values.
    Object(Option<&'t str>),
    /// In an array, at this item.
    Array(usize),
}

/// The path that stands open after the first `column` bytes of line `line` (both as serde_json counts: from 1 on).
pub(super) fn path_at(text: &str, line: usize, column: usize) -> String {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = (before + column).min(text.len());
    let mut levels: Vec<Level<'_>> = Vec::new();
    // The last string, which is a key once a colon follows.
    let mut word = None;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < end {
        match bytes[at] {
            b'"' => {
                let close = string_end(bytes, at);
                word = text.get(at + 1..close);
                at = close;
            }
            b':' => {
                if let Some(Level::Object(key)) = levels.last_mut() {
                    *key = word.take();
                }
            }
            b',' => match levels.last_mut() {
                Some(Level::Object(key)) => *key = None,
                Some(Level::Array(index)) => *index += 1,
                None => {}
            },
            b'{' => levels.push(Level::Object(None)),
            b'[' => levels.push(Level::Array(0)),
            b'}' | b']' => drop(levels.pop()),
            _ => {}
        }
        at += 1;
    }
    shown(&levels)
}

/// Where the string that begins at `open` is closed, or the end.
fn string_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn shown(levels: &[Level<'_>]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object(Some(key)) => {
                let dot = if path.is_empty() { "" } else { "." };
                let _ = write!(path, "{dot}{key}");
            }
            Level::Array(index) => {
                let _ = write!(path, "[{index}]");
            }
            Level::Object(None) => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let text = "{\"a\": {\"b\\\"\": [1, {\"c\": \"x,]:\"}, 3]},\n \"d\": 4}";
        for (until, path) in [
            ("{\"a\"", ""),
            ("{\"a\":", "a"),
            ("[1", "a.b\\\"[0]"),
            ("\"c\": \"x,]:\"", "a.b\\\"[1].c"),
            ("x,]:\"}", "a.b\\\"[1]"),
            ("3", "a.b\\\"[2]"),
            ("3]", "a.b\\\""),
            ("3]}", "a"),
        ] {
            let column = text.find(until).unwrap() + until.len();
            assert_eq!(path_at(text, 1, column), path, "{until}");
        }
        assert_eq!(path_at(text, 2, 7), "d");
        assert_eq!(path_at(text, 2, 8), "");
        for (line, column) in [(0, 0), (9, 9), (1, 999)] {
            path_at(text, line, column);
            path_at("{\"a\":\"b\\", line, column);
        }
    }
}
