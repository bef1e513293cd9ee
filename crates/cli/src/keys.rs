//! `pocket keys`: the accounts of the development network.

use std::path::PathBuf;

use pocket_config::facts::{Facts, development_keys};
use pocket_runtime::process::Exit;
use serde::Serialize;

use crate::output;

/// What is listed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shows private keys and mnemonics too. They are public knowledge: never use them where value is held.
    #[arg(long)]
    secrets: bool,
    /// Writes the suppliers' keys and the gateway's into files of this folder, as settings name them.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["secrets", "json"])]
    write: Option<PathBuf>,
    /// One JSON array instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    name: String,
    address: String,
    public_key: String,
    role: String,
    balance_upokt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mnemonic: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(folder) = &args.write {
        let written = pocket_localnet::write_development_keys(folder)?;
        output::tell(&written.suppliers.display().to_string());
        output::tell(&written.gateway.display().to_string());
        output::say("These keys are public: everybody has them. Never use them on a network that holds value.");
        return Ok(Exit::Success);
    }
    let facts = Facts::localnet("seed")?;
    let keys = development_keys();
    let rows: Vec<Row> = facts
        .accounts
        .iter()
        .map(|account| {
            let key = keys.iter().find(|key| args.secrets && key.name == account.name);
            Row {
                name: account.name.clone(),
                address: account.address.clone(),
                public_key: account.public_key.clone(),
                role: role(&facts, &account.name),
                balance_upokt: account.balance_upokt.0.to_string(),
                private_key: key.map(|key| key.private_key.clone()),
                mnemonic: key.and_then(|key| key.mnemonic.clone()),
            }
        })
        .collect();
    if args.secrets {
        output::say("These keys are public: everybody has them. Never use them on a network that holds value.");
    }
    if args.json {
        output::tell_json(&rows)?;
        return Ok(Exit::Success);
    }
    let mut head = vec!["NAME", "ADDRESS", "UPOKT AT GENESIS", "ROLE"];
    if args.secrets {
        head.extend(["PRIVATE KEY", "MNEMONIC"]);
    }
    let cells: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let balance =
                row.balance_upokt.parse().map_or(row.balance_upokt.clone(), |upokt: i128| output::grouped(upokt));
            let mut cells = vec![row.name, row.address, balance, row.role];
            cells.extend(row.private_key);
            cells.extend(row.mnemonic);
            cells
        })
        .collect();
    output::tell(&output::table(&head, &cells));
    if !args.secrets {
        output::say("Private keys and mnemonics: pocket keys --secrets");
    }
    Ok(Exit::Success)
}

/// What an account does in the network.
pub(crate) fn role(facts: &Facts, name: &str) -> String {
    if let Some(application) = facts.applications.iter().find(|one| one.account == name) {
        return format!("application on {}", application.service);
    }
    if facts.gateways.iter().any(|one| one.account == name) {
        return "gateway, signs for every application".to_owned();
    }
    if let Some(supplier) = facts.suppliers.iter().find(|one| one.account == name) {
        return format!("supplier of {} services", supplier.services.len());
    }
    if facts.validator.account == name {
        return "validator".to_owned();
    }
    if facts.services.iter().any(|one| one.owner == name) {
        return "owner of every service".to_owned();
    }
    if facts.params.tokenomics.dao_reward_account == name {
        return "receives the DAO's share".to_owned();
    }
    "funds for anybody".to_owned()
}
