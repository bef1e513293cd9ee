//! The situations of the recordings: at which height each was taken, and what had happened by then.
//!
//! A chain of ours walks through the heights of the recorded one, at its block times. Where the recordings name the
//! hash of a block, it takes the place of ours, so that sessions and proof paths that follow from it are the recorded
//! ones, down to the byte. A session whose block hash was not recorded has another id here: what was recorded about it
//! is rewritten to ours and signed anew with the development keys.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_devnet::{Chain, Time};
use pocket_proto::{
    cosmos::tx::v1beta1::{AuthInfo, TxRaw},
    pocket::{
        proof::{Claim, ClaimProofStatus},
        session::QueryGetSessionRequest,
    },
};
use prost::Message;
use serde_json::Value;

use crate::{files, read, read_text};

/// A session that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) application: String,
    pub(crate) service: String,
    pub(crate) start: i64,
}

/// Everything the recordings tell about the recorded chain.
pub(crate) struct Recorded {
    pub(crate) first: i64,
    pub(crate) last: i64,
    times: BTreeMap<i64, Time>,
    hashes: BTreeMap<i64, [u8; 32]>,
    sessions: Vec<Session>,
    /// Recorded moments whose height is known.
    moments: BTreeMap<String, i64>,
    /// Claims, by session and supplier, whose proof the recorded node found valid.
    validated: BTreeSet<(String, String)>,
}

impl Recorded {
    pub(crate) fn read() -> Self {
        let mut recorded = Self {
            first: i64::MAX,
            last: 0,
            times: BTreeMap::new(),
            hashes: BTreeMap::new(),
            sessions: Vec::new(),
            moments: BTreeMap::new(),
            validated: BTreeSet::new(),
        };
        let mut digests = BTreeSet::new();
        for part in ["node/blocks", "node/grpc", "node/rpc", "node/tx"] {
            for (name, path) in files(part) {
                let text = read_text(&path);
                digests_in(&text, &mut digests);
                let value: Value = serde_json::from_str(&text).expect("JSON");
                recorded.look(&value);
                // Transactions may name sessions that never were; sessions and claims name those that were.
                if name.starts_with("pocket.session") || name.starts_with("pocket.proof") {
                    recorded.look_for_sessions(&value["response_json"]);
                }
            }
        }
        // What the recorded miner kept names more hashes.
        digests_in(&read_text(&crate::folder().join("node/redis.json")), &mut digests);
        recorded.sessions.sort_by_key(|session| session.start);
        recorded.sessions.dedup();
        for session in recorded.sessions.clone() {
            let of = |hash: &[u8; 32]| {
                pocket_protocol::session::id(hash, &session.service, &session.application, session.start)
            };
            if let Some(hash) = digests.iter().find(|hash| of(hash) == session.id) {
                recorded.hashes.insert(session.start, *hash);
            }
        }
        recorded.first = *recorded.times.keys().next().expect("blocks were recorded");
        recorded
    }

    /// Collects headers, sessions and moments wherever they occur.
    fn look(&mut self, value: &Value) {
        match value {
            Value::String(text) if text.starts_with('{') => {
                if let Ok(inner) = serde_json::from_str::<Value>(text) {
                    self.look(&inner);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(fields) => {
                if let (Some(height), Some(time)) = (number(&value["height"]), value["time"].as_str())
                    && value["last_block_id"]["hash"].is_string()
                    && height > 1
                {
                    self.times.insert(height, Time::parse(time).expect("a time"));
                    self.hashes.extend(digest(&value["last_block_id"]["hash"]).map(|hash| (height - 1, hash)));
                    self.last = self.last.max(height);
                }
                let height = number(&value["response_headers"]["x-cosmos-block-height"][0]);
                if let (Some(captured), Some(height)) = (value["captured"].as_str(), height) {
                    self.moments.insert(captured.to_owned(), height);
                    self.last = self.last.max(height);
                }
                fields.values().for_each(|field| self.look(field));
            }
            _ => {}
        }
    }

    fn look_for_sessions(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look_for_sessions(item)),
            Value::Object(fields) => {
                if let (Some(id), Some(start)) =
                    (value["session_id"].as_str(), number(&value["session_start_block_height"]))
                {
                    self.sessions.push(Session {
                        id: id.to_owned(),
                        application: value["application_address"].as_str().expect("an address").to_owned(),
                        service: value["service_id"].as_str().expect("a service").to_owned(),
                        start,
                    });
                }
                if value["proof_validation_status"] == "VALIDATED" {
                    let session = value["session_header"]["session_id"].as_str().expect("a session");
                    let supplier = value["supplier_operator_address"].as_str().expect("a supplier");
                    self.validated.insert((session.to_owned(), supplier.to_owned()));
                }
                fields.values().for_each(|field| self.look_for_sessions(field));
            }
            _ => {}
        }
    }

    /// Returns the height that was newest at a moment: that of the last answer before it that tells.
    pub(crate) fn height_at(&self, captured: &str) -> i64 {
        let before = self.moments.range(..=captured.to_owned()).next_back().map(|(_, height)| *height);
        before.or_else(|| self.moments.values().next().copied()).expect("some answers tell their height")
    }

    /// Returns the time of a block: recorded, or in between.
    pub(crate) fn time_of(&self, height: i64) -> Time {
        if let Some(time) = self.times.get(&height) {
            return *time;
        }
        let (first, last) = (self.times.iter().next().expect("one"), self.times.iter().next_back().expect("one"));
        let pace = (last.1.as_nanos() - first.1.as_nanos()) / i128::from((last.0 - first.0).max(1));
        let before = self.times.range(..height).next_back().unwrap_or(first);
        before.1.plus_nanos(pace * i128::from(height - before.0))
    }

