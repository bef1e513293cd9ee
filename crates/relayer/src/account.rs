//! Account: the relay stands in the log before its answer leaves.

mod log;
mod spool;

use bytes::Bytes;
use pocket_protocol::mining;
use pocket_store::MinedRelay;

pub(crate) use log::{Log, LogError, replay, run_counts};
pub(crate) use spool::Spool;
pub use spool::SpoolError;

use crate::rejection::Rejection;
use crate::relay::{Answer, Pipeline, Signed};

impl Pipeline {
    /// Logs a relay that the difficulty selects, counts one that it does not, and releases the answer.
    pub(crate) async fn account(&self, signed: Signed) -> Result<Answer, Rejection> {
        let Signed { counters, session, seat, height, kept, relay, answer, at, room: _room } = signed;
        if mining::applicable(&relay.hash, &session.facts.target) {
            let header = &session.facts.header;
            let mined = MinedRelay {
                relay_hash: Bytes::copy_from_slice(&relay.hash),
                relay_bytes: relay.bytes.into(),
                compute_units_per_relay: session.facts.compute_units_per_relay,
                session_id: header.session_id.clone(),
                session_end_height: header.session_end_block_height,
                supplier_operator_address: seat.charge.supplier.clone(),
                service_id: header.service_id.clone(),
                application_address: header.application_address.clone(),
                arrival_block_height: height,
                published_at_unix_nano: 0,
                session_start_height: header.session_start_block_height,
            };
            if let Err(error) = self.log.append(mined).await {
                // Ours to answer for, not the caller's.
                kept.give_back();
                if matches!(error, LogError::Closed) {
                    return Err(Rejection::ClaimSealed);
                }
                tracing::warn!(error = %error, supplier = seat.charge.supplier, "a relay could not be logged");
                return Err(Rejection::LogUnavailable);
            }
            counters.mined();
            seat.published.inc();
        } else {
            self.log.skipped(&seat.charge.supplier);
            counters.skipped();
        }
        counters.answered(at, &answer);
        tracing::debug!(
            supplier = seat.charge.supplier,
            application = seat.charge.application,
            service = seat.charge.service,
            session = seat.charge.session,
            height,
            status = answer.backend_status,
            "relay answered"
        );
        Ok(answer)
    }
}
