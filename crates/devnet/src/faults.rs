//! What goes wrong on request, for whom, how often and for how long.
//!
//! The chain itself knows four faults: a transaction leaves the mempool unseen, is included late, is refused at the
//! door, or the clock is wrong. Faults of answers (late, refused) are asked for by the servers, method by method.

use std::{collections::BTreeMap, time::Duration};

use pocket_proto::pocket::devnet::v1::{Fault, FaultKind};

/// How many faults may be set at once.
pub const FAULTS_MAX: usize = 64;

/// A fault that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Its kind is missing or unknown.
    #[error("fault kind {0} is unknown; use FAULT_KIND_EVICT, _DELAY, _REJECT or _SKEW")]
    Kind(i32),
    /// It would do nothing.
    #[error("a fault of kind {kind} needs {field}")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// What is missing.
        field: &'static str,
    },
    /// There are too many.
    #[error("{FAULTS_MAX} faults are set already; clear some first")]
    TooMany,
}

/// What the servers must do to an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerFault {
    /// Wait this long before answering.
    pub delay: Duration,
    /// Refuse with this gRPC status code and message instead of answering.
    pub refusal: Option<(u32, String)>,
}

/// What a transaction is subject to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TxFault {
    /// Refuse it with this code, codespace and log.
    pub refusal: Option<(u32, String, String)>,
    /// Blocks it waits at least.
    pub delay_blocks: u64,
}

#[derive(Debug, Clone)]
struct Active {
    fault: Fault,
    until_height: Option<i64>,
}

/// The faults that are set, in the order in which they were.
#[derive(Debug, Clone)]
pub struct Faults {
    active: BTreeMap<u64, Active>,
    next: u64,
    random: u64,
}

impl Faults {
    /// Starts without any; what strikes with a probability follows from the seed.
    pub fn new(seed: u64) -> Self {
        Self { active: BTreeMap::new(), next: 1, random: seed ^ 0x9e37_79b9_7f4a_7c15 }
    }

    /// Sets a fault at `height` and returns its id.
    pub fn set(&mut self, mut fault: Fault, height: i64) -> Result<String, FaultError> {
        let kind = FaultKind::try_from(fault.kind).map_err(|_| FaultError::Kind(fault.kind))?;
        let missing = |kind, field| Err(FaultError::Missing { kind, field });
        match kind {
            FaultKind::Unspecified => return Err(FaultError::Kind(fault.kind)),
            FaultKind::Delay if fault.delay_ms == 0 && fault.delay_blocks == 0 => {
                return missing("FAULT_KIND_DELAY", "delay_ms or delay_blocks");
            }
            FaultKind::Reject if fault.code == 0 => return missing("FAULT_KIND_REJECT", "a code other than 0"),
            FaultKind::Skew if fault.skew_ms == 0 => return missing("FAULT_KIND_SKEW", "skew_ms"),
            _ => {}
        }
        if self.active.len() >= FAULTS_MAX {
            return Err(FaultError::TooMany);
        }
        let number = self.next;
        self.next += 1;
        fault.id = number.to_string();
        fault.struck = 0;
        let until_height = (fault.blocks > 0).then(|| height.saturating_add_unsigned(fault.blocks));
        let id = fault.id.clone();
        self.active.insert(number, Active { fault, until_height });
        Ok(id)
    }

    /// Returns whether none is set.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Lists the faults.
    pub fn list(&self) -> Vec<Fault> {
        self.active.values().map(|active| active.fault.clone()).collect()
    }

    /// Clears the named faults, or all when none is named; returns how many.
    pub fn clear(&mut self, ids: &[String]) -> u32 {
        let before = self.active.len();
        self.active.retain(|number, _| !ids.is_empty() && !ids.contains(&number.to_string()));
        u32::try_from(before - self.active.len()).unwrap_or(u32::MAX)
    }

    /// Drops the faults that end with the block at `height`.
    pub fn end_block(&mut self, height: i64) {
        self.active.retain(|_, active| active.until_height.is_none_or(|until| height < until));
    }

    /// Returns how wrong the clock is, in nanoseconds.
    pub fn skew_nanos(&self) -> i128 {
        let skews = self.active.values().filter(|active| active.fault.kind == FaultKind::Skew as i32);
        skews.map(|active| i128::from(active.fault.skew_ms) * 1_000_000).sum()
    }

    /// Returns whether any transaction may be evicted.
    pub fn may_evict(&self) -> bool {
        self.active.values().any(|active| active.fault.kind == FaultKind::Evict as i32)
    }

    /// Returns whether a waiting transaction of these message types and signers leaves the mempool now.
    pub fn strike_waiting(&mut self, messages: &[String], signers: &[String]) -> bool {
        let mut evicted = false;
        self.strike(tx_concerns(messages, signers), |kind, _| {
            evicted |= kind == FaultKind::Evict;
            kind == FaultKind::Evict
        });
        evicted
    }

