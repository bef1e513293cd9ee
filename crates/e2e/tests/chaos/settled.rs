//! What must still hold: every answered relay is in a settled claim, once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pocket_chain::Chain;
use pocket_config::common::PocketNode;
use pocket_config::document;
use pocket_runtime::shutdown::{self, ShutdownTrigger};

use crate::load::{Counts, Seen};

/// A node at these addresses.
pub(crate) fn node(rpc: u16, grpc: u16) -> PocketNode {
    let mut node: PocketNode =
        document::deserialize(document::defaults("relayer")["pocket_node"].clone()).expect("complete defaults");
    node.query_node_rpc_url = format!("http://127.0.0.1:{rpc}");
    node.query_node_grpc_url = format!("127.0.0.1:{grpc}");
    node.grpc_insecure = true;
    node
}

/// A client of the chain.
pub(crate) async fn connect(rpc: u16, grpc: u16) -> anyhow::Result<(Chain, ShutdownTrigger)> {
    let (trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let chain = Chain::connect(&node(rpc, grpc), Duration::from_secs(30), &shutdown).await?;
    Ok((chain, trigger))
}

/// Claims that the chain settled, and what it did to the others.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Settled relays by session and supplier.
    pub(crate) settled: Counts,
    /// Settled claims by session and supplier: never more than one.
    pub(crate) claims: Counts,
    /// Upokt settled.
    pub(crate) upokt: u128,
    /// Claims that expired or were discarded. There must be none.
    pub(crate) lost: Vec<String>,
    /// Suppliers slashed. There must be none.
    pub(crate) slashed: u64,
}

/// Reads the chain's settlements from its first block to `until`.
pub(crate) async fn read(chain: &Chain, until: i64) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::default();
    for height in 1..=until {
        let results = chain.block_results(height).await.with_context(|| format!("results of block {height}"))?;
        for event in results.finalize_block_events {
            let text = |key: &str| event.text(key).unwrap_or_default().to_owned();
            match event.kind.as_str() {
                "pocket.tokenomics.EventClaimSettled" => {
                    let key = (text("session_id"), text("supplier_operator_address"));
                    let relays = event.integer("num_relays").context("num_relays")?.unsigned_abs();
                    *ledger.settled.entry(key.clone()).or_default() += relays;
                    *ledger.claims.entry(key).or_default() += 1;
                    ledger.upokt += event.upokt("settled_upokt").unwrap_or_default();
                }
                "pocket.tokenomics.EventClaimExpired" | "pocket.tokenomics.EventClaimDiscarded" => {
                    ledger.lost.push(format!("{} at {height}: {:?}", event.kind, event.attributes()));
                }
                "pocket.tokenomics.EventSupplierSlashed" => ledger.slashed += 1,
                _ => {}
            }
        }
    }
    Ok(ledger)
}

/// Checks what clients saw against what the chain settled. `exact` demands that nothing unanswered was claimed either.
pub(crate) fn check(seen: &Seen, ledger: &Ledger, exact: bool) -> anyhow::Result<()> {
    ensure!(seen.wrong.is_empty(), "wrong answers: {:?}", seen.wrong);
    ensure!(ledger.lost.is_empty(), "claims were lost: {:#?}", ledger.lost);
    ensure!(ledger.slashed == 0, "{} suppliers were slashed", ledger.slashed);
    ensure!(ledger.claims.values().all(|claims| *claims == 1), "a session was settled twice: {:?}", ledger.claims);
    let mut short = BTreeMap::new();
    for (key, answered) in &seen.answered {
        let settled = ledger.settled.get(key).copied().unwrap_or_default();
        if settled < *answered {
            short.insert(key, (answered, settled));
        }
    }
    ensure!(short.is_empty(), "answered relays that are in no settled claim (answered, settled): {short:#?}");

    let answered: u64 = seen.answered.values().sum();
    let settled: u64 = ledger.settled.values().sum();
    let surplus = settled - answered;
    println!("answered {answered}, unanswered {}, settled {settled}, upokt {}", seen.unanswered, ledger.upokt);
    ensure!(surplus <= seen.unanswered, "{surplus} relays too many were settled, {} had no answer", seen.unanswered);
    ensure!(!exact || surplus == 0, "{surplus} relays were settled that nobody was answered");
    Ok(())
}

/// Waits until every session in which a relay was answered has been settled, and the chain is past it.
pub(crate) async fn wait(chain: &Chain, limit: Duration) -> anyhow::Result<Ledger> {
    let session = chain.shared_at(chain.height()).await?;
    // Whatever was served in the newest session is settled when its proof window has closed.
    let last = session.windows_at(chain.height()).settlement_height() + 1;
    tokio::time::timeout(limit, chain.blocks().reached(last)).await.context("settlement did not come in time")?;
    read(chain, last).await
}
