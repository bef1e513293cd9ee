//! Transactions without a sequence (protocol §9.2.1): they carry a timeout instead, and each timeout only once.

use std::time::Duration;

use prost_types::Timestamp;

use crate::error::{ChainError, codes};

/// How far ahead of block time the chain lets a timeout lie.
pub const TTL_MAX: Duration = Duration::from_mins(10);
/// What verifying an unordered transaction costs above an ordered one.
pub const EXTRA_GAS: u64 = 2240;
/// Shortest time to live that the reference gives a transaction.
pub const CLIENT_TTL_MIN: Duration = Duration::from_mins(2);
/// Longest: the chain's limit less ten seconds.
pub const CLIENT_TTL_MAX: Duration = Duration::from_secs(590);
/// What the reference allows for clocks that differ.
pub const CLIENT_SKEW: Duration = Duration::from_mins(1);

/// Returns how long a transaction shall live when what it does is of use for `window` more: that less the skew, within
/// the limits; the shortest time when no window is given.
#[must_use]
pub fn time_to_live(window: Option<Duration>) -> Duration {
    window.map_or(CLIENT_TTL_MIN, |window| window.saturating_sub(CLIENT_SKEW).clamp(CLIENT_TTL_MIN, CLIENT_TTL_MAX))
}

/// Returns the timeout of a transaction built on the block of `block_time`, which lives for `ttl`.
///
/// The anchor is block time, not the wall clock: the chain compares with block time.
#[must_use]
pub fn timeout(block_time: Timestamp, ttl: Duration) -> Timestamp {
    let nanos = i64::from(block_time.nanos) + i64::from(ttl.subsec_nanos());
    let seconds = block_time.seconds.saturating_add_unsigned(ttl.as_secs()).saturating_add(nanos.div_euclid(SECOND));
    Timestamp { seconds, nanos: i32::try_from(nanos.rem_euclid(SECOND)).expect("less than a second") }
}

/// Checks an unordered transaction at block time (§9.2.1), but for its nonce, which only a node knows. A timeout that has
/// passed is refused before, by [`super::check_timeouts`].
///
/// # Errors
/// `sdk` 18 without a timeout, with one in the past or too far ahead, or with a sequence.
pub fn check(timeout: Option<Timestamp>, sequence: u64, block_time: Timestamp) -> Result<Timestamp, ChainError> {
    let invalid = &codes::sdk::INVALID_REQUEST;
    let Some(timeout) = timeout.filter(|timeout| timeout.seconds != 0) else {
        return Err(invalid.wrap("unordered transaction must have timeout_timestamp set"));
    };
    let ahead = nanoseconds(timeout) - nanoseconds(block_time);
    if ahead < 0 {
        return Err(invalid.wrap("unordered transaction has a timeout_timestamp that has already passed"));
    }
    if ahead.unsigned_abs() > TTL_MAX.as_nanos() {
        return Err(invalid.wrap("unordered tx ttl exceeds 10m0s"));
    }
    if sequence != 0 {
        return Err(invalid.wrap("sequence is not allowed for unordered transactions"));
    }
    Ok(timeout)
}

/// Returns a timestamp in nanoseconds since the epoch: the nonce under which the chain remembers a timeout.
#[must_use]
pub fn nanoseconds(time: Timestamp) -> i128 {
    i128::from(time.seconds) * i128::from(SECOND) + i128::from(time.nanos)
}

/// Returns the refusal of a second transaction of `sender` with the same timeout.
#[must_use]
pub fn nonce_used(sender: &str, timeout: Timestamp) -> ChainError {
    codes::sdk::INVALID_REQUEST.wrap(format!(
        "failed to add unordered nonce: sender {sender} has already used timeout {}",
        nanoseconds(timeout)
    ))
}

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp { seconds: 1_767_225_600, nanos: 900_000_000 };

    #[test]
    fn time_to_live_keeps_the_references_limits() {
        let minutes = |minutes| time_to_live(Some(Duration::from_mins(minutes)));
        assert_eq!(time_to_live(None), Duration::from_mins(2));
        assert_eq!(minutes(5), Duration::from_mins(4));
        assert_eq!(minutes(1), Duration::from_mins(2));
        assert_eq!(minutes(60), Duration::from_secs(590));
    }

    #[test]
    fn a_timeout_carries_nanoseconds_over() {
        let timeout = timeout(NOON, Duration::from_millis(120_200));
        assert_eq!(timeout, Timestamp { seconds: NOON.seconds + 121, nanos: 100_000_000 });
    }

    #[test]
    fn a_timeout_must_lie_between_now_and_ten_minutes_ahead() {
        let after = |ttl| Some(timeout(NOON, ttl));
        assert!(check(after(Duration::ZERO), 0, NOON).is_ok());
        assert!(check(after(TTL_MAX), 0, NOON).is_ok());
        let error = check(after(TTL_MAX + Duration::from_nanos(1)), 0, NOON).expect_err("too far");
        assert_eq!(error.text, "unordered tx ttl exceeds 10m0s: invalid request");
        let past = Timestamp { nanos: 0, ..NOON };
        assert!(check(Some(past), 0, NOON).expect_err("past").is(&codes::sdk::INVALID_REQUEST));
        assert!(check(None, 0, NOON).expect_err("none").is(&codes::sdk::INVALID_REQUEST));
        assert!(check(after(TTL_MAX), 3, NOON).expect_err("sequence").is(&codes::sdk::INVALID_REQUEST));
    }
}
