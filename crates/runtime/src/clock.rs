//! What time it is: monotonic for waiting, Unix for saying when.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Returns the monotonic instant, tokio's, so that tests and simulations can pause it.
pub fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Returns the wall clock; in a simulation a fixed epoch plus the simulated time that has passed.
pub fn unix() -> UnixTime {
    #[cfg(feature = "simulation")]
    if let Some(time) = crate::simulation::unix() {
        return time;
    }
    system()
}

#[expect(clippy::disallowed_methods, reason = "this is the door to the system's wall clock")]
fn system() -> UnixTime {
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => UnixTime(duration_nanos(after)),
        Err(before) => UnixTime(-duration_nanos(before.duration())),
    }
}

fn duration_nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).expect("a duration is at most 2^64 seconds, which fits 128 bits in nanoseconds")
}

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, leap seconds ignored, negative before.
///
/// The range is that of a protobuf `Timestamp` with any `i64` of seconds, so no parsed time overflows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(i128);

impl UnixTime {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// Builds a time from whole seconds and the nanoseconds after them (the parts of a protobuf `Timestamp`).
    pub const fn from_parts(seconds: i64, nanos: u32) -> Self {
        Self(seconds as i128 * NANOS_PER_SECOND + nanos as i128)
    }

    /// Builds a time from whole seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_parts(seconds, 0)
    }

    /// Builds a time from milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis as i128 * 1_000_000)
    }

    /// Builds a time from all its nanoseconds.
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// Returns whole seconds since the epoch, rounded down; saturates outside `i64`.
    pub fn seconds(self) -> i64 {
        saturate(self.0.div_euclid(NANOS_PER_SECOND))
    }

    /// Returns the nanoseconds after [`Self::seconds`], below one thousand million.
    pub fn nanos(self) -> u32 {
        u32::try_from(self.0.rem_euclid(NANOS_PER_SECOND)).expect("a remainder below 10^9 fits 32 bits")
    }

    /// Returns whole milliseconds since the epoch, rounded down; saturates outside `i64`.
    pub fn millis(self) -> i64 {
        saturate(self.0.div_euclid(1_000_000))
    }

    /// Returns all nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i128 {
        self.0
    }

    /// Returns how long after `earlier` this is, or zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = self.0.saturating_sub(earlier.0).max(0);
        let seconds = u64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(u64::MAX);
        let rest = u32::try_from(nanos % NANOS_PER_SECOND).expect("a remainder below 10^9 fits 32 bits");
        Duration::new(seconds, rest)
    }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration_nanos(duration)))
    }
}

impl Sub<Duration> for UnixTime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration_nanos(duration)))
    }
}

/// RFC 3339 in UTC with as many fractional digits as needed; outside the years 0 to 9999, `@seconds.nanos`.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(self.0).ok().and_then(|time| time.format(&Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "@{}.{:09}", self.seconds(), self.nanos()),
        }
    }
}

impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a time: write it as 2026-01-31T12:00:00Z (RFC 3339)")]
pub struct ParseTimeError {
    text: String,
    #[source]
    source: time::error::Parse,
}

impl FromStr for UnixTime {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|time| Self(time.unix_timestamp_nanos()))
            .map_err(|source| ParseTimeError { text: text.to_owned(), source })
    }
}

impl Serialize for UnixTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_rfc3339() {
        for (time, text) in [
            (UnixTime::EPOCH, "1970-01-01T00:00:00Z"),
            (UnixTime::from_parts(1_700_000_000, 120_000_000), "2023-11-14T22:13:20.12Z"),
            (UnixTime::from_parts(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z"),
            (UnixTime::from_seconds(-62_135_596_800), "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse::<UnixTime>().unwrap(), time);
        }
        assert!("yesterday".parse::<UnixTime>().unwrap_err().to_string().contains("`yesterday` is not a time"));
    }

    #[test]
    fn times_out_of_the_calendar_still_print() {
        assert_eq!(UnixTime::from_parts(i64::MAX, 5).to_string(), format!("@{}.000000005", i64::MAX));
    }

    #[test]
    fn parts_round_down_before_the_epoch() {
        let time = UnixTime::from_nanos(-1);
        assert_eq!((time.seconds(), time.nanos(), time.millis()), (-1, 999_999_999, -1));
        assert_eq!(UnixTime::from_parts(time.seconds(), time.nanos()), time);
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let late = UnixTime::from_seconds(10) + Duration::from_millis(1500);
        assert_eq!(late.millis(), 11_500);
        assert_eq!(late.since(UnixTime::from_seconds(10)), Duration::from_millis(1500));
        assert_eq!(UnixTime::EPOCH.since(late), Duration::ZERO);
        assert_eq!(late - Duration::from_millis(1500), UnixTime::from_seconds(10));
    }
}
