//! What a session asks for at a height. Decides; does nothing.
//!
//! A transaction sent after the block at `height` lands in `height + 1` at the earliest, so a window is left one block
//! early. It is entered one block early only when the node is not asked for the gas: a simulation runs at the height that
//! is already there, and is refused while the window is closed.

use pocket_protocol::height::Height;
use pocket_protocol::windows::Windows;
use pocket_store::SessionState;

/// Fewest blocks between two sends of the same claim or proof: one to land in, one in which the chain shows it.
const RESEND_BLOCKS_MIN: Height = 2;

/// Most such blocks, however long the window.
const RESEND_BLOCKS_MAX: Height = 4;

/// Blocks left in a window at which the next block alone is waited for, and nothing for what an earlier tenure recorded.
const HURRY_BLOCKS: Height = 3;

/// How often and when something was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sends {
    /// Times it was sent, by whomever.
    pub count: u32,
    /// Times it was sent in this tenure.
    pub ours: u32,
    /// Height at which it was last sent, by whomever.
    pub last: Option<Height>,
}

/// A session, as far as its life depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// How far it has come.
    pub state: SessionState,
    /// Its leaves.
    pub leaves: u64,
    /// Sends of its claim.
    pub claim: Sends,
    /// Whether the chain wants a proof; none until the seed block is there.
    pub proof_required: Option<bool>,
    /// Sends of its proof.
    pub proof: Sends,
    /// Height at which it became final.
    pub final_height: Option<Height>,
}

/// What the operator has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Blocks before a window's opening at which a message may be sent: 1 with a fixed gas limit, else 0.
    pub lead: Height,
    /// Further sends of the same claim or proof in one tenure.
    pub resends_max: u32,
    /// Blocks for which a final session is kept.
    pub kept_blocks: Height,
}

/// The one thing to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this height.
    Wait(Height),
    /// Take no more leaves and fix the root: the claim comes next.
    Seal,
    /// Send the claim.
    Claim,
    /// The claim window has closed with nothing ever sent: the leaves are lost.
    ClaimMissed,
    /// The claim window has closed: what the chain shows decides whether the claim made it.
    ClaimVerdict,
    /// The seed block is there: find out whether a proof is wanted.
    Decide,
    /// Send the proof.
    Proof,
    /// The chain has settled: read how.
    Settlement,
    /// It is final and old: forget it.
    Forget,
}

/// Returns what is due after the block at `height`.
pub fn due(view: &View, height: Height, windows: &Windows, rules: &Rules) -> Due {
    match view.state {
        SessionState::Open => open(height, windows),
        SessionState::Sealed | SessionState::Claimed | SessionState::Proved if height >= windows.proof_close => {
            Due::Settlement
        }
        SessionState::Sealed if height >= windows.claim_close => Due::ClaimVerdict,
        // Nothing to claim, and since it is sealed nothing will come.
        SessionState::Sealed if view.leaves == 0 => Due::Wait(windows.claim_close),
        SessionState::Sealed => {
            send(view.claim, height, windows.claim_open, windows.claim_close, rules).map_or(Due::Claim, Due::Wait)
        }
        SessionState::Proved => Due::Wait(windows.proof_close),
        SessionState::Claimed => claimed(view, height, windows, rules),
        SessionState::Settled | SessionState::Unclaimed => {
            let forget = view.final_height.unwrap_or(windows.proof_close).saturating_add(rules.kept_blocks);
            if height >= forget { Due::Forget } else { Due::Wait(forget) }
        }
    }
}

/// Returns whether what the chain holds of the session's claim is to be looked at after the block at `height`.
pub fn wants_claim(view: &View, height: Height, windows: &Windows) -> bool {
    match view.state {
        SessionState::Sealed => (view.claim.count > 0 || height >= windows.claim_close) && height < windows.proof_close,
        // A claim that was given up may have landed all the same, and then it must be proved.
        SessionState::Unclaimed => view.leaves > 0 && height < windows.proof_close,
        SessionState::Claimed if height >= windows.proof_close => false,
        SessionState::Claimed => match view.proof_required {
            None => height >= windows.seed_height(),
            Some(_) => view.proof.count > 0,
        },
        _ => false,
    }
}

fn open(height: Height, windows: &Windows) -> Due {
    let seal = windows.seal();
    if height < seal {
        Due::Wait(seal)
    } else if height >= windows.claim_close {
        Due::ClaimMissed
    } else {
        // Also with no leaf in memory: only of a sealed session is it certain what the store has.
        Due::Seal
    }
}

fn claimed(view: &View, height: Height, windows: &Windows, rules: &Rules) -> Due {
    match view.proof_required {
        None if height < windows.seed_height() => Due::Wait(windows.seed_height()),
        None => Due::Decide,
        Some(false) => Due::Wait(windows.proof_close),
        Some(true) => {
            send(view.proof, height, windows.proof_open, windows.proof_close, rules).map_or(Due::Proof, Due::Wait)
        }
    }
}

