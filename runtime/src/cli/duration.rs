//! Durations as Go writes them (time.ParseDuration): `5s`, `1h2m`, `1.5ms`, `-3us`. Pure.

/// The duration in nanoseconds, or nothing if `text` is not one.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0u128;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        total = total.checked_add(scaled(digits, nanoseconds(unit)?)?)?;
        rest = tail;
    }
    let total = i64::try_from(total).ok()?;
    Some(if negative { -total } else { total })
}

fn nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        // Both micro signs: U+00B5 and U+03BC.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `digits` (with or without a point in it) times `unit`, rounded down.
pub(super) fn scaled(digits: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    // More digits than these are worth less than the smallest unit.
    let fraction = fraction.get(..fraction.len().min(18))?;
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    number(whole)?.checked_mul(unit)?.checked_add(number(fraction)?.checked_mul(unit)? / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_accepts() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("+0", 0),
            ("5s", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("100ms", 100_000_000),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("7μs", 7_000),
            ("-3ns", -3),
            ("1h0m0.000000001s", 3_600_000_000_001),
        ] {
            assert_eq!(parse(text), Some(nanoseconds), "{text}");
        }
    }

    #[test]
    fn what_go_refuses() {
        for text in
            ["", "5", "-", "+", "s", ".s", "5 s", "1d", "1.2.3s", "s5", "--5s", "99999999999h", "5S", "1s2"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn fuzz() {
        let seeds: [&[u8]; 5] =
            [b"0", b"1h2m3.5s", b"-1us", b"9223372036854775807ns", b"1.00000000000000000001h"];
        crate::fuzz::run("duration", &seeds, |bytes| {
            format!("{}", parse(&String::from_utf8_lossy(bytes)).is_some())
        });
    }
}
