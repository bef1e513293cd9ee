//! Parameters of the shared module (protocol §1.4, §4.1, §4.8).

use pocket_proto::pocket::shared as proto;

use crate::error::{ChainError, codes};
use crate::height::{Height, signed};
use crate::session::{Grid, Session};
use crate::windows::{Offsets, Windows};

/// Parameters of the shared module, as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shared {
    /// Length of a session in blocks.
    pub num_blocks_per_session: u64,
    /// Blocks after a session's end in which its relays are still accepted.
    pub grace_period_end_offset_blocks: u64,
    /// See [`Offsets::claim_open`].
    pub claim_window_open_offset_blocks: u64,
    /// See [`Offsets::claim_close`].
    pub claim_window_close_offset_blocks: u64,
    /// See [`Offsets::proof_open`].
    pub proof_window_open_offset_blocks: u64,
    /// See [`Offsets::proof_close`].
    pub proof_window_close_offset_blocks: u64,
    /// Sessions a supplier's stake stays locked after unstaking.
    pub supplier_unbonding_period_sessions: u64,
    /// Sessions an application's stake stays locked after unstaking.
    pub application_unbonding_period_sessions: u64,
    /// Price of [`Self::compute_unit_cost_granularity`] compute units, in upokt ("CUTTM").
    pub compute_units_to_tokens_multiplier: u64,
    /// Sessions a gateway's stake stays locked after unstaking.
    pub gateway_unbonding_period_sessions: u64,
    /// Number of compute units that the multiplier prices.
    pub compute_unit_cost_granularity: u64,
    /// First height of the session grid; derived by the chain, never governed.
    pub session_grid_anchor_height: u64,
    /// Number of the session that begins there; derived.
    pub session_number_at_anchor: u64,
}

impl Shared {
    /// The defaults in the chain's code (§10.1).
    pub const DEFAULT: Self = Self {
        num_blocks_per_session: 10,
        grace_period_end_offset_blocks: 1,
        claim_window_open_offset_blocks: 1,
        claim_window_close_offset_blocks: 4,
        proof_window_open_offset_blocks: 0,
        proof_window_close_offset_blocks: 4,
        supplier_unbonding_period_sessions: 1,
        application_unbonding_period_sessions: 1,
        compute_units_to_tokens_multiplier: 42_000_000,
        gateway_unbonding_period_sessions: 1,
        compute_unit_cost_granularity: 1_000_000,
        session_grid_anchor_height: 1,
        session_number_at_anchor: 1,
    };

    /// Returns how these parameters cut heights into sessions.
    #[must_use]
    pub fn grid(&self) -> Grid {
        Grid {
            session_blocks: signed(self.num_blocks_per_session),
            anchor_height: signed(self.session_grid_anchor_height),
            anchor_number: signed(self.session_number_at_anchor),
        }
    }

    /// Returns the session that `height` falls in.
    #[must_use]
    pub fn session_at(&self, height: Height) -> Session {
        self.grid().session_at(height)
    }

    /// Returns the window offsets.
    #[must_use]
    pub fn offsets(&self) -> Offsets {
        Offsets {
            grace_end: signed(self.grace_period_end_offset_blocks),
            claim_open: signed(self.claim_window_open_offset_blocks),
            claim_close: signed(self.claim_window_close_offset_blocks),
            proof_open: signed(self.proof_window_open_offset_blocks),
            proof_close: signed(self.proof_window_close_offset_blocks),
        }
    }

    /// Returns the windows of the session that `height` falls in.
    ///
    /// For the windows of a session that has ended, take the parameters in force at its end.
    #[must_use]
    pub fn windows_at(&self, height: Height) -> Windows {
        Windows::of(self.session_at(height), self.offsets())
    }

    /// Returns how many sessions can be waiting for settlement at once (§5.1).
    #[must_use]
    pub fn pending_sessions(&self) -> Height {
        self.offsets().pending_sessions(signed(self.num_blocks_per_session))
    }

    /// Tells whether `other` has the same session length, grace period and windows. A change of these waits for the
    /// next session; any other takes effect at once (§4.2).
    #[must_use]
    pub fn has_timing_of(&self, other: &Self) -> bool {
        self.num_blocks_per_session == other.num_blocks_per_session && self.offsets() == other.offsets()
    }

    /// Checks the rules of §4.8 in the chain's order.
    ///
    /// # Errors
    /// `shared` 1103, as the chain words it.
    pub fn validate(&self) -> Result<(), ChainError> {
        for (name, value) in [
            ("NumBlocksPerSession", self.num_blocks_per_session),
            ("SupplierUnbondingPeriodSessions", self.supplier_unbonding_period_sessions),
            ("ApplicationUnbondingPeriodSessions", self.application_unbonding_period_sessions),
            ("GatewayUnbondingPeriodSessions", self.gateway_unbonding_period_sessions),
            ("ComputeUnitsToTokensMultiplier", self.compute_units_to_tokens_multiplier),
            ("ComputeUnitCostGranularity", self.compute_unit_cost_granularity),
        ] {
            if value < 1 {
                return Err(invalid(format!("invalid {name}: ({value})")));
            }
        }
        self.validate_offsets()
    }

