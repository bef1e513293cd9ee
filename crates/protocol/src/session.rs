//! Sessions: which one a height falls in, what it is called, and who serves in it (protocol §4).
//!
//! [`Grid`] cuts heights into sessions; [`id`] names one; [`select`] picks its suppliers; [`get_session`] puts it all
//! together as the chain's `GetSession` does, over facts that the caller supplies.

mod grid;

mod hydrate;

mod select;

pub use grid::{Grid, Session};
pub use hydrate::{ChainFacts, application_is_active, application_is_staked_for, get_session};
pub use select::{Candidate, select, weight};

use pocket_crypto::hash::sha3_256;

use crate::error::{ChainError, codes};
use crate::height::Height;

/// Longest service id, in bytes (§0.2).
pub const SERVICE_ID_BYTES_MAX: usize = 42;

/// Farthest that a request's session may lie from the current height, and longest it may be, in blocks (§2.10).
pub const PLAUSIBLE_BLOCKS_MAX: Height = 10_000;

/// Returns the bytes that a session's id is the hash of (§4.4): `block hash . service . application . LE64(start)`.
///
/// `block_hash` is the stored hash of the session's first block itself, 32 bytes, or empty where the chain has none.
#[must_use]
pub fn preimage(block_hash: &[u8], service_id: &str, application: &str, start: Height) -> Vec<u8> {
    let mut preimage = Vec::with_capacity(block_hash.len() + service_id.len() + application.len() + 11);
    preimage.extend_from_slice(block_hash);
    preimage.push(b'.');
    preimage.extend_from_slice(service_id.as_bytes());
    preimage.push(b'.');
    preimage.extend_from_slice(application.as_bytes());
    preimage.push(b'.');
    preimage.extend_from_slice(&start.to_le_bytes());
    preimage
}

/// Returns a session's id (§4.4): 64 lower-case hexadecimal digits, the SHA3-256 of its [`preimage`].
#[must_use]
pub fn id(block_hash: &[u8], service_id: &str, application: &str, start: Height) -> String {
    hex::encode(sha3_256(&preimage(block_hash, service_id, application, start)))
}

/// Checks a service id: 1 to 42 letters, digits, `_` and `-` (§0.2).
///
/// # Errors
/// `shared` 1108, as the chain words it.
pub fn check_service_id(service_id: &str) -> Result<(), ChainError> {
    if service_id.is_empty() {
        return Err(codes::shared::INVALID_SERVICE_ID.wrap("empty service ID"));
    }
    if service_id.len() > SERVICE_ID_BYTES_MAX {
        let context = format!("service ID '{service_id}' exceeds maximum length: {SERVICE_ID_BYTES_MAX}");
        return Err(codes::shared::INVALID_SERVICE_ID.wrap(context));
    }
    if !service_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        let context = format!("service ID '{service_id}' contains invalid characters");
        return Err(codes::shared::INVALID_SERVICE_ID.wrap(context));
    }
    Ok(())
}

/// Tells whether a session of these heights can concern us at `current` at all (§2.10 step 3): neither longer than nor
/// farther away than [`PLAUSIBLE_BLOCKS_MAX`].
#[must_use]
pub fn is_plausible(start: Height, end: Height, current: Height) -> bool {
    end.saturating_sub(start) <= PLAUSIBLE_BLOCKS_MAX
        && start.abs_diff(current) <= PLAUSIBLE_BLOCKS_MAX.unsigned_abs()
        && end.abs_diff(current) <= PLAUSIBLE_BLOCKS_MAX.unsigned_abs()
}

/// Where a request's session stands at a height (§2.10 step 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// The session runs; the chain is asked for it at this height, its start.
    Active(Height),
    /// The session has ended but its relays are still accepted; the chain is asked for it at this height, its end.
    Grace(Height),
    /// Too late.
    Expired,
}

/// Returns where the session `start..=end` stands at `current`, with the grace period in force at its end.
#[must_use]
pub fn timing(start: Height, end: Height, current: Height, grace_blocks: Height) -> Timing {
    if end >= current {
        Timing::Active(start)
    } else if current <= end.saturating_add(grace_blocks) {
        Timing::Grace(end)
    } else {
        Timing::Expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_description() {
        let hash =
            hex::decode("251665c7cf286a30fbd98acd983c63e9a34efc16496511373405e24eb02a8fb9").expect("hexadecimal");
        assert_eq!(
            id(&hash, "svc1", "pokt1mdccn4u38eyjdxkk4h0jaddw4n3c72u82m5m9e", 9),
            "fea5d6f7544ff6d8af5c22529b2ccf01ed7930b3d454d42dda5ccc0b65b6ebfd"
        );
    }

    #[test]
    fn a_session_is_served_through_its_grace_period() {
        assert_eq!(timing(11, 20, 20, 1), Timing::Active(11));
        assert_eq!(timing(11, 20, 21, 1), Timing::Grace(20));
        assert_eq!(timing(11, 20, 22, 1), Timing::Expired);
    }

    #[test]
    fn far_and_long_sessions_are_implausible() {
        assert!(is_plausible(1, 10_001, 5_000));
        assert!(!is_plausible(1, 10_002, 5_000));
        assert!(!is_plausible(20_000, 20_010, 9_000));
        assert!(!is_plausible(i64::MIN, i64::MAX, 0));
    }
}
