//! The moment of creation as text (RFC 3339, UTC, with as many digits of the second as it has: Go's RFC3339Nano). A
//! crate for it would bring time zones and calendars; engines only ever parse this one form.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now.
pub fn now() -> String {
    // A clock before 1970 is a machine without a clock; its containers were made in 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339(since.as_secs(), since.subsec_nanos())
}

fn rfc3339(seconds: u64, nanos: u32) -> String {
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos == 0 {
        return text + "Z";
    }
    let fraction = format!("{nanos:09}");
    format!("{text}.{}Z", fraction.trim_end_matches('0'))
}

/// Days since 1970-01-01 as year, month, day in the Gregorian calendar. Years are counted from March, so that the leap
/// day is the last of its year, and in eras of 400 years, which all have the same length.
fn date(days: u64) -> (u64, u64, u64) {
    let since_era_start = days + 719_468;
    let (era, day_of_era) = (since_era_start / 146_097, since_era_start % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_date_prints_it() {
        // `date -u -d @SECONDS +%FT%TZ`
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_795_202_723, "2026-11-20T19:25:23Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds, 0), text);
        }
    }

    #[test]
    fn fractions_have_no_trailing_zero() {
        assert_eq!(rfc3339(0, 1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(rfc3339(0, 120_000_000), "1970-01-01T00:00:00.12Z");
        assert_eq!(rfc3339(0, 999_999_999), "1970-01-01T00:00:00.999999999Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = date(0);
        for days in 1..150_000 {
            let next = date(days);
            let first_of_month = next.2 == 1
                && (next.0, next.1) == if last.1 == 12 { (last.0 + 1, 1) } else { (last.0, last.1 + 1) };
            assert!(
                next == (last.0, last.1, last.2 + 1) || (first_of_month && (28..=31).contains(&last.2)),
                "{last:?} {next:?}"
            );
            last = next;
        }
    }
}
