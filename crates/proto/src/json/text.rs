//! Scalars as JSON text.

use std::fmt::Write as _;

/// Appends a quoted string, escaped as Go's `encoding/json` does: control characters, quotes, `<`, `>`, `&` and the line separators.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(character)).expect("a string grows");
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Returns the shortest decimal that reads back as `number`, with an exponent outside 1e-6 to 1e21, as Go writes it.
pub(super) fn double(number: f64) -> String {
    if number.is_nan() {
        return "\"NaN\"".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && size < 1e-6 {
        format!("{number:e}")
    } else if size >= 1e21 {
        format!("{number:e}").replace('e', "e+")
    } else {
        format!("{number}")
    }
}

/// Returns `YYYY-MM-DDThh:mm:ss[.fff[fff[fff]]]Z`, or `None` outside the years 1 to 9999.
pub(super) fn timestamp(seconds: i64, nanos: i32) -> Option<String> {
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    if !(FIRST..=LAST).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let fraction = fraction(nanos.unsigned_abs());
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

/// Returns seconds with as many groups of three decimals as needed, and `s`.
pub(super) fn duration(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.unsigned_abs()))
}

fn fraction(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        _ if nanos.is_multiple_of(1_000_000) => format!(".{:03}", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1_000) => format!(".{:06}", nanos / 1_000),
        _ => format!(".{nanos:09}"),
    }
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that a leap day ends its year; 400 years repeat every 146,097 days.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_go_writes_them() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (f64::NAN, "\"NaN\""),
        ];
        for (number, text) in cases {
            assert_eq!(double(number), text);
        }
    }

    #[test]
    fn timestamps_have_as_many_decimals_as_they_need() {
        let cases = [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 500_000_000, "1969-12-31T23:59:59.500Z"),
            (951_782_400, 1_000, "2000-02-29T00:00:00.000001Z"),
            (1_795_362_548, 20_172_346, "2026-11-22T15:49:08.020172346Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
        ];
        for (seconds, nanos, text) in cases {
            assert_eq!(timestamp(seconds, nanos).as_deref(), Some(text));
        }
        assert_eq!(timestamp(253_402_300_800, 0), None);
        assert_eq!(timestamp(0, -1), None);
    }

    #[test]
    fn durations_end_in_s() {
        assert_eq!(duration(1, 500_000_000), "1.500s");
        assert_eq!(duration(0, -1), "-0.000000001s");
        assert_eq!(duration(3, 0), "3s");
    }

    #[test]
    fn strings_are_escaped_for_html() {
        let mut out = String::new();
        push_string(&mut out, "a\"\\<b>&\n\u{1}\u{2028}é");
        assert_eq!(out, "\"a\\\"\\\\\\u003cb\\u003e\\u0026\\n\\u0001\\u2028é\"");
    }
}