/// Returns the height to wait for before sending, none when it is now.
fn send(sends: Sends, height: Height, window_open: Height, window_close: Height, rules: &Rules) -> Option<Height> {
    if height < window_open - rules.lead {
        return Some(window_open - rules.lead);
    }
    if height >= window_close || sends.ours > rules.resends_max {
        return Some(window_close.max(height + 1));
    }
    let hurries = window_close - height <= HURRY_BLOCKS;
    let pause = match (sends.ours > 0, hurries) {
        // A third of the window: sending early what is on its way costs a fee, sending late costs the claim.
        (true, false) => ((window_close - window_open + 1) / 3).clamp(RESEND_BLOCKS_MIN, RESEND_BLOCKS_MAX),
        // The next block shows it, or it is sent into the one after.
        (true, true) => 1,
        // What an earlier tenure recorded may never have left its process, or have been lost with the node's mempool. The
        // next block shows it; near the end a second fee is cheaper than waiting for that.
        (false, hurries) => i64::from(!hurries),
    };
    let again = sends.last.map_or(height, |last| last + pause);
    (height < again).then_some(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Session 1..10 of the development network: claims 12..20, proofs 20..28.
    const WINDOWS: Windows =
        Windows { grace_end: 11, claim_open: 12, claim_close: 20, proof_open: 20, proof_close: 28 };
    /// The same under the chain's default parameters: claims 12..16, proofs 16..20.
    const SHORT: Windows = Windows { grace_end: 11, claim_open: 12, claim_close: 16, proof_open: 16, proof_close: 20 };
    const RULES: Rules = Rules { lead: 0, resends_max: 8, kept_blocks: 100 };

    fn view(state: SessionState) -> View {
        View {
            state,
            leaves: 3,
            claim: Sends::default(),
            proof_required: None,
            proof: Sends::default(),
            final_height: None,
        }
    }

    fn sent(count: u32, last: Height) -> Sends {
        Sends { count, ours: count, last: Some(last) }
    }

    #[track_caller]
    fn check(view: View, height: Height, expected: Due) {
        assert_eq!(due(&view, height, &WINDOWS, &RULES), expected, "after block {height}: {view:?}");
    }

    #[test]
    fn an_open_session_is_sealed_once_relayers_have_stopped_answering() {
        check(view(SessionState::Open), 10, Due::Wait(14));
        check(view(SessionState::Open), 13, Due::Wait(14));
        check(view(SessionState::Open), 14, Due::Seal);
        check(view(SessionState::Open), 19, Due::Seal);
    }

    #[test]
    fn an_open_session_whose_window_has_closed_is_missed() {
        check(view(SessionState::Open), 20, Due::ClaimMissed);
        check(view(SessionState::Open), 90, Due::ClaimMissed);
    }

    #[test]
    fn a_session_is_sealed_before_it_is_called_empty() {
        check(View { leaves: 0, ..view(SessionState::Open) }, 14, Due::Seal);
        check(View { leaves: 0, ..view(SessionState::Open) }, 20, Due::ClaimMissed);
        check(View { leaves: 0, ..view(SessionState::Sealed) }, 14, Due::Wait(20));
        check(View { leaves: 0, ..view(SessionState::Sealed) }, 20, Due::ClaimVerdict);
    }

    #[test]
    fn near_the_end_what_this_tenure_sent_is_sent_again_after_one_block() {
        check(View { claim: sent(1, 16), ..view(SessionState::Sealed) }, 17, Due::Claim);
        check(View { claim: sent(1, 17), ..view(SessionState::Sealed) }, 17, Due::Wait(18));
        check(View { claim: sent(2, 17), ..view(SessionState::Sealed) }, 18, Due::Claim);
        let wanted = View { proof_required: Some(true), ..view(SessionState::Claimed) };
        check(View { proof: sent(1, 26), ..wanted }, 27, Due::Proof);
    }

    #[test]
    fn a_claim_that_was_given_up_is_looked_for_until_the_chain_settles() {
        let given_up = View { claim: sent(1, 18), final_height: Some(20), ..view(SessionState::Unclaimed) };
        assert!(wants_claim(&given_up, 21, &WINDOWS));
        assert!(wants_claim(&given_up, 27, &WINDOWS));
        assert!(!wants_claim(&given_up, 28, &WINDOWS), "the chain has settled");
        assert!(!wants_claim(&View { leaves: 0, ..given_up }, 21, &WINDOWS), "nothing was to be claimed");
    }

    #[test]
    fn a_claim_is_sent_inside_its_window_and_again_until_the_chain_shows_it() {
        check(view(SessionState::Sealed), 11, Due::Wait(12));
        check(view(SessionState::Sealed), 12, Due::Claim);
        check(View { claim: sent(1, 13), ..view(SessionState::Sealed) }, 14, Due::Wait(16));
        check(View { claim: sent(1, 13), ..view(SessionState::Sealed) }, 16, Due::Claim);
        check(View { claim: sent(1, 13), ..view(SessionState::Sealed) }, 19, Due::Claim);
        check(View { claim: sent(9, 13), ..view(SessionState::Sealed) }, 19, Due::Wait(20));
    }

    #[test]
    fn what_an_earlier_tenure_sent_is_sent_again_once_a_block_has_not_shown_it() {
        let resumed =
            |last| View { claim: Sends { count: 9, ours: 0, last: Some(last) }, ..view(SessionState::Sealed) };
        check(resumed(14), 14, Due::Wait(15));
        check(resumed(14), 15, Due::Claim);
        check(resumed(16), 16, Due::Wait(17));
        // Three blocks are left: whether it is in a mempool that still exists is not worth a block.
        check(resumed(17), 17, Due::Claim);
        assert!(wants_claim(&resumed(14), 15, &WINDOWS), "the chain is asked first");
        let proof = Sends { count: 9, ours: 0, last: Some(22) };
        let proving = View { proof, proof_required: Some(true), ..view(SessionState::Claimed) };
        check(proving, 22, Due::Wait(23));
        check(proving, 23, Due::Proof);
    }

    #[test]
    fn a_short_window_is_used_for_more_than_one_send() {
        let sealed = View { claim: sent(1, 13), ..view(SessionState::Sealed) };
        assert_eq!(due(&sealed, 13, &SHORT, &RULES), Due::Wait(14));
        assert_eq!(due(&sealed, 14, &SHORT, &RULES), Due::Claim);
    }

    #[test]
    fn a_fixed_gas_limit_lets_a_claim_into_the_first_block_of_its_window() {
        let rules = Rules { lead: 1, ..RULES };
        assert_eq!(due(&view(SessionState::Sealed), 11, &WINDOWS, &rules), Due::Claim);
        assert_eq!(due(&view(SessionState::Sealed), 10, &WINDOWS, &rules), Due::Wait(11));
    }

    #[test]
    fn after_the_claim_window_the_chain_has_the_word() {
        check(View { claim: sent(1, 18), ..view(SessionState::Sealed) }, 20, Due::ClaimVerdict);
        check(View { claim: sent(1, 18), ..view(SessionState::Sealed) }, 28, Due::Settlement);
    }

    #[test]
    fn a_proof_is_decided_at_the_seed_block_and_sent_where_it_is_wanted() {
        check(view(SessionState::Claimed), 18, Due::Wait(19));
        check(view(SessionState::Claimed), 19, Due::Decide);
        let wanted = View { proof_required: Some(true), ..view(SessionState::Claimed) };
        check(wanted, 19, Due::Wait(20));
        check(wanted, 20, Due::Proof);
        check(wanted, 27, Due::Proof);
        check(View { proof: sent(1, 20), ..wanted }, 21, Due::Wait(23));
        check(View { proof: sent(1, 20), ..wanted }, 23, Due::Proof);
        check(View { proof_required: Some(false), ..wanted }, 20, Due::Wait(28));
    }

    #[test]
    fn the_chain_settles_in_the_last_block_of_the_proof_window() {
        for state in [SessionState::Claimed, SessionState::Proved] {
            check(View { proof_required: Some(true), ..view(state) }, 28, Due::Settlement);
        }
        check(view(SessionState::Proved), 27, Due::Wait(28));
    }

    #[test]
    fn a_final_session_is_forgotten_after_the_blocks_it_is_kept_for() {
        for state in [SessionState::Settled, SessionState::Unclaimed] {
            let settled = View { final_height: Some(28), ..view(state) };
            check(settled, 127, Due::Wait(128));
            check(settled, 128, Due::Forget);
        }
    }

    #[test]
    fn the_chain_is_asked_only_where_its_answer_decides() {
        let wants = |view: View, height| wants_claim(&view, height, &WINDOWS);
        assert!(!wants(view(SessionState::Open), 15));
        assert!(!wants(view(SessionState::Sealed), 15), "nothing was sent yet");
        assert!(wants(View { claim: sent(1, 13), ..view(SessionState::Sealed) }, 14));
        assert!(wants(view(SessionState::Sealed), 20));
        assert!(!wants(view(SessionState::Claimed), 18));
        assert!(wants(view(SessionState::Claimed), 19));
        let proved = View { proof_required: Some(true), ..view(SessionState::Claimed) };
        assert!(!wants(proved, 20));
        assert!(wants(View { proof: sent(1, 20), ..proved }, 21));
        assert!(!wants(View { proof: sent(1, 20), ..proved }, 28));
    }
}
