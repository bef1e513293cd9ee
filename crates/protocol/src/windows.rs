//! When a session's claim and proof may be committed (protocol §5).
//!
//! All bounds are inclusive, and all heights are those of the block that executes the message.

use crate::height::Height;
use crate::session::Session;

/// Blocks that a miner needs for a claim, from seeing a block to a second try at inclusion. Relayers stop in time for it.
const CLAIM_BLOCKS: Height = 3;

/// Blocks left to send a claim in when a session is sealed at the latest.
const SEAL_MARGIN_BLOCKS: Height = 2;

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

    /// Returns the height from which no relay of the session is answered any more: it may miss the claim.
    ///
    /// This is the block at which the claim may be included; a miner seals a block later, so that neither needs to see a
    /// block first. Where the claim window is short the miner must seal before it closes, and relays end earlier too.
    /// Never above [`Self::seal`].
    #[must_use]
    pub fn serve_end(&self) -> Height {
        self.claim_open.min(self.claim_close.saturating_sub(CLAIM_BLOCKS))
    }

    /// Returns the height after whose block a miner seals the session, once its log is drained.
    ///
    /// A busy relayer learns of a block later than the miner does; so a quarter of the claim window, at least a block, is
    /// given where it can be spared. Settlement comes no later for it.
    #[must_use]
    pub fn seal(&self) -> Height {
        let spared = (self.claim_close.saturating_sub(self.claim_open) / 4).max(1);
        let earliest = self.claim_open.saturating_sub(1);
        self.claim_open.saturating_add(spared).min(self.seal_undrained()).max(earliest)
    }

    /// Returns the height from which the session is sealed even if relays of it may still wait in the log.
    #[must_use]
    pub fn seal_undrained(&self) -> Height {
        self.claim_close.saturating_sub(SEAL_MARGIN_BLOCKS)
    }

    /// Tells whether a relay of the session is still served at `height` (§4.7).
    #[must_use]
    pub fn serves_at(&self, height: Height) -> bool {
        height <= self.grace_end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::params::Shared;

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

    #[track_caller]
    fn check(claim_close: Height, serve_end: Height, seal: Height) {
        let windows = Windows { claim_close, ..Windows::after(10, LOCALNET) };
        assert_eq!((windows.serve_end(), windows.seal()), (serve_end, seal), "claims 12..={claim_close}");
    }

    #[test]
    fn a_session_is_sealed_once_relayers_have_stopped_answering() {
        check(20, 12, 14);
    }

    #[test]
    fn a_short_claim_window_still_leaves_blocks_to_send_in() {
        check(16, 12, 13);
        check(14, 11, 12);
        check(13, 10, 11);
        check(12, 9, 11);
        let short = Windows { claim_close: 16, ..Windows::after(10, LOCALNET) };
        assert_eq!(short.seal_undrained(), 14);
    }

    #[test]
    fn absurd_offsets_stay_in_order() {
        let absurd = Offsets { grace_end: i64::MAX, claim_open: i64::MAX, claim_close: i64::MAX, ..LOCALNET };
        let windows = Windows::after(i64::MAX, absurd);
        assert!(windows.claim_open <= windows.proof_close);
    }

    /// Parameters that the chain accepts: windows of every length, mostly short ones, sessions long enough for them.
    fn accepted() -> impl Strategy<Value = Shared> {
        let blocks = || prop_oneof![4 => 0..6_u64, 2 => 0..200_u64, 1 => 0..1_u64 << 40];
        let offsets = (blocks(), blocks(), blocks(), blocks(), blocks());
        (1..1_u64 << 40, offsets).prop_filter_map("the chain refuses them", |(session, offsets)| {
            let (grace, claim_open, claim_close, proof_open, proof_close) = offsets;
            let params = Shared {
                num_blocks_per_session: session,
                grace_period_end_offset_blocks: grace,
                claim_window_open_offset_blocks: claim_open,
                claim_window_close_offset_blocks: claim_close,
                proof_window_open_offset_blocks: proof_open,
                proof_window_close_offset_blocks: proof_close,
                supplier_unbonding_period_sessions: 1 << 43,
                application_unbonding_period_sessions: 1 << 43,
                ..Shared::DEFAULT
            };
            params.validate().is_ok().then_some(params)
        })
    }

    proptest! {
        #[test]
        fn under_all_parameters_relayers_stop_before_miners_seal_and_miners_seal_in_time(
            params in accepted(),
            height in 1..1_i64 << 40,
        ) {
            let windows = params.windows_at(height);
            prop_assert!(windows.serve_end() <= windows.seal(), "{windows:?}");
            // A claim that is sent after the seal can still be included.
            prop_assert!(windows.seal() < windows.claim_close, "{windows:?}");
        }
    }
}
