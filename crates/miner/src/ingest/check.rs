//! What makes an entry of the log a leaf. Pure: sessions are found before.
//!
//! The relayer has checked signatures and the session before it served; here is checked again what would make the whole
//! session's claim or proof fail, and what only we can know. The weight is the chain's, whatever the entry says.

use std::collections::BTreeMap;
use std::sync::Arc;

use pocket_chain::{QueryError, Session};
use pocket_crypto::hash::sha256;
use pocket_crypto::smst;
use pocket_proto::canonical;
use pocket_proto::pocket::service::Relay;
use pocket_proto::pocket::session::SessionHeader as WireHeader;
use pocket_protocol::mining;
use pocket_store::{Delivered, Leaf, LogEntry, MinedRelay, Rejected, SessionHeader};

use crate::terms::Terms;

/// Blocks between a relay's arrival at a relayer and the session it is of, at most; a relayer serves none that its own node
/// has not come to.
const ARRIVAL_AHEAD_MAX: i64 = 16;

/// What names a session at the chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionKey {
    pub(super) application: String,
    pub(super) service: String,
    pub(super) start: i64,
}

/// A session that entries name.
#[derive(Debug, Clone)]
pub(super) enum Known {
    Session(Arc<Session>),
    /// The chain has no such session, for this reason.
    Unknown(String),
    /// Our node has not come so far, however far the relayer's has.
    Ahead(QueryError),
}

/// What is decided about the entries of one session.
#[derive(Debug)]
pub(super) struct Batch {
    /// With no supplier: all are of one.
    pub(super) header: SessionHeader,
    pub(super) terms: Terms,
    pub(super) leaves: Vec<Leaf>,
    pub(super) rejected: Vec<Rejected>,
}

/// An entry for the quarantine.
#[derive(Debug)]
pub(super) struct Poison {
    pub(super) entry: LogEntry,
    pub(super) reason: &'static str,
    pub(super) note: String,
}

/// What is decided about a batch of entries.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) batches: Vec<Batch>,
    pub(super) poison: Vec<Poison>,
    /// Why some entries are in neither: their sessions are still to come.
    pub(super) early: Option<QueryError>,
}

