//! Block time: nanoseconds since 1970, and the forms it is written in.

use std::fmt;

use crate::header::wire;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A moment in UTC with nanoseconds, from year 1 to year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds within the second, below 10^9.
    pub nanos: u32,
}

impl Time {
    /// Returns the moment that many nanoseconds after 1970.
    pub fn from_nanos(nanos: i128) -> Self {
        let seconds = nanos.div_euclid(NANOS_PER_SECOND);
        Self {
            seconds: i64::try_from(seconds).unwrap_or(if seconds < 0 { i64::MIN } else { i64::MAX }),
            nanos: u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).unwrap_or(0),
        }
    }

    /// Returns nanoseconds since 1970.
    pub fn as_nanos(self) -> i128 {
        i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos)
    }

    /// Returns this moment moved by so many nanoseconds.
    #[must_use]
    pub fn plus_nanos(self, nanos: i128) -> Self {
        Self::from_nanos(self.as_nanos() + nanos)
    }

    /// Reads RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
        Some(Self::from_nanos(parsed.unix_timestamp_nanos()))
    }

    /// Writes as the node's JSON does: UTC, nanoseconds without trailing zeros, `Z`.
    pub fn to_rfc3339(self) -> String {
        let (date, clock) = self.civil();
        let mut text = format!("{date}T{clock}");
        if self.nanos != 0 {
            let digits = format!("{:09}", self.nanos);
            text.push('.');
            text.push_str(digits.trim_end_matches('0'));
        }
        text.push('Z');
        text
    }

    /// Writes as Go prints a time in the logs of refused transactions: `2026-11-22 16:08:30.165065918 +0000 UTC`.
    pub fn to_go_text(self) -> String {
        let (date, clock) = self.civil();
        let mut text = format!("{date} {clock}");
        if self.nanos != 0 {
            let digits = format!("{:09}", self.nanos);
            text.push('.');
            text.push_str(digits.trim_end_matches('0'));
        }
        text.push_str(" +0000 UTC");
        text
    }

    fn civil(self) -> (String, String) {
        let moment =
            time::OffsetDateTime::from_unix_timestamp(self.seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let date = format!("{:04}-{:02}-{:02}", moment.year(), u8::from(moment.month()), moment.day());
        let clock = format!("{:02}:{:02}:{:02}", moment.hour(), moment.minute(), moment.second());
        (date, clock)
    }

    /// Returns the bytes of a protobuf `Timestamp`.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12);
        wire::int(&mut out, 1, self.seconds);
        wire::uint(&mut out, 2, u64::from(self.nanos));
        out
    }

    /// Returns the protobuf message.
    pub fn to_proto(self) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds: self.seconds, nanos: self.nanos.cast_signed() }
    }

    /// Reads the protobuf message; nanoseconds out of range become 0.
    pub fn from_proto(timestamp: &prost_types::Timestamp) -> Self {
        let nanos = u32::try_from(timestamp.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).unwrap_or(0);
        Self { seconds: timestamp.seconds, nanos }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_rfc3339())
    }
}