    /// Returns what befalls a submitted transaction of these message types and signers.
    pub fn strike_tx(&mut self, messages: &[String], signers: &[String]) -> TxFault {
        let mut struck = TxFault::default();
        self.strike(tx_concerns(messages, signers), |kind, fault| match kind {
            FaultKind::Reject if struck.refusal.is_none() => {
                struck.refusal = Some((fault.code, codespace(fault), fault.message.clone()));
                true
            }
            FaultKind::Delay if fault.delay_blocks > 0 => {
                struck.delay_blocks += fault.delay_blocks;
                true
            }
            _ => false,
        });
        struck
    }

    /// Returns what befalls the answer to a call of `method`, about `supplier` where the call concerns one. Faults
    /// without a target befall every method.
    pub fn strike_answer(&mut self, method: &str, supplier: Option<&str>) -> AnswerFault {
        let mut struck = AnswerFault::default();
        let concerns = |fault: &Fault| {
            (fault.target.is_empty() || fault.target == method)
                && (fault.supplier.is_empty() || Some(fault.supplier.as_str()) == supplier)
        };
        self.strike(concerns, |kind, fault| match kind {
            FaultKind::Reject if struck.refusal.is_none() => {
                struck.refusal = Some((fault.code, fault.message.clone()));
                true
            }
            FaultKind::Delay if fault.delay_ms > 0 => {
                struck.delay += Duration::from_millis(fault.delay_ms);
                true
            }
            _ => false,
        });
        struck
    }

    fn strike(&mut self, concerns: impl Fn(&Fault) -> bool, mut hit: impl FnMut(FaultKind, &Fault) -> bool) {
        let mut random = self.random;
        for active in self.active.values_mut() {
            let fault = &mut active.fault;
            let Ok(kind) = FaultKind::try_from(fault.kind) else { continue };
            let spent = fault.count > 0 && fault.struck >= fault.count;
            if spent || !concerns(fault) {
                continue;
            }
            if fault.probability_ppm > 0 && fault.probability_ppm < 1_000_000 {
                random = split_mix(random);
                if random % 1_000_000 >= u64::from(fault.probability_ppm) {
                    continue;
                }
            }
            if hit(kind, fault) {
                fault.struck += 1;
            }
        }
        self.random = random;
        self.active.retain(|_, active| active.fault.count == 0 || active.fault.struck < active.fault.count);
    }
}

/// Returns whether a fault concerns a transaction of these message types and signers.
fn tx_concerns(messages: &[String], signers: &[String]) -> impl Fn(&Fault) -> bool {
    move |fault| {
        (fault.target.is_empty() || messages.contains(&fault.target))
            && (fault.supplier.is_empty() || signers.contains(&fault.supplier))
    }
}

fn codespace(fault: &Fault) -> String {
    if fault.codespace.is_empty() { "sdk".to_owned() } else { fault.codespace.clone() }
}

/// One step of a small generator, enough to scatter faults.
fn split_mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault { kind: kind.into(), ..Fault::default() }
    }

    #[test]
    fn a_fault_strikes_what_it_names_and_as_often_as_it_says() {
        let mut faults = Faults::new(1);
        let target = "/pocket.proof.MsgCreateClaim".to_owned();
        let one = Fault { target: target.clone(), count: 1, ..fault(FaultKind::Evict) };
        faults.set(one, 5).expect("a fault");
        assert!(!faults.strike_waiting(&["/cosmos.bank.v1beta1.MsgSend".to_owned()], &[]));
        assert!(faults.strike_waiting(std::slice::from_ref(&target), &[]));
        assert!(!faults.strike_waiting(&[target], &[]), "its count is used up");
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_fault_ends_with_its_blocks() {
        let mut faults = Faults::new(1);
        faults.set(Fault { skew_ms: -5, blocks: 2, ..fault(FaultKind::Skew) }, 10).expect("a fault");
        faults.end_block(11);
        assert_eq!(faults.skew_nanos(), -5_000_000);
        faults.end_block(12);
        assert_eq!(faults.skew_nanos(), 0);
    }

    #[test]
    fn a_probable_fault_strikes_about_as_often_as_it_should() {
        let mut faults = Faults::new(7);
        let half = Fault { delay_ms: 3, probability_ppm: 500_000, ..fault(FaultKind::Delay) };
        faults.set(half, 1).expect("a fault");
        let struck = (0..1_000).filter(|_| faults.strike_answer("block", None).delay > Duration::ZERO).count();
        assert!((400..600).contains(&struck), "{struck} of 1000");
    }

    #[test]
    fn a_fault_that_would_do_nothing_is_refused() {
        let mut faults = Faults::new(1);
        for kind in [FaultKind::Delay, FaultKind::Reject, FaultKind::Skew, FaultKind::Unspecified] {
            assert!(faults.set(fault(kind), 1).is_err(), "{kind:?}");
        }
    }
}
