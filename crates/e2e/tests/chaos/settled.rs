//! What must still hold: every answered relay is in a settled claim, once.
//!
//! Each relay has an id that its client gave it, and the store keeps the relays that a claim was made of. So what clients
//! were answered and what the chain settled are compared relay by relay, not by their numbers alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use pocket_chain::Chain;
use pocket_config::common::PocketNode;
use pocket_config::document;
use pocket_proto::canonical;
use pocket_protocol::http;
use pocket_runtime::shutdown::{self, ShutdownTrigger};
use pocket_store::Store;

use crate::load::{Key, Seen};

/// Relays read from the store at a time.
const READS: usize = 64;

/// Relays named in a failure.
const NAMED: usize = 20;

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
    /// Relays of each settled claim, as the chain counts them. More than one claim a key would be a doubled session.
    pub(crate) settled: BTreeMap<Key, Vec<u64>>,
    /// Upokt settled.
    pub(crate) upokt: u128,
    /// Claims that expired or were discarded. There must be none.
    pub(crate) lost: Vec<String>,
    /// Suppliers slashed. There must be none.
    pub(crate) slashed: u64,
}

impl Ledger {
    fn relays(&self) -> u64 {
        self.settled.values().flatten().sum()
    }
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
                    ledger.settled.entry(key).or_default().push(relays);
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

/// Waits until every session in which a relay was answered has been settled, and the chain is past it.
pub(crate) async fn wait(chain: &Chain, limit: Duration) -> anyhow::Result<Ledger> {
    let session = chain.shared_at(chain.height()).await?;
    // Whatever was served in the newest session is settled when its proof window has closed.
    let last = session.windows_at(chain.height()).settlement_height() + 1;
    tokio::time::timeout(limit, chain.blocks().reached(last)).await.context("settlement did not come in time")?;
    read(chain, last).await
}

/// Ids of the relays that each settled claim was made of: the leaves that the store keeps of its session.
pub(crate) async fn relays(store: &Store, ledger: &Ledger) -> anyhow::Result<BTreeMap<Key, Vec<u64>>> {
    let mut relays = BTreeMap::new();
    for key in ledger.settled.keys() {
        let (session, supplier) = key;
        let leaves = store.leaves(supplier, session).await.with_context(|| format!("read the leaves of {key:?}"))?;
        let read = leaves.iter().map(|leaf| id_of(store, key, &leaf.path));
        let ids: Vec<u64> = futures_util::stream::iter(read).buffered(READS).try_collect().await?;
        relays.insert(key.clone(), ids);
    }
    Ok(relays)
}

/// Reads the id that the client wrote into a relay.
async fn id_of(store: &Store, (session, supplier): &Key, path: &[u8; 32]) -> anyhow::Result<u64> {
    let bytes = store.leaf_bytes(supplier, session, path).await?.context("a leaf without its relay")?;
    let request = canonical::decode_relay(&bytes)?.req.context("a relay without its request")?;
    let call: serde_json::Value = serde_json::from_slice(&http::decode_request(&request.payload)?.body_bz)?;
    call["id"].as_u64().context("a call without an id")
}

/// What a run has come to.
#[derive(Debug)]
pub(crate) struct Verdict {
    answered: usize,
    unanswered: usize,
    /// Relays in settled claims, by the chain's own count.
    settled: u64,
    /// Ids of relays that were answered and are in no settled claim. A claim whose relays the store has forgotten is
    /// judged by its number: as many are lost as were answered in it and are not in that number.
    lost: Vec<u64>,
    lost_by_number: u64,
    /// Ids of relays that are in settled claims more than once, once for each time too many.
    doubled: Vec<u64>,
    /// Relays of every further claim of a session that was settled before.
    doubled_by_number: u64,
    /// Ids in settled claims that no client has sent.
    unasked: Vec<u64>,
    /// Claims whose number is not that of the relays they were made of.
    miscounted: Vec<String>,
    wrong: Vec<String>,
    claims_lost: Vec<String>,
    slashed: u64,
    upokt: u128,
}

impl Verdict {
    /// Compares what clients saw with what the chain settled, and with the relays that the store says it was made of.
    pub(crate) fn of(seen: &Seen, ledger: &Ledger, relays: &BTreeMap<Key, Vec<u64>>) -> Self {
        let mut verdict = Self {
            answered: seen.answered.len(),
            unanswered: seen.unanswered.len(),
            settled: ledger.relays(),
            lost: Vec::new(),
            lost_by_number: 0,
            doubled: Vec::new(),
            doubled_by_number: ledger.settled.values().flat_map(|claims| claims.iter().skip(1)).sum(),
            unasked: Vec::new(),
            miscounted: Vec::new(),
            wrong: seen.wrong.clone(),
            claims_lost: ledger.lost.clone(),
            slashed: ledger.slashed,
            upokt: ledger.upokt,
        };
        let mut paid = BTreeSet::new();
        for (key, claims) in &ledger.settled {
            let ids = relays.get(key).map_or(&[][..], Vec::as_slice);
            if !ids.is_empty() && claims[0] != ids.len() as u64 {
                verdict.miscounted.push(format!("{key:?}: {} settled, {} in the store", claims[0], ids.len()));
            }
            for id in ids {
                if !paid.insert(*id) {
                    verdict.doubled.push(*id);
                }
                if !seen.answered.contains_key(id) && !seen.unanswered.contains(id) {
                    verdict.unasked.push(*id);
                }
            }
        }
        let mut forgotten: BTreeMap<&Key, u64> = BTreeMap::new();
        for (id, key) in &seen.answered {
            if ledger.settled.contains_key(key) && relays.get(key).is_none_or(Vec::is_empty) {
                *forgotten.entry(key).or_default() += 1;
            } else if !paid.contains(id) {
                verdict.lost.push(*id);
            }
        }
        verdict.lost_by_number =
            forgotten.iter().map(|(key, answered)| answered.saturating_sub(ledger.settled[*key][0])).sum();
        verdict
    }

