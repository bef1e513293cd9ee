//! What a session's record means in the ledger.
//!
//! The postings of a record are a function of the record alone. A change of a record is counted as the difference between
//! its postings afterwards and before, in the same atomic write; so no road to a state, repeated, resumed or corrected,
//! can count anything twice.

use std::collections::BTreeMap;

use pocket_store::{Count, Outcome, SessionRecord, SessionState, Term};

/// Why leaves were not claimed. A closed set: the label of a metric and a word of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unclaimed {
    /// The claim window closed before the chain held the claim.
    Window,
    /// The chain refused the claim until its window had closed.
    Refused,
    /// It would not have earned its fees, and the operator wants no such claims.
    Unprofitable,
    /// The chain holds a claim of the session with another root.
    OtherRoot,
}

impl Unclaimed {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Window, Self::Refused, Self::Unprofitable, Self::OtherRoot];

    /// Returns the reason's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Refused => "refused",
            Self::Unprofitable => "unprofitable",
            Self::OtherRoot => "other_root",
        }
    }

    /// Reads a word; one that this version does not know counts as the window.
    pub fn of_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|reason| reason.word() == word).unwrap_or(Self::Window)
    }
}

type Postings = BTreeMap<(Term, Option<&'static str>), i64>;

/// Returns what turns the postings of `before` into those of `after`.
pub fn counts(before: &SessionRecord, after: &SessionRecord) -> Vec<Count> {
    let mut change = postings(after);
    for (entry, amount) in postings(before) {
        *change.entry(entry).or_default() -= amount;
    }
    let count = |((term, reason), by)| (by != 0).then_some(Count { term, reason, by });
    change.into_iter().filter_map(count).collect()
}

fn postings(record: &SessionRecord) -> Postings {
    let relays = signed(record.relays);
    let claimed = signed(record.claimed_upokt);
    let mut postings = Postings::new();
    let mut post = |term, amount| {
        postings.insert((term, None), amount);
    };
    match record.state {
        SessionState::Open | SessionState::Sealed => {}
        SessionState::Claimed | SessionState::Proved => {
            post(Term::Claimed, relays);
            post(Term::UpoktClaimed, claimed);
        }
        SessionState::Settled => {
            post(Term::Claimed, relays);
            post(Term::UpoktClaimed, claimed);
            let paid = record.settlement.as_ref().map_or(0, |settlement| signed(settlement.paid_upokt));
            match record.settlement.as_ref().map(|settlement| settlement.outcome) {
                Some(outcome @ (Outcome::SettledProved | Outcome::SettledUnproved)) => {
                    let proved = outcome == Outcome::SettledProved;
                    post(if proved { Term::SettledProved } else { Term::SettledUnproved }, relays);
                    post(Term::UpoktPaid, paid);
                    post(Term::UpoktCapped, claimed - paid);
                }
                Some(Outcome::Expired) => {
                    post(Term::Expired, relays);
                    post(Term::UpoktExpired, claimed);
                }
                Some(Outcome::Discarded) | None => {
                    post(Term::Discarded, relays);
                    post(Term::UpoktDiscarded, claimed);
                }
            }
        }
        SessionState::Unclaimed => {
            let reason = Unclaimed::of_word(record.unclaimed.as_deref().unwrap_or_default());
            postings.insert((Term::Unclaimed, Some(reason.word())), relays);
            if reason == Unclaimed::Unprofitable {
                postings.insert((Term::UpoktClaimed, None), claimed);
                postings.insert((Term::UpoktForgone, None), claimed);
            }
        }
    }
    postings
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use pocket_store::{SessionHeader, Settlement};

    use super::*;

    fn record(state: SessionState) -> SessionRecord {
        let header = SessionHeader {
            supplier: "pokt1supplier".into(),
            session: "session".into(),
            service: "service".into(),
            application: "pokt1application".into(),
            start_height: 1,
            end_height: 10,
        };
        SessionRecord { state, relays: 7, claimed_upokt: 700, ..SessionRecord::open(&header) }
    }

    fn settled(outcome: Outcome, paid_upokt: u64) -> SessionRecord {
        let settlement = Settlement {
            outcome,
            height: 28,
            relays: 7,
            claimed_upokt: 700,
            paid_upokt,
            slashed_upokt: 0,
            extra: BTreeMap::new(),
        };
        SessionRecord { settlement: Some(settlement), ..record(SessionState::Settled) }
    }

    fn unclaimed(reason: Unclaimed) -> SessionRecord {
        SessionRecord { unclaimed: Some(reason.word().into()), ..record(SessionState::Unclaimed) }
    }

    fn every() -> Vec<SessionRecord> {
        let mut records: Vec<_> = SessionState::ALL[..4].iter().map(|state| record(*state)).collect();
        records.push(settled(Outcome::SettledProved, 700));
        records.push(settled(Outcome::SettledUnproved, 500));
        records.push(settled(Outcome::Expired, 0));
        records.push(settled(Outcome::Discarded, 0));
        records.extend(Unclaimed::ALL.map(unclaimed));
        records
    }

    fn apply(sums: &mut BTreeMap<(Term, Option<&'static str>), i64>, counts: &[Count]) {
        for count in counts {
            *sums.entry((count.term, count.reason)).or_default() += count.by;
        }
        sums.retain(|_, sum| *sum != 0);
    }

    #[test]
    fn every_road_to_a_state_counts_the_same() {
        for last in every() {
            let mut direct = BTreeMap::new();
            apply(&mut direct, &counts(&record(SessionState::Open), &last));
            for between in every() {
                let mut detour = BTreeMap::new();
                apply(&mut detour, &counts(&record(SessionState::Open), &between));
                apply(&mut detour, &counts(&between, &last));
                assert_eq!(detour, direct, "through {:?} to {:?}", between.state, last.state);
            }
        }
    }

    #[test]
    fn a_change_without_meaning_counts_nothing() {
        for record in every() {
            assert_eq!(counts(&record, &record), []);
        }
    }

    #[test]
    fn what_is_claimed_is_paid_or_accounted_for() {
        for last in every().into_iter().filter(|record| record.state.is_final()) {
            let counts = counts(&record(SessionState::Open), &last);
            let of = |term| counts.iter().filter(|count| count.term == term).map(|count| count.by).sum::<i64>();
            let ends = [Term::SettledProved, Term::SettledUnproved, Term::Expired, Term::Discarded];
            assert_eq!(of(Term::Claimed), ends.into_iter().map(of).sum::<i64>(), "{last:?}");
            assert_eq!(of(Term::Claimed) + of(Term::Unclaimed), 7, "{last:?}");
            let ends =
                [Term::UpoktPaid, Term::UpoktCapped, Term::UpoktExpired, Term::UpoktDiscarded, Term::UpoktForgone];
            assert_eq!(of(Term::UpoktClaimed), ends.into_iter().map(of).sum::<i64>(), "{last:?}");
        }
    }

    #[test]
    fn reasons_are_read_as_they_are_written() {
        for reason in Unclaimed::ALL {
            assert_eq!(Unclaimed::of_word(reason.word()), reason);
        }
    }
}
