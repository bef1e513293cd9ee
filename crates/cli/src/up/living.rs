//! One living line per thing that matters: rewritten in place on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use pocket_store::Ledger;
use tokio::time::Instant;

use crate::output::{self, grouped};

/// Plain lines come no oftener than this.
const PLAIN_PACE: Duration = Duration::from_secs(1);

/// What the lines say.
#[derive(Debug, Default, Clone)]
pub(super) struct Numbers {
    pub(super) height: i64,
    pub(super) session: (i64, i64),
    pub(super) ledger: Ledger,
    pub(super) claims_sent: u64,
    pub(super) claims_landed: u64,
    pub(super) claims_settled: u64,
    pub(super) claims_lost: u64,
    pub(super) proofs_sent: u64,
    pub(super) proofs_valid: u64,
}

/// The lines on the screen.
pub(super) struct Living {
    in_place: bool,
    drawn: usize,
    told: Ledger,
    told_at: Option<Instant>,
}

impl Living {
    pub(super) fn new() -> Self {
        Self { in_place: std::io::stdout().is_terminal(), drawn: 0, told: Ledger::default(), told_at: None }
    }

    pub(super) fn show(&mut self, numbers: &Numbers) {
        if self.in_place {
            let lines = lines(numbers);
            let back = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
            // Each is erased to its end, so that it leaves nothing of a longer one; and cut at the right edge, for a line
            // that wrapped would be two, and the next drawing would begin too low.
            let drawn: Vec<String> = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
            output::put(&format!("{back}\x1b[?7l{}\x1b[?7h", drawn.concat()));
            self.drawn = lines.len();
            return;
        }
        let due = self.told_at.is_none_or(|at| at.elapsed() >= PLAIN_PACE);
        if due && (self.told_at.is_none() || self.told != numbers.ledger) {
            self.told = numbers.ledger.clone();
            self.told_at = Some(Instant::now());
            output::tell(&plain(numbers));
        }
    }
}

fn lines(numbers: &Numbers) -> [String; 6] {
    let ledger = &numbers.ledger;
    let settled = ledger.settled_proved + ledger.settled_unproved;
    let (start, end) = numbers.session;
    let lost = if numbers.claims_lost > 0 { format!(", {} lost", grouped(numbers.claims_lost)) } else { String::new() };
    [
        format!("height   {}", grouped(numbers.height)),
        format!("session  {start}-{end}, {} blocks to go", (end - numbers.height).max(0)),
        format!(
            "relays   {} served, {} leaves, {} claimed, {} settled",
            grouped(ledger.served),
            grouped(ledger.leaves),
            grouped(ledger.claimed),
            grouped(settled),
        ),
        format!(
            "claims   {} sent, {} on the chain, {} settled{lost}",
            grouped(numbers.claims_sent),
            grouped(numbers.claims_landed),
            grouped(numbers.claims_settled),
        ),
        format!("proofs   {} sent, {} valid", grouped(numbers.proofs_sent), grouped(numbers.proofs_valid)),
        format!("earned   {} upokt, {} more waiting", grouped(ledger.upokt.paid), grouped(ledger.upokt.waiting)),
    ]
}

fn plain(numbers: &Numbers) -> String {
    let ledger = &numbers.ledger;
    format!(
        "height {} session {}-{} relays {} claims {} proofs {} settled {} earned {} upokt",
        numbers.height,
        numbers.session.0,
        numbers.session.1,
        ledger.served,
        numbers.claims_landed,
        numbers.proofs_valid,
        ledger.settled_proved + ledger.settled_unproved,
        ledger.upokt.paid,
    )
}
