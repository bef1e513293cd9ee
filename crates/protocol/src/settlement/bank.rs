//! Movements of tokens: queued claim by claim, summed by who, whom and why, executed in the order of their keys (§8.7.6).

use std::collections::BTreeMap;

use pocket_proto::pocket::tokenomics::{EventSettlementBatch, SettlementOpReason as Reason};

use super::Settlement;
use crate::Upokt;

/// Module accounts that settlement moves tokens between (§10.5).
pub mod module {
    /// Holds the stakes of applications.
    pub const APPLICATION: &str = "application";
    /// Holds the stakes of suppliers, and their rewards in transit.
    pub const SUPPLIER: &str = "supplier";
    /// Where rewards are minted, and slashed stakes burned.
    pub const TOKENOMICS: &str = "tokenomics";
}

/// One movement of tokens for the bank to execute. The amount is never zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankOperation {
    /// From where to where.
    pub movement: Movement,
    /// Why.
    pub reason: Reason,
    /// How much.
    pub amount: Upokt,
}

/// Where tokens come from and go to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Movement {
    /// Tokens come into being in a module account.
    Mint {
        /// The module account.
        module: &'static str,
    },
    /// From one module account to another.
    ModuleToModule {
        /// The paying module account.
        from: &'static str,
        /// The receiving module account.
        to: &'static str,
    },
    /// From a module account to somebody.
    ModuleToAccount {
        /// The paying module account.
        from: &'static str,
        /// Bech32 address of the recipient.
        to: String,
    },
    /// Tokens of a module account cease to exist.
    Burn {
        /// The module account.
        module: &'static str,
    },
}

impl Movement {
    /// Returns the place of the movement's group in the order of execution.
    fn group(&self) -> u8 {
        match self {
            Self::Mint { .. } => 0,
            Self::ModuleToModule { .. } => 1,
            Self::ModuleToAccount { .. } => 2,
            Self::Burn { .. } => 3,
        }
    }

    /// Returns the text that orders movements within their group. The reason is its decimal number *as text*.
    fn order_key(&self, reason: Reason) -> String {
        let reason = i32::from(reason);
        match self {
            Self::Mint { module } | Self::Burn { module } => format!("{module}|{reason}"),
            Self::ModuleToModule { from, to } => format!("{from}|{to}|{reason}"),
            Self::ModuleToAccount { from, to } => format!("{from}|{to}|{reason}"),
        }
    }

    /// Returns the name of the group, the payer or the only account, and the payee, as `EventSettlementBatch` has them.
    fn parts(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Mint { module } => ("mint", module, ""),
            Self::ModuleToModule { from, to } => ("mod_to_mod", from, to),
            Self::ModuleToAccount { from, to } => ("mod_to_acct", from, to),
            Self::Burn { module } => ("burn", module, ""),
        }
    }
}

/// Movements in the order in which they were queued.
#[derive(Debug, Default)]
pub(super) struct Operations(Vec<BankOperation>);

impl Operations {
    /// Queues a movement; one of nothing is left out, as the chain leaves it out.
    pub(super) fn queue(&mut self, movement: Movement, reason: Reason, amount: Upokt) {
        if !amount.is_zero() {
            self.0.push(BankOperation { movement, reason, amount });
        }
    }

    pub(super) fn mint(&mut self, reason: Reason, amount: Upokt) {
        self.queue(Movement::Mint { module: module::TOKENOMICS }, reason, amount);
    }

    pub(super) fn pay(&mut self, from: &'static str, to: &str, reason: Reason, amount: Upokt) {
        self.queue(Movement::ModuleToAccount { from, to: to.to_owned() }, reason, amount);
    }

    pub(super) fn append(&mut self, mut later: Self) {
        self.0.append(&mut later.0);
    }

    /// Returns payments to accounts in the order in which they were queued.
    pub(super) fn paid(&self) -> impl Iterator<Item = (&str, Reason, Upokt)> {
        self.0.iter().filter_map(|operation| match &operation.movement {
            Movement::ModuleToAccount { to, .. } => Some((to.as_str(), operation.reason, operation.amount)),
            _ => None,
        })
    }

    /// Returns the sum paid to each account, as coins.
    pub(super) fn paid_by_account(&self) -> impl Iterator<Item = (String, String)> {
        let mut paid: BTreeMap<&str, Upokt> = BTreeMap::new();
        for (to, _, amount) in self.paid() {
            let sum = paid.entry(to).or_default();
            *sum = [*sum, amount].into_iter().sum();
        }
        paid.into_iter().map(|(to, amount)| (to.to_owned(), amount.to_string())).collect::<Vec<_>>().into_iter()
    }
}

impl Settlement<'_> {
    /// Sums the queued movements and hands them to the bank, with an event for each sum.
    pub(super) fn execute_operations(&mut self) {
        let session_end = self.summary_session_end();
        let mut sums: BTreeMap<(u8, String), (BankOperation, u32)> = BTreeMap::new();
        for operation in std::mem::take(&mut self.operations.0) {
            let key = (operation.movement.group(), operation.movement.order_key(operation.reason));
            sums.entry(key)
                .and_modify(|(sum, claims)| {
                    sum.amount = [sum.amount, operation.amount].into_iter().sum();
                    *claims += 1;
                })
                .or_insert((operation, 1));
        }
        for (operation, num_claims) in sums.into_values() {
            let (kind, from, to) = operation.movement.parts();
            self.emit(EventSettlementBatch {
                session_end_block_height: session_end,
                sender_module: from.to_owned(),
                recipient: to.to_owned(),
                op_reason: operation.reason.into(),
                total_amount: operation.amount.to_string(),
                num_claims,
                op_type: kind.to_owned(),
            });
            self.outcome.bank.push(operation);
        }
    }
}
