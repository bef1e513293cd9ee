//! Decimals with eighteen places, as the SDK writes them, in units of 10^-18.

/// One.
pub const ONE: u128 = 1_000_000_000_000_000_000;

/// Reads a decimal without sign, with up to 18 places.
pub fn parse(text: &str) -> Option<u128> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || places.len() > 18 || !digits(whole) || !digits(places) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let places: u128 = format!("{places:0<18}").parse().ok()?;
    whole.checked_mul(ONE)?.checked_add(places)
}

/// Writes all eighteen places.
pub fn text(value: u128) -> String {
    format!("{}.{:018}", value / ONE, value % ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_as_they_are_written() {
        for (from, to) in
            [("0.1", "0.100000000000000000"), ("7", "7.000000000000000000"), ("0", "0.000000000000000000")]
        {
            assert_eq!(text(parse(from).expect(from)), to);
        }
        for bad in ["", ".5", "-1", "1e3", "0.1234567890123456789", "1.2.3"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
