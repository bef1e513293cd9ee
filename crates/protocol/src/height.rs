//! Block heights.

/// A block height as the chain carries it: signed, because queries about a chain that has just begun subtract below 1.
///
/// The first block has height 1; 0 means "the current height" in queries (protocol §4.6).
pub type Height = i64;

/// Reads an unsigned number of blocks or sessions from the wire as a signed one; absurd values stay absurdly large
/// instead of turning negative.
pub(crate) fn signed(blocks: u64) -> Height {
    Height::try_from(blocks).unwrap_or(Height::MAX)
}
