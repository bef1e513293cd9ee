//! What a block did, as the node tells it (protocol §8.9, §9.4).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Results of one block.
#[derive(Debug, Clone, Deserialize)]
pub struct BlockResults {
    /// Results of its transactions, in order.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub txs_results: Vec<TxResult>,
    /// Events of the block's beginning and end: validation, settlement, expiry, slashing.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub finalize_block_events: Vec<Event>,
}

/// Result of one transaction.
#[derive(Debug, Clone, Deserialize)]
pub struct TxResult {
    /// 0 for success.
    pub code: u32,
    /// Whose code it is.
    #[serde(default)]
    pub codespace: String,
    /// Why it failed.
    #[serde(default)]
    pub log: String,
    /// Its events.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub events: Vec<Event>,
}

/// One event. Values of typed events are JSON text.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// Full protobuf name of a typed event, such as `pocket.tokenomics.EventClaimSettled`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "attributes")]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: Option<String>,
}

fn attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let list: Option<Vec<Attribute>> = Option::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().map(|one| (one.key, one.value.unwrap_or_default())).collect())
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

impl Event {
    /// The attribute's text, without the quotes of its JSON.
    pub fn text(&self, key: &str) -> Option<&str> {
        let value = self.attributes.get(key)?;
        Some(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
    }

    /// The attribute as an integer, quoted or bare.
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.text(key)?.parse().ok()
    }

    /// The attribute as an amount of upokt, from a coin string such as `42000upokt`.
    pub fn upokt(&self, key: &str) -> Option<u128> {
        let text = self.text(key)?;
        text.strip_suffix("upokt")?.parse().ok()
    }

    /// All attributes, values as JSON text.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_attributes_are_read_without_their_quotes() {
        let event: Event = serde_json::from_str(
            r#"{"type":"pocket.tokenomics.EventClaimSettled","attributes":[
                {"key":"settled_upokt","value":"\"42000upokt\"","index":true},
                {"key":"session_end_block_height","value":"\"10\"","index":true},
                {"key":"claim_proof_status_int","value":"1","index":true},
                {"key":"empty","value":null}]}"#,
        )
        .expect("an event");
        assert_eq!(event.upokt("settled_upokt"), Some(42_000));
        assert_eq!(event.integer("session_end_block_height"), Some(10));
        assert_eq!(event.integer("claim_proof_status_int"), Some(1));
        assert_eq!(event.text("empty"), Some(""));
    }

    #[test]
    fn a_block_without_transactions_has_none() {
        let results: BlockResults =
            serde_json::from_str(r#"{"height":"3","txs_results":null,"finalize_block_events":null}"#).expect("results");
        assert!(results.txs_results.is_empty() && results.finalize_block_events.is_empty());
    }
}
