//! When a session's claim and proof may be committed (protocol §5).
//!
//! All bounds are inclusive, and all heights are those of the block that executes the message.

use crate::height::Height;
use crate::session::Session;

/// The five offsets of the shared parameters, in blocks. None is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offsets {
    /// Blocks after a session's end in which its relays are still served.
    pub grace_end: Height,
    /// Blocks between a session's end and the last one before claims are accepted.
    pub claim_open: Height,
    /// Length of the claim window.
    pub claim_close: Height,
    /// Pause between claims and proofs. Zero on every known network: the last block for claims is then the first for
    /// proofs.
    pub proof_open: Height,
    /// Length of the proof window.
    pub proof_close: Height,
}

impl Offsets {
    /// Returns the blocks from a session's end to its proof window's end, less one: the sum of the four window offsets.
    #[must_use]
    pub fn sum(&self) -> Height {
        self.claim_open
            .saturating_add(self.claim_close)
            .saturating_add(self.proof_open)
            .saturating_add(self.proof_close)
    }

    /// Returns how many sessions can be waiting for settlement at once (§5.1): the sum of the window offsets over the
    /// length of a session, rounded up.
    #[must_use]
    pub fn pending_sessions(&self, session_blocks: Height) -> Height {
        let blocks = session_blocks.max(1);
        let sum = self.sum();
        sum / blocks + Height::from(sum % blocks != 0)
    }
}

/// The heights that matter after a session has ended (§5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Windows {
    /// Last height at which a relay of the session is served.
    pub grace_end: Height,
    /// First height at which a claim may be included.
    pub claim_open: Height,
    /// Last height at which a claim may be included.
    pub claim_close: Height,
    /// First height at which a proof may be included.
    pub proof_open: Height,
    /// Last height at which a proof may be included; the chain settles in this very block.
    pub proof_close: Height,
}

impl Windows {
    /// Returns the windows of `session` under the offsets in force at its end.
    #[must_use]
    pub fn of(session: Session, offsets: Offsets) -> Self {
        Self::after(session.end, offsets)
    }

    /// Returns the windows of the session that ends at `session_end`.
    #[must_use]
    pub fn after(session_end: Height, offsets: Offsets) -> Self {
        // The extra block occurs once: a claim is accepted from the block *after* the offset.
        let claim_open = session_end.saturating_add(offsets.claim_open).saturating_add(1);
        let claim_close = claim_open.saturating_add(offsets.claim_close);
        let proof_open = claim_close.saturating_add(offsets.proof_open);
        let proof_close = proof_open.saturating_add(offsets.proof_close);

        Self {
            grace_end: session_end.saturating_add(offsets.grace_end),
            claim_open,
            claim_close,
            proof_open,
            proof_close,
        }
    }

    /// Returns the first height at which this supplier's claim may be included.
    ///
    /// The chain's signature asks for the hash of the block at `claim_open` and for the supplier, meant to spread
    /// suppliers over the window; both are ignored by the described version (§5.2) and by this function.
    #[must_use]
    pub fn earliest_claim_commit(&self, _claim_open_block_hash: &[u8], _supplier: &str) -> Height {
        self.claim_open
    }

    /// Returns the first height at which this supplier's proof may be included; see [`Self::earliest_claim_commit`].
    #[must_use]
    pub fn earliest_proof_commit(&self, _proof_open_block_hash: &[u8], _supplier: &str) -> Height {
        self.proof_open
    }

    /// Returns the height of the block whose hash picks the leaf to prove and decides whether a proof is required.
    #[must_use]
    pub fn seed_height(&self) -> Height {
        self.proof_open.saturating_sub(1)
    }

    /// Returns the height of the block that settles the session: the last one of the proof window (§5.4).
    #[must_use]
    pub fn settlement_height(&self) -> Height {
        self.proof_close
    }

    /// Tells whether a claim executed at `height` is in time (§5.3).
    #[must_use]
    pub fn accepts_claim_at(&self, height: Height) -> bool {
        (self.claim_open..=self.claim_close).contains(&height)
    }

    /// Tells whether a proof executed at `height` is in time (§5.3).
    #[must_use]
    pub fn accepts_proof_at(&self, height: Height) -> bool {
        (self.proof_open..=self.proof_close).contains(&height)
    }

    /// Tells whether a relay of the session is still served at `height` (§4.7).
    #[must_use]
    pub fn serves_at(&self, height: Height) -> bool {
        height <= self.grace_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCALNET: Offsets = Offsets { grace_end: 1, claim_open: 1, claim_close: 8, proof_open: 0, proof_close: 8 };

    #[test]
    fn windows_of_the_local_network_are_those_of_the_description() {
        let windows = Windows::after(10, LOCALNET);
        assert_eq!(
            windows,
            Windows { grace_end: 11, claim_open: 12, claim_close: 20, proof_open: 20, proof_close: 28 }
        );
        assert_eq!((windows.seed_height(), LOCALNET.pending_sessions(10)), (19, 2));
    }

    #[test]
    fn both_ends_of_a_window_belong_to_it() {
        let windows = Windows::after(10, LOCALNET);
        assert!(!windows.accepts_claim_at(11) && windows.accepts_claim_at(12));
        assert!(windows.accepts_claim_at(20) && !windows.accepts_claim_at(21));
        assert!(!windows.accepts_proof_at(19) && windows.accepts_proof_at(20));
        assert!(windows.accepts_proof_at(28) && !windows.accepts_proof_at(29));
        assert!(windows.serves_at(11) && !windows.serves_at(12));
    }

    #[test]
    fn absurd_offsets_stay_in_order() {
        let absurd = Offsets { grace_end: i64::MAX, claim_open: i64::MAX, claim_close: i64::MAX, ..LOCALNET };
        let windows = Windows::after(i64::MAX, absurd);
        assert!(windows.claim_open <= windows.proof_close);
    }
}