    /// Fails unless nothing was lost or doubled. `exact` demands that nothing unanswered was settled either.
    pub(crate) fn check(&self, exact: bool) -> anyhow::Result<()> {
        let some = |ids: &[u64]| format!("{:?}", &ids[..ids.len().min(NAMED)]);
        ensure!(self.wrong.is_empty(), "wrong answers: {:?}", self.wrong);
        ensure!(self.claims_lost.is_empty(), "claims were lost: {:#?}", self.claims_lost);
        ensure!(self.slashed == 0, "{} suppliers were slashed", self.slashed);
        ensure!(self.lost.is_empty(), "answered relays that are in no settled claim: {}", some(&self.lost));
        ensure!(self.lost_by_number == 0, "{} answered relays are in no settled claim", self.lost_by_number);
        ensure!(self.doubled.is_empty(), "relays that are settled more than once: {}", some(&self.doubled));
        ensure!(self.doubled_by_number == 0, "{} relays are in a session's further claims", self.doubled_by_number);
        ensure!(self.unasked.is_empty(), "settled relays that nobody sent: {}", some(&self.unasked));
        ensure!(self.miscounted.is_empty(), "claims that are not what they were made of: {:#?}", self.miscounted);
        let surplus = self.settled.saturating_sub(self.answered as u64);
        ensure!(surplus <= self.unanswered as u64, "{surplus} more were settled than answered");
        ensure!(!exact || surplus == 0, "{surplus} relays were settled that nobody was answered");
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.lost.len() as u64 + self.lost_by_number;
        let doubled = self.doubled.len() as u64 + self.doubled_by_number;
        write!(
            f,
            "answered {}, unanswered {}, settled {}, lost {lost}, doubled {doubled}, upokt {}",
            self.answered, self.unanswered, self.settled, self.upokt
        )
    }
}

/// The judge itself, before stories that end badly.
pub(crate) fn the_judge_names_what_went_wrong() -> anyhow::Result<()> {
    let key = |session: &str| (session.to_owned(), "supplier".to_owned());
    let seen = Seen {
        answered: BTreeMap::from([(1, key("one")), (2, key("one")), (3, key("two"))]),
        unanswered: BTreeSet::from([4, 5]),
        wrong: Vec::new(),
    };
    let check = |claims: &[(&str, &[u64])], kept: &[(&str, &[u64])], expected: &str| {
        let settled = claims.iter().map(|(session, counts)| (key(session), counts.to_vec())).collect();
        let ledger = Ledger { settled, ..Ledger::default() };
        let relays = kept.iter().map(|(session, ids)| (key(session), ids.to_vec())).collect();
        let verdict = Verdict::of(&seen, &ledger, &relays);
        let said = verdict.check(false).err().map_or("nothing".to_owned(), |error| error.to_string());
        ensure!(said.starts_with(expected), "said `{said}` of {claims:?} made of {kept:?}, not `{expected}`");
        Ok(())
    };
    check(&[("one", &[2]), ("two", &[1])], &[("one", &[1, 2]), ("two", &[3])], "nothing")?;
    check(&[("one", &[3]), ("two", &[1])], &[("one", &[1, 2, 4]), ("two", &[3])], "nothing")?;
    check(&[("one", &[2])], &[("one", &[1, 2])], "answered relays that are in no settled claim: [3]")?;
    // As many as were answered, but not the same ones.
    let other = [("one", &[1, 4][..]), ("two", &[3])];
    check(&[("one", &[2]), ("two", &[1])], &other, "answered relays that are in no settled claim: [2]")?;
    let twice = [("one", &[1, 2][..]), ("two", &[3, 2])];
    check(&[("one", &[2]), ("two", &[2])], &twice, "relays that are settled more than once: [2]")?;
    check(&[("one", &[2, 2]), ("two", &[1])], &[("one", &[1, 2]), ("two", &[3])], "2 relays are in a session's")?;
    check(
        &[("one", &[2]), ("two", &[2])],
        &[("one", &[1, 2]), ("two", &[3, 9])],
        "settled relays that nobody sent: [9]",
    )?;
    check(&[("one", &[2]), ("two", &[2])], &[("one", &[1, 2]), ("two", &[3])], "claims that are not what")?;
    // What the store has forgotten is judged by its number.
    check(&[("one", &[2]), ("two", &[1])], &[("two", &[3])], "nothing")?;
    check(&[("one", &[1]), ("two", &[1])], &[("two", &[3])], "1 answered relays are in no settled claim")
}
