//! Memory sizes as runc's flags take them (go-units, RAMInBytes): `4096`, `100M`, `1.5 gib`. Pure.

use super::duration::scaled;

/// The size in bytes. Units are powers of 1024 in any case, with or without `b` or `ib`; a blank may stand before
/// them; what is less than a byte is dropped. The error is runc's text with all that was typed in it.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let last = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(invalid)?;
    let (number, suffix) = text.split_at(last + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    if number.starts_with('-') {
        return Err(invalid());
    }
    let suffix = suffix.to_ascii_lowercase();
    let unit = unit(&suffix).ok_or_else(|| format!("invalid suffix: '{suffix}' in '{text}'"))?;
    let bytes = scaled(number.strip_prefix('+').unwrap_or(number), unit).ok_or_else(invalid)?;
    i64::try_from(bytes).map_err(|_| invalid())
}

fn unit(suffix: &str) -> Option<u128> {
    if suffix.is_empty() || suffix == "b" {
        return Some(1);
    }
    let power = "kmgtp".find(suffix.chars().next()?)? + 1;
    match suffix.get(1..)? {
        "" | "b" | "ib" => 1024u128.checked_pow(u32::try_from(power).ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_units_accepts() {
        for (text, bytes) in [
            ("0", 0),
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("32k", 32 << 10),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32Kib", 32 << 10),
            ("32KIB", 32 << 10),
            ("100M", 100 << 20),
            ("1g", 1 << 30),
            ("2T", 2 << 40),
            ("3pb", 3 << 50),
            ("32.5kB", 33280),
            ("32.5 kB", 33280),
            ("32.", 32),
            (".5k", 512),
            ("0.1k", 102),
            ("32 ", 32),
            ("+5", 5),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_go_units_refuses() {
        for text in [
            "", "hello", "-32", "-1k", ".", " ", "32  k", "32x", "32bm", "32kbb", "32kk", "1.2.3", "8192p",
            "3 2",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("hello"), Err("invalid size: 'hello'".into()));
        assert_eq!(parse("5X"), Err("invalid suffix: 'x' in '5X'".into()));
    }

    #[test]
    fn fuzz() {
        let seeds: [&[u8]; 5] = [b"0", b"64m", b"1.5GiB", b"-1", b"9223372036854775807"];
        crate::fuzz::run("size", &seeds, |bytes| match parse(&String::from_utf8_lossy(bytes)) {
            Ok(_) => "bytes".to_owned(),
            Err(text) => text,
        });
    }
}
