//! Annotations `org.systemd.property.NAME`: properties of the unit that config.json names itself, in GVariant's text
//! format (docs.gtk.org/glib/gvariant-text-format.html). Pure; knows the types that properties of units have.

use std::collections::BTreeMap;

use super::properties::Property;
use crate::dbus::Value;
use crate::error::{Error, Result};

const PREFIX: &str = "org.systemd.property.";

/// The properties that the annotations name.
pub(super) fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>> {
    let named = annotations.iter().filter_map(|(key, text)| Some((key.strip_prefix(PREFIX)?, key, text)));
    named.map(|(name, key, text)| property(name, text).map_err(|why| invalid(key, text, &why))).collect()
}

fn invalid(key: &str, text: &str, why: &str) -> Error {
    Error::invalid(format!("annotation {key}={text}: value parse error: {why}"))
        .hint("the value is GVariant text, such as 'a string', true, uint64 5, ['a', 'b']")
}

fn property(name: &str, text: &str) -> Result<Property, String> {
    if name.len() < 3 || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(format!("{name:?} is no name of a property"));
    }
    let mut parser = Parser { rest: text.trim() };
    let value = parser.value()?;
    if !parser.rest.trim().is_empty() {
        return Err(format!("{:?} is left over", parser.rest.trim()));
    }
    // In unit files these are seconds; over D-Bus they are microseconds under another name.
    if let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        return Ok(Property::new(format!("{stem}USec"), Value::U64(microseconds(&value)?)));
    }
    Ok(Property::new(name, value))
}

fn microseconds(value: &Value) -> Result<u64, String> {
    let whole = match value {
        Value::U32(n) => Some(u64::from(*n)),
        Value::I32(n) => u64::try_from(*n).ok(),
        Value::I64(n) => u64::try_from(*n).ok(),
        Value::U64(n) => Some(*n),
        // Through text: no cast, and as many digits as microseconds have.
        Value::F64(n) => return format!("{:.0}", n * 1e6).parse().map_err(|_| "no number of seconds".into()),
        _ => None,
    };
    whole.and_then(|n| n.checked_mul(1_000_000)).ok_or_else(|| "no number of seconds".to_owned())
}

struct Parser<'a> {
    rest: &'a str,
}

/// Keywords that say which number follows.
const NUMBERS: [(&str, &str); 7] = [
    ("int32", "i"),
    ("uint32", "u"),
    ("handle", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
];

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Value, String> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next() {
            None => Err("nothing there".to_owned()),
            Some('\'' | '"') => self.string().map(Value::Str),
            Some('[') => self.array(None),
            Some('(') => self.list('(', ')').map(Value::Struct),
            Some('@') => self.annotated(),
            Some(_) => self.word(),
        }
    }

    fn token(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| c.is_whitespace() || ",])".contains(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    fn word(&mut self) -> Result<Value, String> {
        match self.token() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            word => match NUMBERS.iter().find(|(keyword, _)| *keyword == word) {
                Some((_, "s")) => self.value(),
                Some((_, kind)) => {
                    self.rest = self.rest.trim_start();
                    number(self.token(), kind)
                }
                None if word.contains(['.', 'e']) && !word.starts_with("0x") => number(word, "d"),
                None => number(word, "i"),
            },
        }
    }

    /// `@as []`: a value of a type that is named.
    fn annotated(&mut self) -> Result<Value, String> {
        let kind = self.token().trim_start_matches('@');
        self.rest = self.rest.trim_start();
        match kind.strip_prefix('a') {
            Some(of) => self.array(Some(of)),
            None if "iuxtd".contains(kind) => number(self.token(), kind),
            None => {
                let value = self.value()?;
                if value.signature() == kind { Ok(value) } else { Err(format!("it is no {kind:?}")) }
            }
        }
    }

    fn array(&mut self, of: Option<&str>) -> Result<Value, String> {
        let items = self.list('[', ']')?;
        let of = match (of, items.first()) {
            (Some(of), _) => of.to_owned(),
            (None, Some(first)) => first.signature(),
            (None, None) => return Err("an empty array needs its type: @as []".to_owned()),
        };
        if items.iter().any(|item| item.signature() != of) {
            return Err(format!("the items of an array must all be {of:?}"));
        }
        Ok(Value::Array(of, items))
    }

    fn list(&mut self, open: char, close: char) -> Result<Vec<Value>, String> {
        let missing = || format!("no {close:?}");
        self.rest = self.rest.strip_prefix(open).ok_or_else(|| format!("no {open:?}"))?;
        let mut items = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Ok(items);
            }
            if !items.is_empty() {
                self.rest = self.rest.strip_prefix(',').ok_or_else(missing)?.trim_start();
                // (1,) has one field.
                if self.rest.starts_with(close) {
                    continue;
                }
            }
            if items.len() > 1000 || self.rest.is_empty() {
                return Err(missing());
            }
            items.push(self.value()?);
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let mut chars = self.rest.char_indices();
        let quote = chars.next().map_or('\'', |(_, quote)| quote);
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Ok(text);
                }
                '\\' => text.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, 't')) => '\t',
                    Some((_, c)) => c,
                    None => break,
                }),
                '\0' => break,
                c => text.push(c),
            }
        }
        Err(format!("the string does not end with {quote}"))
    }
}

