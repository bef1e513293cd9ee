//! `pocket accounts`: puts the public keys of a development network's accounts on its chain.
//!
//! Rings are made of public keys, and the chain knows an account's only from the first transaction it signed. Where the
//! genesis holds them already, as the development chain's does, nothing is sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use pocket_chain::{Chain, GasPolicy, Outcome, Prepared, QueryErrorKind, RefusalClass, SendError, Sender};
use pocket_config::document::{defaults, deserialize};
use pocket_config::miner::Transaction;
use pocket_crypto::keys::SecretKey;
use pocket_proto::cosmos::bank::v1beta1::MsgSend;
use pocket_proto::cosmos::base::v1beta1::Coin;
use pocket_runtime::process::{self, Exit};
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::{clock, fs};
use prost::{Message as _, Name as _};
use serde::{Deserialize, Serialize};

use crate::node::node;
use crate::output;

/// How often an account is looked at again.
const LOOK: Duration = Duration::from_millis(500);

/// Life of a transaction. What has not been included by then is sent anew.
const TIME_TO_LIVE: Duration = Duration::from_mins(2);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Sees to it that the chain knows the public key of every account: one that it does not know sends itself 1 upokt.
    /// Ends with 1 if any is left.
    Init(Init),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Accounts with their keys, as `pocket spec render` writes them into `tilt/config/all-keys.yaml`.
    #[arg(long, value_name = "FILE")]
    keys_file: PathBuf,
    /// `CometBFT` RPC of the node; that of `pocket up` when absent.
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
    /// Cosmos gRPC of the node; that of `pocket up` when absent.
    #[arg(long, value_name = "URL")]
    grpc: Option<String>,
    /// How long it may take, such as `2m`.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = output::duration)]
    timeout: Duration,
    /// Price of a unit of gas; that of a miner when absent.
    #[arg(long, value_name = "COIN")]
    gas_price: Option<String>,
    /// One JSON list instead of lines.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(verb: Verb) -> anyhow::Result<Exit> {
    let Verb::Init(args) = verb;
    let accounts = read(&args.keys_file)?;
    let gas = gas(args.gas_price.as_deref())?;
    let node = node(args.rpc.as_deref(), args.grpc.as_deref())?;
    let shutdown = Shutdown::never();
    let deadline = clock::now() + args.timeout;
    let chain = Chain::connect(&node, args.timeout, &shutdown).await?;
    let mut results = Vec::new();
    let mut waiting: Vec<Waiting> = accounts.into_iter().map(|account| Waiting::new(&chain, account)).collect();
    loop {
        let mut left = Vec::new();
        for mut one in waiting {
            match one.step(&chain, &gas).await {
                Step::Done(how) => results.push(told(&args, one.account.name, one.account.address, how)),
                Step::Refused(why) => {
                    results.push(told(&args, one.account.name, one.account.address, How::Refused(why)));
                }
                Step::Wait => left.push(one),
            }
        }
        waiting = left;
        if waiting.is_empty() || clock::now() >= deadline {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    for one in waiting {
        let why = one.last.unwrap_or_else(|| "its transaction was not included".to_owned());
        results.push(told(&args, one.account.name, one.account.address, How::Refused(format!("not in time: {why}"))));
    }
    let failed = results.iter().filter(|result| matches!(result.how, How::Refused(_))).count();
    if args.json {
        output::tell_json(&results)?;
    }
    if failed > 0 {
        bail!(
            "the chain does not know the public keys of {failed} of {} accounts, and nothing that they sign a ring for will be served; look at the lines above, then run it again",
            results.len()
        );
    }
    output::say(&format!("the chain knows the public keys of all {} accounts", results.len()));
    Ok(Exit::Success)
}

#[derive(Serialize)]
struct Told {
    name: String,
    address: String,
    #[serde(flatten)]
    how: How,
}

#[derive(Serialize)]
#[serde(tag = "result", content = "reason", rename_all = "snake_case")]
enum How {
    Known,
    Published,
    Refused(String),
}

fn told(args: &Init, name: String, address: String, how: How) -> Told {
    if !args.json {
        let word = match &how {
            How::Known => "known".to_owned(),
            How::Published => "published".to_owned(),
            How::Refused(why) => format!("FAILED: {why}"),
        };
        output::tell(&format!("{name:<16} {address}  {word}"));
    }
    Told { name, address, how }
}

/// The given price, and otherwise what a miner pays that is told nothing.
fn gas(price: Option<&str>) -> anyhow::Result<GasPolicy> {
    let usual: Transaction = deserialize(defaults("miner")["transaction"].take())?;
    let price = price.unwrap_or(&usual.gas_price);
    let price =
        price.parse().with_context(|| format!("`{price}` is no gas price; write one such as {}", usual.gas_price))?;
    Ok(GasPolicy { limit: usual.gas_limit, price, adjustment: usual.gas_adjustment })
}

struct Account {
    name: String,
    address: String,
    key: Arc<SecretKey>,
}

/// Reads the file. No message contains any part of a key.
fn read(path: &Path) -> anyhow::Result<Vec<Account>> {
    #[derive(Deserialize)]
    struct File {
        accounts: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        name: String,
        address: String,
        private_key: String,
    }
    let text = fs::read_to_string(path)?;
    // Its own complaint might show what stands there.
    let file: File = serde_saphyr::from_str(&text).map_err(|_| {
        anyhow!(
            "`{}` is no file of accounts: `accounts` must be a list of `name`, `address`, `private_key`",
            path.display()
        )
    })?;
    let account = |entry: Entry| {
        let key =
            SecretKey::from_hex(&entry.private_key).with_context(|| format!("the key of account {}", entry.name))?;
        let derived = key.address().to_string();
        if derived != entry.address {
            bail!("account {} says address {}, but its key belongs to {derived}", entry.name, entry.address);
        }
        Ok(Account { name: entry.name, address: entry.address, key: Arc::new(key) })
    };
    file.accounts.into_iter().map(account).collect()
}

/// An account on its way.
struct Waiting {
    account: Account,
    sender: Sender,
    sent: Option<(Prepared, tokio::time::Instant)>,
    /// What went wrong last.
    last: Option<String>,
}

enum Step {
    Done(How),
    Refused(String),
    Wait,
}

impl Waiting {
    fn new(chain: &Chain, account: Account) -> Self {
        let sender = Sender::new(chain.clone(), account.key.clone());
        Self { account, sender, sent: None, last: None }
    }

    async fn step(&mut self, chain: &Chain, gas: &GasPolicy) -> Step {
        match chain.account(&self.account.address).await {
            Ok(known) if known.public_key.is_some() => {
                return Step::Done(if self.sent.is_some() { How::Published } else { How::Known });
            }
            Ok(_) => {}
            Err(error) if error.kind == QueryErrorKind::NotFound => {
                return Step::Refused("the chain has no such account: is it in the genesis?".to_owned());
            }
            Err(error) => return self.later(process::chain(&error)),
        }
        if let Some((prepared, at)) = &self.sent {
            match chain.outcome(&prepared.hash).await {
                Ok(Outcome::Failed { height, refusal }) => {
                    return Step::Refused(format!("its transaction failed in block {height}: {refusal}"));
                }
                _ if clock::now() < *at + TIME_TO_LIVE => return Step::Wait,
                _ => self.sent = None,
            }
        }
        match self.send(gas).await {
            Ok(()) => Step::Wait,
            Err(SendError::Refused(refusal)) if !is_passing(refusal.class) => Step::Refused(refusal.to_string()),
            Err(error) => self.later(process::chain(&error)),
        }
    }

    fn later(&mut self, why: String) -> Step {
        self.last = Some(why);
        Step::Wait
    }

    async fn send(&mut self, gas: &GasPolicy) -> Result<(), SendError> {
        let itself = self.account.address.clone();
        let amount = vec![Coin { denom: "upokt".to_owned(), amount: "1".to_owned() }];
        let message = MsgSend { from_address: itself.clone(), to_address: itself, amount };
        let message = prost_types::Any { type_url: MsgSend::type_url(), value: message.encode_to_vec() };
        let prepared = self.sender.prepare(&[message], gas, TIME_TO_LIVE).await?;
        let at = clock::now();
        let sent = self.sender.broadcast(&prepared).await;
        if sent.is_ok() {
            self.sent = Some((prepared, at));
        }
        sent
    }
}

/// Whether the same may succeed a little later.
fn is_passing(class: RefusalClass) -> bool {
    matches!(
        class,
        RefusalClass::AlreadySent
            | RefusalClass::Sequence
            | RefusalClass::OutOfGas
            | RefusalClass::Expired
            | RefusalClass::Busy
    )
}