    fn validate_offsets(&self) -> Result<(), ChainError> {
        let (blocks, grace) = (self.num_blocks_per_session, self.grace_period_end_offset_blocks);
        if grace >= blocks {
            return Err(invalid(format!(
                "GracePeriodEndOffsetBlocks ({grace}) must be less than NumBlocksPerSession ({blocks})"
            )));
        }
        let claim_open = self.claim_window_open_offset_blocks;
        if claim_open < grace {
            return Err(invalid(format!(
                "ClaimWindowOpenOffsetBlocks ({claim_open}) must be at least GracePeriodEndOffsetBlocks ({grace})"
            )));
        }
        let offsets = [
            claim_open,
            self.claim_window_close_offset_blocks,
            self.proof_window_open_offset_blocks,
            self.proof_window_close_offset_blocks,
        ];
        let cumulative: u128 = offsets.into_iter().map(u128::from).sum();
        for (name, sessions) in [
            ("SupplierUnbondingPeriodSessions", self.supplier_unbonding_period_sessions),
            ("ApplicationUnbondingPeriodSessions", self.application_unbonding_period_sessions),
        ] {
            let unbonding = u128::from(sessions) * u128::from(blocks);
            if unbonding < cumulative {
                return Err(invalid(format!(
                    "{name} ({sessions} session) ({unbonding} blocks) must be greater than the cumulative \
                     ProofWindowCloseOffsetBlocks ({cumulative})"
                )));
            }
        }
        if cumulative == 0 {
            return Err(invalid(format!(
                "the claim and proof window offsets yield 0 pending sessions; their sum \
                 (ClaimWindowOpenOffsetBlocks {} + ClaimWindowCloseOffsetBlocks {} + ProofWindowOpenOffsetBlocks {} + \
                 ProofWindowCloseOffsetBlocks {}) must be greater than 0",
                offsets[0], offsets[1], offsets[2], offsets[3]
            )));
        }
        Ok(())
    }

    /// Returns these parameters with the one called `name` (in the protobuf message) set to `value`.
    ///
    /// # Errors
    /// `shared` 1102 when no governed parameter has that name.
    pub fn with(mut self, name: &str, value: u64) -> Result<Self, ChainError> {
        let field = match name {
            "num_blocks_per_session" => &mut self.num_blocks_per_session,
            "grace_period_end_offset_blocks" => &mut self.grace_period_end_offset_blocks,
            "claim_window_open_offset_blocks" => &mut self.claim_window_open_offset_blocks,
            "claim_window_close_offset_blocks" => &mut self.claim_window_close_offset_blocks,
            "proof_window_open_offset_blocks" => &mut self.proof_window_open_offset_blocks,
            "proof_window_close_offset_blocks" => &mut self.proof_window_close_offset_blocks,
            "supplier_unbonding_period_sessions" => &mut self.supplier_unbonding_period_sessions,
            "application_unbonding_period_sessions" => &mut self.application_unbonding_period_sessions,
            "gateway_unbonding_period_sessions" => &mut self.gateway_unbonding_period_sessions,
            "compute_units_to_tokens_multiplier" => &mut self.compute_units_to_tokens_multiplier,
            "compute_unit_cost_granularity" => &mut self.compute_unit_cost_granularity,
            other => {
                let context = format!("unsupported param {}", crate::error::quoted(other));
                return Err(codes::shared::PARAM_NAME_INVALID.wrap(context));
            }
        };
        *field = value;
        Ok(self)
    }
}

impl From<&proto::Params> for Shared {
    fn from(params: &proto::Params) -> Self {
        Self {
            num_blocks_per_session: params.num_blocks_per_session,
            grace_period_end_offset_blocks: params.grace_period_end_offset_blocks,
            claim_window_open_offset_blocks: params.claim_window_open_offset_blocks,
            claim_window_close_offset_blocks: params.claim_window_close_offset_blocks,
            proof_window_open_offset_blocks: params.proof_window_open_offset_blocks,
            proof_window_close_offset_blocks: params.proof_window_close_offset_blocks,
            supplier_unbonding_period_sessions: params.supplier_unbonding_period_sessions,
            application_unbonding_period_sessions: params.application_unbonding_period_sessions,
            compute_units_to_tokens_multiplier: params.compute_units_to_tokens_multiplier,
            gateway_unbonding_period_sessions: params.gateway_unbonding_period_sessions,
            compute_unit_cost_granularity: params.compute_unit_cost_granularity,
            session_grid_anchor_height: params.session_grid_anchor_height,
            session_number_at_anchor: params.session_number_at_anchor,
        }
    }
}

impl From<&Shared> for proto::Params {
    fn from(params: &Shared) -> Self {
        Self {
            num_blocks_per_session: params.num_blocks_per_session,
            grace_period_end_offset_blocks: params.grace_period_end_offset_blocks,
            claim_window_open_offset_blocks: params.claim_window_open_offset_blocks,
            claim_window_close_offset_blocks: params.claim_window_close_offset_blocks,
            proof_window_open_offset_blocks: params.proof_window_open_offset_blocks,
            proof_window_close_offset_blocks: params.proof_window_close_offset_blocks,
            supplier_unbonding_period_sessions: params.supplier_unbonding_period_sessions,
            application_unbonding_period_sessions: params.application_unbonding_period_sessions,
            compute_units_to_tokens_multiplier: params.compute_units_to_tokens_multiplier,
            gateway_unbonding_period_sessions: params.gateway_unbonding_period_sessions,
            compute_unit_cost_granularity: params.compute_unit_cost_granularity,
            session_grid_anchor_height: params.session_grid_anchor_height,
            session_number_at_anchor: params.session_number_at_anchor,
        }
    }
}

fn invalid(context: String) -> ChainError {
    codes::shared::PARAM_INVALID.wrap(context)
}
