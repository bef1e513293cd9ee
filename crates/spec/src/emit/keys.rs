//! Key files: everybody's, the suppliers', the gateway's, the validator's. All of them are public.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{File, NOTICE};
use crate::plan::{Account, Plan};

/// A word that stands in every key file.
const WARNING: &str = "Public development keys: never use them where value is held.";

/// Renders them.
pub fn emit(plan: &Plan) -> Vec<File> {
    vec![
        File::new("tilt/config/all-keys.yaml", all(plan)),
        File::new(
            "tilt/config/supplier-keys.yaml",
            list(plan, |account| account.roles.supplier || account.roles.decoy),
        ),
        File::new("tilt/config/gateway-key.yaml", list(plan, |account| account.roles.gateway)),
        File::json("tilt/config/priv_validator_key.json", &validator(plan)),
        File::json("tilt/config/node_key.json", &node(plan)),
    ]
}

fn all(plan: &Plan) -> String {
    let accounts: Vec<Value> = plan
        .accounts
        .iter()
        .map(|account| {
            json!({
                "name": account.name,
                "address": account.address,
                "private_key": account.private_key,
                "mnemonic": account.mnemonic,
            })
        })
        .collect();
    format!("# {NOTICE}\n# {WARNING}\n{}", super::yaml(&json!({"accounts": accounts})))
}

/// The form that relayers, miners and gateways read: a list of hex keys. Each line says whose it is.
fn list(plan: &Plan, chosen: impl Fn(&Account) -> bool) -> String {
    let mut text = format!("# {NOTICE}\n# {WARNING}\nkeys:\n");
    for account in plan.accounts.iter().filter(|account| chosen(account)) {
        let decoy = if account.roles.decoy { ", no supplier: it must be passed over" } else { "" };
        let _ = writeln!(text, "  - \"{}\" # {} {}{decoy}", account.private_key, account.name, account.address);
    }
    text
}

fn validator(plan: &Plan) -> Value {
    json!({
        "address": plan.validator.consensus_address,
        "pub_key": {"type": "tendermint/PubKeyEd25519", "value": plan.validator.consensus_public_key},
        "priv_key": {"type": "tendermint/PrivKeyEd25519", "value": plan.validator.consensus_key},
    })
}

fn node(plan: &Plan) -> Value {
    json!({"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": plan.validator.node_key}})
}
