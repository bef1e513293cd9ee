//! The relay meter: an application's budget with one supplier in one session, charged before a relay is served.
//!
//! The budget is shared by all replicas under the reference's keys. Each replica reserves a little of it at a time and
//! spends its reservation without a round trip, so that the hot path normally touches no store. What is reserved counts as
//! consumed: replicas together never overdraw, and what over-serving there can be is what is in flight. A replica killed
//! before it returns its reservation leaves that little unserved, which is the safe side.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::boundary::MeterMeta;

/// Whose budget is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeKey {
    /// The session.
    pub session: String,
    /// Who pays.
    pub application: String,
    /// The service.
    pub service: String,
    /// Who serves.
    pub supplier: String,
    /// The session's last height.
    pub session_end_height: i64,
}

/// How much may be spent, and the facts that say so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// The limit, in upokt.
    pub limit_upokt: u64,
    /// The application's stake the limit was made with, in upokt.
    pub app_stake_upokt: u64,
    /// The service factor the limit was made with.
    pub service_factor: Option<f64>,
}

/// Whether a relay may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// It is paid for.
    Charged {
        /// Consumed by this replica and reserved by all, in upokt, this relay included.
        total: u64,
    },
    /// The budget does not cover it. Nothing was charged.
    Over {
        /// Consumed and reserved by all, in upokt.
        total: u64,
        /// The limit, in upokt.
        limit: u64,
    },
}

/// A reservation as the store granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// Upokt now reserved for the asking replica; 0 if not even one relay fits.
    pub(crate) granted: u64,
    /// Consumed and reserved by all, after this.
    pub(crate) total: u64,
}

/// What one replica holds of a budget.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    unspent: u64,
    // As of the last round trip; other replicas may have reserved more since.
    total: u64,
}

/// Returns how much of `want` a budget still covers: whole relays, or nothing.
pub(crate) fn grant(consumed: u64, limit: u64, cost: u64, want: u64) -> u64 {
    let room = limit.saturating_sub(consumed);
    if room < cost {
        return 0;
    }
    if want <= room { want } else { room - room % cost.max(1) }
}

impl ChargeKey {
    /// Returns the facts that the reference keeps beside a meter.
    pub(crate) fn meta(&self, allowance: &Allowance, now: i64) -> MeterMeta {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        MeterMeta {
            session_id: self.session.clone(),
            app_address: self.application.clone(),
            service_id: self.service.clone(),
            supplier_address: self.supplier.clone(),
            session_end_height: self.session_end_height,
            max_stake_upokt: signed(allowance.limit_upokt),
            created_at: now,
            created_with_factor: allowance.service_factor.unwrap_or(0.0),
            created_with_app_stake: signed(allowance.app_stake_upokt),
        }
    }
}

/// Shares of a session's remaining budget that one reservation leaves to others.
const RESERVE_SHARE: u64 = 8;

/// This replica's reservations, by session and supplier.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    held: Mutex<BTreeMap<String, BTreeMap<String, Held>>>,
}

impl Reservations {
    /// Spends from what is held, if it suffices; returns the total after that.
    pub(crate) fn spend(&self, key: &ChargeKey, cost: u64) -> Option<u64> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.get_mut(&key.session)?.get_mut(&key.supplier)?;
        held.unspent = held.unspent.checked_sub(cost)?;
        Some(held.total.saturating_sub(held.unspent))
    }

    /// Returns what to ask for: some relays ahead, yet never a large share of what is left.
    pub(crate) fn wanted(&self, key: &ChargeKey, cost: u64, limit: u64, relays_ahead: u32) -> u64 {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let total = held.get(&key.session).and_then(|s| s.get(&key.supplier)).map_or(0, |held| held.total);
        let room = limit.saturating_sub(total) / RESERVE_SHARE;
        let ahead = cost.saturating_mul(u64::from(relays_ahead)).min(room);
        cost.saturating_mul((ahead / cost.max(1)).max(1))
    }

    /// Notes a grant and spends `cost` of it.
    pub(crate) fn granted(&self, key: &ChargeKey, reserved: Reserved, cost: u64) -> u64 {
        let mut sessions = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = sessions.entry(key.session.clone()).or_default().entry(key.supplier.clone()).or_default();
        held.total = reserved.total;
        held.unspent += reserved.granted.saturating_sub(cost);
        held.total.saturating_sub(held.unspent)
    }

    /// Gives back the cost of a relay that was not served.
    pub(crate) fn refund(&self, key: &ChargeKey, cost: u64) {
        let mut sessions = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.entry(key.session.clone()).or_default().entry(key.supplier.clone()).or_default().unspent += cost;
    }

    /// Takes everything unspent out, to be returned to the store.
    pub(crate) fn drain(&self) -> Vec<(String, String, u64)> {
        let sessions = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        let mut unspent = Vec::new();
        for (session, suppliers) in sessions {
            for (supplier, held) in suppliers {
                if held.unspent > 0 {
                    unspent.push((session.clone(), supplier, held.unspent));
                }
            }
        }
        unspent
    }

    /// Forgets a budget; returns what was unspent.
    pub(crate) fn forget(&self, session: &str, supplier: &str) -> u64 {
        let mut sessions = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(suppliers) = sessions.get_mut(session) else { return 0 };
        let unspent = suppliers.remove(supplier).map_or(0, |held| held.unspent);
        if suppliers.is_empty() {
            sessions.remove(session);
        }
        unspent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ChargeKey {
        ChargeKey {
            session: "s".into(),
            application: "a".into(),
            service: "svc".into(),
            supplier: "p".into(),
            session_end_height: 10,
        }
    }

    #[test]
    fn a_reservation_is_spent_without_asking_again() {
        let reservations = Reservations::default();
        assert_eq!(reservations.spend(&key(), 10), None, "nothing is held yet");
        assert_eq!(reservations.granted(&key(), Reserved { granted: 30, total: 30 }, 10), 10);
        assert_eq!(reservations.spend(&key(), 10), Some(20));
        assert_eq!(reservations.spend(&key(), 10), Some(30));
        assert_eq!(reservations.spend(&key(), 10), None);
        reservations.refund(&key(), 10);
        assert_eq!(reservations.spend(&key(), 10), Some(30));
    }

    #[test]
    fn a_reservation_shrinks_with_what_is_left() {
        let reservations = Reservations::default();
        assert_eq!(reservations.wanted(&key(), 10, 1_000_000, 32), 320);
        assert_eq!(reservations.wanted(&key(), 10, 400, 32), 50);
        assert_eq!(reservations.wanted(&key(), 10, 10, 32), 10, "one relay is always asked for");
        reservations.granted(&key(), Reserved { granted: 10, total: 390 }, 10);
        assert_eq!(reservations.wanted(&key(), 10, 400, 32), 10);
    }

    #[test]
    fn what_is_unspent_can_be_returned() {
        let reservations = Reservations::default();
        reservations.granted(&key(), Reserved { granted: 30, total: 30 }, 10);
        assert_eq!(reservations.drain(), [("s".to_owned(), "p".to_owned(), 20)]);
        assert_eq!(reservations.drain(), []);
    }
}