    /// Makes the next block, at the recorded time and with the recorded hash where they are known.
    pub(crate) fn make_block(&self, chain: &Chain) {
        let height = chain.height() + 1;
        let time = self.time_of(height);
        assert!(chain.amend(|state| state.time = time.plus_nanos(-1_000_000)));
        chain.produce_block().expect("a block");
        if let Some(hash) = self.hashes.get(&height) {
            assert!(chain.amend(|state| state.block_hashes.insert_mut(height, *hash)));
        }
        self.judge_proofs(chain);
    }

    /// Gives claims the recorded verdict about their proofs: the path that a proof must show follows from the hash of a
    /// block that was not recorded, so that recorded proofs, valid there, cannot be valid here.
    fn judge_proofs(&self, chain: &Chain) {
        let (valid, invalid) = (ClaimProofStatus::Validated as i32, ClaimProofStatus::Invalid as i32);
        for (session, supplier) in &self.validated {
            let Some(claim) = chain.state().claim(session, supplier).map(|claim| Claim::clone(claim)) else { continue };
            if claim.proof_validation_status == invalid {
                let claim = Claim { proof_validation_status: valid, ..claim };
                assert!(chain.amend(|state| {
                    state.put_claim(session, supplier, claim);
                }));
            }
        }
    }

    /// Returns which session ids are others here, ours by the recorded.
    pub(crate) fn renamed(&self, chain: &Chain) -> BTreeMap<String, String> {
        let state = chain.state();
        let mut renamed = BTreeMap::new();
        for session in self.sessions.iter().filter(|session| session.start <= state.height) {
            let request = QueryGetSessionRequest {
                application_address: session.application.clone(),
                service_id: session.service.clone(),
                block_height: session.start,
            };
            if let Ok(ours) = pocket_protocol::session::get_session(&state, &request)
                && ours.session_id != session.id
            {
                renamed.insert(session.id.clone(), ours.session_id);
            }
        }
        renamed
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_str().and_then(|text| text.parse().ok()).or_else(|| value.as_i64())
}

fn digest(value: &Value) -> Option<[u8; 32]> {
    hex::decode(value.as_str()?).ok()?.try_into().ok()
}

/// Collects whatever may be a SHA-256 digest: 64 hexadecimal digits, or their base64.
fn digests_in(text: &str, into: &mut BTreeSet<[u8; 32]>) {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || "+/=".contains(character)));
    for word in words {
        let bytes = match word.len() {
            64 => hex::decode(word).ok(),
            44 => BASE64_STANDARD.decode(word).ok(),
            _ => None,
        };
        into.extend(bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()));
    }
}

/// Replaces every occurrence of texts by others of the same length.
pub(crate) fn rename(bytes: &[u8], names: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (from, to) in names {
        assert_eq!(from.len(), to.len(), "names of the same length keep messages whole");
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let mut at = 0;
        while at + from.len() <= bytes.len() {
            if &bytes[at..at + from.len()] == from {
                bytes[at..at + from.len()].copy_from_slice(to);
                at += from.len();
            } else {
                at += 1;
            }
        }
    }
    bytes
}

/// Returns the account that signed a transaction, and the sequence it gave; nothing for what is no transaction.
pub(crate) fn signer(bytes: &[u8]) -> Option<(PublicKey, u64, bool)> {
    let decoded = pocket_protocol::tx::decode(bytes).ok()?;
    let key = decoded.public_key(0).ok()??;
    Some((key, decoded.sequence(0), decoded.body.unordered))
}

/// Rewrites a recorded transaction for our sessions, and signs it anew if that changed it: for another chain if the
/// recorded one was.
pub(crate) fn adapt(bytes: &[u8], chain: &Chain, names: &BTreeMap<String, String>, wrong_chain: bool) -> Vec<u8> {
    let Ok(mut raw) = TxRaw::decode(bytes) else { return bytes.to_vec() };
    let body = rename(&raw.body_bytes, names);
    if body == raw.body_bytes {
        return bytes.to_vec();
    }
    raw.body_bytes = body;
    let auth = AuthInfo::decode(raw.auth_info_bytes.as_slice()).expect("an auth info");
    let (public, _, _) = signer(bytes).unwrap_or_else(|| panic!("no signer in {auth:?}"));
    let keys = pocket_config::facts::development_keys();
    let private = keys
        .iter()
        .map(|key| SecretKey::from_hex(&key.private_key).expect("a key"))
        .find(|private| private.public_key() == public)
        .expect("recordings are signed with development keys");
    let state = chain.state();
    let account = state.accounts.get(&public.address()).expect("an account");
    let chain_id = if wrong_chain { "another-chain" } else { &state.chain_id };
    let document = pocket_protocol::tx::sign_doc(&raw.body_bytes, &raw.auth_info_bytes, chain_id, account.number);
    raw.signatures = vec![private.sign(&document).to_vec()];
    raw.encode_to_vec()
}

/// Gives the signer of a transaction the sequence that it had, unless the recording is about a wrong one, or what is
/// waiting decides it.
pub(crate) fn expect_sequence(chain: &Chain, bytes: &[u8], recorded_log: &str) {
    let Some((key, sequence, unordered)) = signer(bytes) else { return };
    if unordered || !chain.pending().is_empty() {
        return;
    }
    let expected = recorded_log
        .strip_prefix("account sequence mismatch, expected ")
        .and_then(|rest| rest.split(',').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(sequence);
    let address = key.address();
    assert!(chain.amend(|state| state.change_account(&address, |account| account.sequence = expected)));
}

/// Reads a recording by its path.
pub(crate) fn recording(path: &std::path::Path) -> Value {
    read(path)
}
