//! Which supplier is asked next.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pocket_chain::Session;
use pocket_proto::pocket::shared::RpcType;
use pocket_runtime::{clock, random};
use tokio::time::Instant;

/// A supplier that failed is left alone for this long, while there are others.
const REST: Duration = Duration::from_secs(5);

/// Failing suppliers remembered, at most.
const RESTING_MAX: usize = 4096;

/// One way to send a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Operator address.
    pub(crate) supplier: String,
    /// As staked.
    pub(crate) url: String,
    /// How the endpoint is spoken to.
    pub(crate) rpc_type: RpcType,
}

/// RPC types that are one HTTP exchange, in order of preference.
const HTTP_TYPES: [RpcType; 3] = [RpcType::JsonRpc, RpcType::Rest, RpcType::CometBft];

/// Remembers who failed lately.
pub(crate) struct Suppliers {
    /// Until when a supplier rests, by operator address; locked for a look-up, never over an await.
    resting: Mutex<BTreeMap<String, Instant>>,
}

impl Suppliers {
    pub(crate) fn new() -> Self {
        Self { resting: Mutex::new(BTreeMap::new()) }
    }

    /// Chooses at random among the session's suppliers that serve over HTTP, that are not in `tried`, and, while there
    /// are such, that have not failed lately.
    pub(crate) fn choose(&self, session: &Session, only: &[String], tried: &[Choice]) -> Option<Choice> {
        let mut open: Vec<Choice> = session
            .suppliers
            .iter()
            .filter(|one| only.is_empty() || only.contains(&one.operator))
            .filter(|one| !tried.iter().any(|choice| choice.supplier == one.operator))
            .filter_map(|one| {
                HTTP_TYPES.iter().find_map(|rpc_type| {
                    let endpoint = one.endpoints.iter().find(|endpoint| endpoint.rpc_type == *rpc_type)?;
                    Some(Choice { supplier: one.operator.clone(), url: endpoint.url.clone(), rpc_type: *rpc_type })
                })
            })
            .collect();
        let now = clock::now();
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |choice: &Choice| resting.get(&choice.supplier).is_none_or(|until| *until <= now);
        if open.iter().any(is_fresh) {
            open.retain(is_fresh);
        }
        if open.is_empty() {
            return None;
        }
        let index = random::range(0..open.len());
        Some(open.swap_remove(index))
    }

    /// Lets a supplier rest.
    pub(crate) fn failed(&self, supplier: &str) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        if resting.len() >= RESTING_MAX {
            resting.retain(|_, until| *until > now);
        }
        resting.insert(supplier.to_owned(), now + REST);
    }

    /// A supplier that answered needs no rest.
    pub(crate) fn answered(&self, supplier: &str) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if !resting.is_empty() {
            resting.remove(supplier);
        }
    }
}
