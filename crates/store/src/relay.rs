//! The relay log's entries: what a relayer tells a miner, byte for byte as the Go programs do.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use prost::Message;

/// One billable relay, `pocket.ha.MinedRelayMessage` on the wire.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MinedRelay {
    /// SHA-256 of `relay_bytes`; may be empty, then readers compute it.
    #[prost(bytes = "bytes", tag = "1")]
    pub relay_hash: Bytes,
    /// The relay as the trie wants it: request and response, the response's payload removed.
    #[prost(bytes = "bytes", tag = "2")]
    pub relay_bytes: Bytes,
    /// Compute units at the session's start height: the leaf's weight.
    #[prost(uint64, tag = "3")]
    pub compute_units_per_relay: u64,
    /// The session.
    #[prost(string, tag = "4")]
    pub session_id: String,
    /// Its last height, above zero.
    #[prost(int64, tag = "5")]
    pub session_end_height: i64,
    /// Whose log it goes to.
    #[prost(string, tag = "6")]
    pub supplier_operator_address: String,
    /// The service.
    #[prost(string, tag = "7")]
    pub service_id: String,
    /// Who pays.
    #[prost(string, tag = "8")]
    pub application_address: String,
    /// The height at which the request arrived.
    #[prost(int64, tag = "9")]
    pub arrival_block_height: i64,
    /// When it was appended, nanoseconds since 1970; 0 is replaced by now.
    #[prost(int64, tag = "10")]
    pub published_at_unix_nano: i64,
    /// The session's first height.
    #[prost(int64, tag = "11")]
    pub session_start_height: i64,
}

impl MinedRelay {
    /// Returns what keeps the relay from being logged, in the reference's words.
    pub fn problem(&self) -> Option<&'static str> {
        if self.session_id.is_empty() {
            Some("session_id is required")
        } else if self.session_end_height <= 0 {
            Some("session_end_height is required")
        } else if self.supplier_operator_address.is_empty() {
            Some("supplier_operator_address is required")
        } else {
            None
        }
    }

    /// Reads an entry's `data`. Bytes are shared with the input, not copied.
    pub fn parse(data: Bytes) -> Result<Self, prost::DecodeError> {
        Self::decode(data)
    }
}

/// Names an entry of one supplier's log, in order of arrival; `ms-seq` as in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Redis: the server's milliseconds. Embedded: 0.
    pub ms: u64,
    /// Order within `ms`.
    pub seq: u64,
}

impl EntryId {
    /// Before the first entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };

    /// Returns the id as 16 bytes that sort as the id does.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.ms.to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    /// Reads [`Self::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let half = |range: std::ops::Range<usize>| {
            u64::from_be_bytes(bytes[range].try_into().expect("half of sixteen bytes is eight"))
        };
        Self { ms: half(0..8), seq: half(8..16) }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// A text that is not an entry id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an entry id (expected two numbers joined by a dash)")]
pub struct ParseEntryIdError(String);

impl FromStr for EntryId {
    type Err = ParseEntryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (ms, seq) = text.split_once('-')?;
            Some(Self { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
        };
        parse().ok_or_else(|| ParseEntryIdError(text.to_owned()))
    }
}

/// Where an appended relay stands in its supplier's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// The entry.
    pub id: EntryId,
}

/// An entry read from the log. It comes again, to this reader or another, until it is acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// Whose log.
    pub supplier: String,
    /// Which entry.
    pub id: EntryId,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// The relay, or what stands in its place.
    pub relay: Delivered,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivered {
    /// A relay.
    Relay(MinedRelay),
    /// Bytes that are no relay: quarantine them.
    Poison {
        /// What was found.
        bytes: Bytes,
        /// Why it is no relay.
        reason: String,
    },
}

impl Delivered {
    /// Reads an entry's bytes.
    pub(crate) fn read(data: Option<Bytes>) -> Self {
        let Some(data) = data else {
            return Self::Poison { bytes: Bytes::new(), reason: "entry has no field `data`".to_owned() };
        };
        match MinedRelay::parse(data.clone()) {
            Ok(relay) => match relay.problem() {
                None => Self::Relay(relay),
                Some(problem) => Self::Poison { bytes: data, reason: problem.to_owned() },
            },
            Err(error) => Self::Poison { bytes: data, reason: format!("not a mined relay: {error}") },
        }
    }
}

/// What one supplier's log holds now.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogStats {
    /// Entries not yet acknowledged.
    pub length: u64,
    /// Of these, handed out to a reader.
    pub delivered: u64,
    /// Entries in quarantine.
    pub quarantined: u64,
    /// The oldest entry not yet acknowledged, `ms-seq`.
    pub oldest: Option<String>,
}