/// Why an entry has no session to be a leaf of.
enum Homeless {
    /// Its session is still to come.
    Early(QueryError),
    /// It is not what it says.
    Poison(&'static str, String),
}

impl From<(&'static str, String)> for Homeless {
    fn from((reason, note): (&'static str, String)) -> Self {
        Self::Poison(reason, note)
    }
}

/// Why an entry is not a leaf.
enum Fault {
    /// It is a relay of the session, and does not count.
    Rejected(&'static str),
    /// It is not what it says.
    Poison(&'static str, String),
}

/// Returns the session that an entry names, if it can be one.
pub(super) fn session_key(entry: &LogEntry) -> Option<SessionKey> {
    let Delivered::Relay(relay) = &entry.relay else { return None };
    // Height 0 would ask for the session of now.
    (relay.session_start_height > 0).then(|| SessionKey {
        application: relay.application_address.clone(),
        service: relay.service_id.clone(),
        start: relay.session_start_height,
    })
}

/// Decides about entries of one supplier's log, by session.
pub(super) fn check(supplier: &str, entries: Vec<LogEntry>, known: &BTreeMap<SessionKey, Known>) -> Checked {
    let mut batches: BTreeMap<String, Batch> = BTreeMap::new();
    let mut poison = Vec::new();
    let mut early = None;
    for entry in entries {
        let id = entry.id;
        let session = match find(supplier, &entry, known) {
            Ok(session) => session,
            Err(Homeless::Early(error)) => {
                early = Some(error);
                continue;
            }
            Err(Homeless::Poison(reason, note)) => {
                poison.push(Poison { entry, reason, note });
                continue;
            }
        };
        let Delivered::Relay(relay) = &entry.relay else { continue };
        let verdict = leaf(supplier, relay, &session);
        let batch = batches.entry(relay.session_id.clone()).or_insert_with(|| Batch {
            header: header(&session),
            terms: Terms::of(&session),
            leaves: Vec::new(),
            rejected: Vec::new(),
        });
        match verdict {
            Ok((path, leaf_hash, weight)) => batch.leaves.push(Leaf { path, leaf_hash, weight, entry: id }),
            Err(Fault::Rejected(reason)) => batch.rejected.push(Rejected { entry: id, reason }),
            Err(Fault::Poison(reason, note)) => poison.push(Poison { entry, reason, note }),
        }
    }
    let mut batches: Vec<_> = batches.into_values().collect();
    batches.retain(|batch| !batch.leaves.is_empty() || !batch.rejected.is_empty());
    Checked { batches, poison, early }
}

/// Finds the session of an entry and checks that the entry speaks of it rightly.
fn find(supplier: &str, entry: &LogEntry, known: &BTreeMap<SessionKey, Known>) -> Result<Arc<Session>, Homeless> {
    let relay = match &entry.relay {
        Delivered::Relay(relay) => relay,
        Delivered::Poison { reason, .. } => return Err(("undecodable", reason.clone()).into()),
    };
    if relay.supplier_operator_address != supplier {
        return Err(("wrong_supplier", format!("the entry is of supplier {}", relay.supplier_operator_address)).into());
    }
    let key = session_key(entry).ok_or(("unknown_session", "session_start_height is required".to_owned()))?;
    let session = match known.get(&key) {
        Some(Known::Session(session)) => session,
        Some(Known::Unknown(reason)) => return Err(("unknown_session", reason.clone()).into()),
        // What could never have been served would wait for ever.
        Some(Known::Ahead(_)) if is_of_the_future(relay) => {
            let note = format!("it came at height {}, before its session", relay.arrival_block_height);
            return Err(("unknown_session", note).into());
        }
        Some(Known::Ahead(error)) => return Err(Homeless::Early(error.clone())),
        None => return Err(("unknown_session", "it was not looked for".to_owned()).into()),
    };
    if session.header.session_id != relay.session_id || session.end() != relay.session_end_height {
        let expected = format!("the chain's session there is {} until {}", session.header.session_id, session.end());
        return Err(("wrong_session", expected).into());
    }
    if session.supplier(supplier).is_none() {
        return Err(("wrong_supplier", "the supplier is not in the session".to_owned()).into());
    }
    Ok(session.clone())
}

/// Returns whether an entry says itself that its relay came long before its session began. Height 0 says nothing.
fn is_of_the_future(relay: &MinedRelay) -> bool {
    let arrival = relay.arrival_block_height;
    arrival > 0 && relay.session_start_height.saturating_sub(arrival) > ARRIVAL_AHEAD_MAX
}

fn leaf(supplier: &str, relay: &MinedRelay, session: &Session) -> Result<(smst::Path, smst::LeafDigest, u64), Fault> {
    let hash = sha256(&relay.relay_bytes);
    if !relay.relay_hash.is_empty() && relay.relay_hash[..] != hash {
        return Err(Fault::Poison("wrong_hash", format!("the bytes hash to {}", hex::encode(hash))));
    }
    let decoded = canonical::decode_relay(&relay.relay_bytes)
        .map_err(|error| Fault::Poison("undecodable", format!("not a relay: {error}")))?;
    check_relay(supplier, &decoded, &session.header).map_err(|note| Fault::Poison("wrong_relay", note))?;
    if !mining::applicable(&hash, &session.target) {
        return Err(Fault::Rejected("difficulty"));
    }
    let weight = session.compute_units_per_relay;
    let path = smst::path_of(&hash);
    Ok((path, smst::leaf_hash(&path, &relay.relay_bytes, weight), weight))
}

/// Checks what the chain will check of the relay if it is the one to be shown: headers, supplier, signatures present.
fn check_relay(supplier: &str, relay: &Relay, expected: &WireHeader) -> Result<(), String> {
    let request = relay.req.as_ref().ok_or("it has no request")?;
    let meta = request.meta.as_ref().ok_or("its request has no metadata")?;
    let response = relay.res.as_ref().ok_or("it has no response")?;
    let answered = response.meta.as_ref().ok_or("its response has no metadata")?;
    if meta.supplier_operator_address != supplier {
        return Err(format!("its request names supplier {}", meta.supplier_operator_address));
    }
    if meta.session_header.as_ref() != Some(expected) {
        return Err("its request has another session header than the chain".to_owned());
    }
    if answered.session_header.as_ref() != Some(expected) {
        return Err("its response has another session header than the chain".to_owned());
    }
    if meta.signature.is_empty() || answered.supplier_operator_signature.is_empty() {
        return Err("it lacks a signature".to_owned());
    }
    Ok(())
}

fn header(session: &Session) -> SessionHeader {
    SessionHeader {
        supplier: String::new(),
        session: session.header.session_id.clone(),
        service: session.header.service_id.clone(),
        application: session.header.application_address.clone(),
        start_height: session.start(),
        end_height: session.end(),
    }
}