fn number(text: &str, kind: &str) -> Result<Value, String> {
    let wrong = || format!("{text:?} is no number of type {kind:?}");
    if kind == "d" {
        return text.parse().map(Value::F64).map_err(|_| wrong());
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let size = match digits.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16),
        None => digits.parse::<i128>(),
    };
    let number = size.map(|n| if negative { -n } else { n }).map_err(|_| wrong())?;
    let value = match kind {
        "i" => i32::try_from(number).map(Value::I32),
        "u" => u32::try_from(number).map(Value::U32),
        "x" => i64::try_from(number).map(Value::I64),
        _ => u64::try_from(number).map(Value::U64),
    };
    value.map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, text: &str) -> Result<(String, Value), String> {
        property(name, text).map(|property| (property.name, property.value))
    }

    #[test]
    fn values() {
        let strings = |list: &[&str]| Value::Array("s".into(), list.iter().map(|s| (*s).into()).collect());
        for (text, value) in [
            ("true", Value::Bool(true)),
            (" 'inactive-or-failed' ", "inactive-or-failed".into()),
            (r#""it's \"so\"""#, "it's \"so\"".into()),
            ("15", Value::I32(15)),
            ("-1", Value::I32(-1)),
            ("uint32 0x10", Value::U32(16)),
            ("uint64 18446744073709551615", Value::U64(u64::MAX)),
            ("int64 -5", Value::I64(-5)),
            ("@t 7", Value::U64(7)),
            ("1.5", Value::F64(1.5)),
            ("['a', 'b']", strings(&["a", "b"])),
            ("@as []", strings(&[])),
            ("('a', uint64 1)", Value::Struct(vec!["a".into(), Value::U64(1)])),
        ] {
            assert_eq!(parsed("Name", text), Ok(("Name".to_owned(), value)), "{text}");
        }
    }

    #[test]
    fn seconds_become_microseconds() {
        for (name, text, expected, microseconds) in [
            ("TimeoutStopSec", "uint64 10", "TimeoutStopUSec", 10_000_000),
            ("TimeoutStopSec", "1.5", "TimeoutStopUSec", 1_500_000),
            ("TimeoutStopUSec", "uint64 7", "TimeoutStopUSec", 7),
        ] {
            assert_eq!(
                parsed(name, text),
                Ok((expected.to_owned(), Value::U64(microseconds))),
                "{name} {text}"
            );
        }
    }

    #[test]
    fn refused() {
        for (name, text) in [
            ("Name", ""),
            ("Name", "word"),
            ("Name", "'open"),
            ("Name", "['a', 1]"),
            ("Name", "[]"),
            ("Name", "['a'"),
            ("Name", "('a' 'b')"),
            ("Name", "uint32 -1"),
            ("Name", "4294967296"),
            ("Name", "1 2"),
            ("Name", "@as 5"),
            ("TimeoutStopSec", "'x'"),
            ("TimeoutStopSec", "-1"),
            ("x", "true"),
            ("A b c", "true"),
        ] {
            assert!(parsed(name, text).is_err(), "{name}={text}");
        }
        let map = BTreeMap::from([("org.systemd.property.Foo".to_owned(), "x".to_owned())]);
        let error = properties(&map).unwrap_err().to_string();
        assert!(error.starts_with("annotation org.systemd.property.Foo=x: value parse error"), "{error}");
    }
}
