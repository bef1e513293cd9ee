//! Which claims this block settles (§8.7.1).

use pocket_proto::pocket::proof::Claim;

use super::header;
use super::input::SettlementInput;
use crate::Height;
use crate::params::SharedState;

/// Returns the session ends whose claims may be due at `height`, in the order in which the chain reads them: the one
/// of the live parameters first, then those of past epochs, latest first, that can still own claims in flight.
///
/// It is a superset: [`due_claims`] keeps a claim only when its own proof window has closed.
pub fn due_session_ends(shared: &SharedState, height: Height) -> Vec<Height> {
    let mut ends = vec![height.saturating_sub(shared.live.offsets().sum()).saturating_sub(1)];
    let mut next_epoch = height.saturating_add(1);
    let epochs: Vec<_> = shared.history.iter().take_while(|(effective, _)| *effective <= height).collect();
    for (effective, params) in epochs.into_iter().rev() {
        let tail = params.offsets().sum().saturating_add(1);
        let last_session_end = next_epoch - 1;
        let end = height.saturating_sub(tail);
        if last_session_end.saturating_add(tail) >= height && !ends.contains(&end) {
            ends.push(end);
        }
        next_epoch = effective;
    }
    ends.retain(|&end| end >= 0);
    ends
}

/// Returns the claims that are due, in the chain's order: by candidate session end, then by session id and supplier.
///
/// A claim is due at the height that follows from the parameters at its session end. One that missed it is not looked
/// for again, unless windows of another epoch happen to point at it (§8.7.1).
pub fn due_claims<'a>(input: &SettlementInput<'a>) -> Vec<&'a Claim> {
    let mut due = Vec::new();
    for end in due_session_ends(input.shared, input.height) {
        // The proof window is that of the parameters at the claim's own session end; it must be over.
        if input.height <= end.saturating_add(input.shared.at(end).offsets().sum()) {
            continue;
        }
        let from = due.len();
        due.extend(input.claims.iter().filter(|claim| {
            claim.session_header.as_ref().is_some_and(|header| header.session_end_block_height == end)
        }));
        due[from..].sort_by(|left: &&Claim, right: &&Claim| key(left).cmp(&key(right)));
    }
    due
}

/// Returns the primary key of a claim in the store.
fn key(claim: &Claim) -> (&str, &str) {
    (&header(claim).session_id, &claim.supplier_operator_address)
}
