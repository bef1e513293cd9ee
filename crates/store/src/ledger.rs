//! Where every relay and every upokt went, as durable counters and the equations between them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a counter counts. Each is raised in the same atomic step as the event it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// Relays answered by a relayer. [`crate::Store::append`] counts it with `Logged`.
    Served,
    /// Served relays that difficulty keeps out of the trie.
    Skipped,
    /// Relays that relayers of ours put into the log.
    Logged,
    /// Relays that other programs put into the log, such as the reference's relayer, which counts nothing.
    Foreign,
    /// Relays in a relayer's spool, waiting for the log.
    Spooled,
    /// Served relays that never reached the log.
    LostBeforeLog,
    /// Leaves.
    Leaves,
    /// Relays that were byte-identical to an earlier one.
    Collapsed,
    /// Logged relays that count for nothing, by reason.
    Rejected,
    /// Leaves in claims that the chain holds or held.
    Claimed,
    /// Leaves for which no claim was made, by reason.
    Unclaimed,
    /// Claimed leaves paid with a proof.
    SettledProved,
    /// Claimed leaves paid without a proof.
    SettledUnproved,
    /// Claimed leaves whose claim expired.
    Expired,
    /// Claimed leaves whose claim was discarded.
    Discarded,
    /// What claims are worth, in upokt.
    UpoktClaimed,
    /// What was paid.
    UpoktPaid,
    /// What an application's stake did not cover.
    UpoktCapped,
    /// What expired.
    UpoktExpired,
    /// What was discarded.
    UpoktDiscarded,
    /// What we chose not to earn.
    UpoktForgone,
}

impl Term {
    /// Returns the counter's word, as stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Skipped => "skipped",
            Self::Logged => "logged",
            Self::Foreign => "foreign",
            Self::Spooled => "spooled",
            Self::LostBeforeLog => "lost_before_log",
            Self::Leaves => "leaves",
            Self::Collapsed => "collapsed",
            Self::Rejected => "rejected",
            Self::Claimed => "claimed",
            Self::Unclaimed => "unclaimed",
            Self::SettledProved => "settled_proved",
            Self::SettledUnproved => "settled_unproved",
            Self::Expired => "expired",
            Self::Discarded => "discarded",
            Self::UpoktClaimed => "upokt_claimed",
            Self::UpoktPaid => "upokt_paid",
            Self::UpoktCapped => "upokt_capped",
            Self::UpoktExpired => "upokt_expired",
            Self::UpoktDiscarded => "upokt_discarded",
            Self::UpoktForgone => "upokt_forgone",
        }
    }
}

/// A change of one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Which.
    pub term: Term,
    /// For `Rejected` and `Unclaimed`: the reason, a word of a closed set.
    pub reason: Option<&'static str>,
    /// By how much. Negative only where a term shrinks by itself: `Spooled`.
    pub by: i64,
}

impl Count {
    /// Returns a change without a reason.
    pub fn of(term: Term, by: i64) -> Self {
        Self { term, reason: None, by }
    }

    /// Returns a change with a reason.
    pub fn because(term: Term, reason: &'static str, by: i64) -> Self {
        Self { term, reason: Some(reason), by }
    }

    /// Returns the names of the stored counters that this change raises.
    pub(crate) fn fields(&self) -> impl Iterator<Item = String> {
        let total = self.term.word().to_owned();
        let detail = self.reason.map(|reason| format!("{}.{reason}", self.term.word()));
        std::iter::once(total).chain(detail)
    }
}

/// Upokt of claims: `claimed = paid + capped + expired + discarded + forgone + waiting`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the ledger term of its name")]
pub struct UpoktLedger {
    pub claimed: i64,
    pub paid: i64,
    pub capped: i64,
    pub expired: i64,
    pub discarded: i64,
    pub forgone: i64,
    pub waiting: i64,
}

/// Where every relay went. `pending`, `open` and `waiting` are measured from the log and the records, the others counted,
/// so that the equations say something. `foreign` and `taken` are what programs of another kind had a part in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the ledger term of its name")]
pub struct Ledger {
    pub served: i64,
    pub skipped: i64,
    pub logged: i64,
    pub foreign: i64,
    pub spooled: i64,
    pub lost_before_log: i64,
    pub leaves: i64,
    pub collapsed: i64,
    pub rejected: i64,
    pub rejected_by_reason: BTreeMap<String, i64>,
    pub pending: i64,
    pub taken: i64,
    pub claimed: i64,
    pub unclaimed: i64,
    pub unclaimed_by_reason: BTreeMap<String, i64>,
    pub open: i64,
    pub settled_proved: i64,
    pub settled_unproved: i64,
    pub expired: i64,
    pub discarded: i64,
    pub waiting: i64,
    pub upokt: UpoktLedger,
}

