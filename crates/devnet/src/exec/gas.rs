//! Counting gas.
//!
//! The amounts are not the node's to the unit, which counts every read and write of its store. They are fitted to what a
//! real node used for the recorded transactions, so that limits and fees mean about the same.

use std::fmt;

/// Gas of what the ante checks read: parameters and accounts.
pub(super) const ANTE: u64 = 8_480;
/// Gas of deducting a fee: a transfer to the fee collector.
pub(super) const FEE: u64 = 17_800;
/// Gas of an unordered transaction's nonce.
pub(super) const UNORDERED: u64 = 2_240;
/// Gas of incrementing a sequence.
pub(super) const SEQUENCE: u64 = 11_600;
/// Gas of publishing a key.
pub(super) const PUBLIC_KEY: u64 = 9_400;
/// Gas of a transfer between accounts.
pub(super) const TRANSFER: u64 = 24_500;
/// Gas of hydrating a session.
pub(super) const SESSION: u64 = 48_400;
/// Gas of finding that there is no such session.
pub(super) const SESSION_REFUSED: u64 = 9_100;
/// Gas of reading parameters of a height.
pub(super) const PARAMS: u64 = 2_200;
/// Gas of storing a claim.
pub(super) const CLAIM: u64 = 35_000;
/// Gas of reading a claim.
pub(super) const CLAIM_READ: u64 = 3_000;
/// Gas of storing a byte.
pub(super) const WRITE_PER_BYTE: u64 = 30;
/// Gas of reading or writing any other object.
pub(super) const OBJECT: u64 = 12_000;

/// Where the node reports that most messages run out.
pub(super) const AT_WRITE: &str = "WritePerByte";
/// Where it reports that reading does.
pub(super) const AT_READ: &str = "ReadPerByte";

/// More gas was needed than was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfGas {
    location: &'static str,
    wanted: u64,
    used: u64,
}

impl fmt::Display for OutOfGas {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { location, wanted, used } = self;
        write!(formatter, "out of gas in location: {location}; gasWanted: {wanted}, gasUsed: {used}")
    }
}

/// A meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gas {
    limit: Option<u64>,
    used: u64,
}

impl Gas {
    /// Counts up to a limit.
    pub fn limited(limit: u64) -> Self {
        Self { limit: Some(limit), used: 0 }
    }

    /// Counts without end.
    pub fn unlimited() -> Self {
        Self { limit: None, used: 0 }
    }

    /// Returns what was used; beyond the limit when that was the end.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Returns the limit, all bits set where there is none.
    pub fn wanted(&self) -> i64 {
        self.limit.unwrap_or(u64::MAX).cast_signed()
    }

    /// Pays for something.
    pub fn consume(&mut self, amount: u64, location: &'static str) -> Result<(), OutOfGas> {
        self.used = self.used.saturating_add(amount);
        match self.limit {
            Some(wanted) if self.used > wanted => Err(OutOfGas { location, wanted, used: self.used }),
            _ => Ok(()),
        }
    }
}