/// What is measured of one supplier's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LogMeasure {
    /// Entries in it.
    pub(crate) length: u64,
    /// Entries ever added to it, by relayers of any kind, where the server knows (Redis 7.0 and later).
    pub(crate) added: Option<u64>,
}

/// The equations of the ledger: what each difference is called.
pub const EQUATIONS: [&str; 5] = ["served", "logged", "leaves", "claimed", "upokt"];

impl Ledger {
    /// Adds the stored counters of one supplier.
    pub(crate) fn add_counters<'a>(&mut self, counters: impl IntoIterator<Item = (&'a str, i64)>) {
        for (name, value) in counters {
            if let Some(reason) = name.strip_prefix("rejected.") {
                *self.rejected_by_reason.entry(reason.to_owned()).or_default() += value;
            } else if let Some(reason) = name.strip_prefix("unclaimed.") {
                *self.unclaimed_by_reason.entry(reason.to_owned()).or_default() += value;
            } else if let Some(field) = self.field(name) {
                *field += value;
            }
        }
    }

    fn field(&mut self, name: &str) -> Option<&mut i64> {
        Some(match name {
            "served" => &mut self.served,
            "skipped" => &mut self.skipped,
            "logged" => &mut self.logged,
            "spooled" => &mut self.spooled,
            "lost_before_log" => &mut self.lost_before_log,
            "leaves" => &mut self.leaves,
            "collapsed" => &mut self.collapsed,
            "rejected" => &mut self.rejected,
            "claimed" => &mut self.claimed,
            "unclaimed" => &mut self.unclaimed,
            "settled_proved" => &mut self.settled_proved,
            "settled_unproved" => &mut self.settled_unproved,
            "expired" => &mut self.expired,
            "discarded" => &mut self.discarded,
            "upokt_claimed" => &mut self.upokt.claimed,
            "upokt_paid" => &mut self.upokt.paid,
            "upokt_capped" => &mut self.upokt.capped,
            "upokt_expired" => &mut self.upokt.expired,
            "upokt_discarded" => &mut self.upokt.discarded,
            "upokt_forgone" => &mut self.upokt.forgone,
            _ => return None,
        })
    }

    /// Adds what is measured from one supplier's log, of which relayers of ours counted `logged`.
    pub(crate) fn add_log(&mut self, log: &LogMeasure, logged: i64) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.pending += number(log.length);
        // Fewer than ours, in a log that somebody has removed, is nobody's relays: that must show in the equation.
        self.foreign += log.added.map_or(0, |added| number(added) - logged).max(0);
    }

    /// Returns how many relays have left the log, and no miner of ours knows where to. A miner of another kind has taken
    /// them where there is one; otherwise they are lost, and that must show.
    pub(crate) fn vanished(&self) -> i64 {
        self.logged + self.foreign - self.leaves - self.collapsed - self.rejected - self.pending - self.taken
    }

    /// Adds what is measured from one session's record.
    pub(crate) fn add_session(&mut self, session: &crate::StoredSession) {
        let state = session.record.state;
        if state.is_open() {
            self.open += i64::try_from(session.leaves).unwrap_or(i64::MAX);
        }
        if state.is_waiting() {
            self.waiting += i64::try_from(session.record.relays).unwrap_or(i64::MAX);
            self.upokt.waiting += i64::try_from(session.record.claimed_upokt).unwrap_or(i64::MAX);
        }
    }

    /// Returns left side minus right side of each equation, in the order of [`EQUATIONS`]. All must be zero.
    pub fn differences(&self) -> [(&'static str, i64); 5] {
        let upokt = &self.upokt;
        let differences = [
            self.served - self.skipped - self.logged - self.spooled - self.lost_before_log,
            self.vanished(),
            self.leaves - self.claimed - self.unclaimed - self.open,
            self.claimed - self.settled_proved - self.settled_unproved - self.expired - self.discarded - self.waiting,
            upokt.claimed - upokt.paid - upokt.capped - upokt.expired - upokt.discarded - upokt.forgone - upokt.waiting,
        ];
        let mut named = [("", 0); 5];
        for (slot, (name, difference)) in named.iter_mut().zip(EQUATIONS.into_iter().zip(differences)) {
            *slot = (name, difference);
        }
        named
    }

    /// Returns whether every equation holds.
    pub fn balances(&self) -> bool {
        self.differences().iter().all(|(_, difference)| *difference == 0)
    }
}
