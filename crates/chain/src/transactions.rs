//! Transactions: built, simulated, signed, broadcast, followed (protocol §9.2, §9.3).
//!
//! They are unordered: many may be under way for one supplier, and none waits for another. Building and sending are two
//! steps, so that the caller can write down what it is about to send before it is sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pocket_crypto::keys::SecretKey;
use pocket_proto::cosmos::tx::v1beta1 as tx_proto;
use pocket_protocol::coin::Upokt;
use pocket_protocol::tx::{self, GasPrice, unordered};
use pocket_runtime::random;
use prost_types::{Any, Timestamp};
use tokio::sync::OnceCell;

use crate::Chain;
use crate::error::{Asked, QueryError};
use crate::methods;

/// The note in every transaction, that of the reference.
const MEMO: &str = tx::MEMO_REFERENCE;

/// Spread of timeouts below their limit.
const TIMEOUT_JITTER_NANOS: u64 = 1_000_000;

/// How gas is limited and paid.
#[derive(Debug, Clone)]
pub struct GasPolicy {
    /// Fixed limit; 0 means asked of the node.
    pub limit: u64,
    /// Upokt for a unit of gas.
    pub price: GasPrice,
    /// Factor on what the node reports.
    pub adjustment: f64,
}

/// A transaction ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// What is broadcast.
    pub bytes: Vec<u8>,
    /// Upper-case hex.
    pub hash: String,
    /// What it costs.
    pub fee: Upokt,
    /// Gas it may use.
    pub gas_limit: u64,
    /// Block time after which it can no longer be included, in nanoseconds since 1970.
    pub timeout_nanos: i128,
}

/// Why a transaction was not built or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The node could not be asked.
    #[error("the full node could not be asked")]
    Query(#[from] QueryError),
    /// The chain refused it.
    #[error("the chain refused the transaction: {0}")]
    Refused(Refusal),
}

/// The chain's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it means for the sender.
    pub class: RefusalClass,
    /// ABCI code; 0 where a simulation failed, which has only a text.
    pub code: u32,
    /// Whose code it is.
    pub codespace: String,
    /// The chain's text.
    pub log: String,
    /// The message at fault, counted from 0, where the chain says which.
    pub message_index: Option<usize>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({:?}, {} {})", self.log, self.class, self.codespace, self.code)
    }
}

/// What a refusal means for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalClass {
    /// The node has these very bytes already: they are on their way.
    AlreadySent,
    /// The window is not open yet: send it again in a later block.
    WindowNotOpen,
    /// The window has closed: it is too late for ever.
    WindowClosed,
    /// The claim needs no proof.
    NotRequired,
    /// There is no claim to prove.
    ClaimMissing,
    /// Another sequence is expected: build it anew.
    Sequence,
    /// It would use more gas than it may: build it anew with more.
    OutOfGas,
    /// The node wants a higher price.
    FeeTooLow,
    /// The account cannot pay.
    FundsShort,
    /// Its time is over: build it anew.
    Expired,
    /// The node takes no more for now: send it again.
    Busy,
    /// It is wrong and stays wrong.
    Invalid,
}

impl RefusalClass {
    /// The class as a label.
    pub fn label(self) -> &'static str {
        match self {
            Self::AlreadySent => "already_sent",
            Self::WindowNotOpen => "window_not_open",
            Self::WindowClosed => "window_closed",
            Self::NotRequired => "not_required",
            Self::ClaimMissing => "claim_missing",
            Self::Sequence => "sequence",
            Self::OutOfGas => "out_of_gas",
            Self::FeeTooLow => "fee_too_low",
            Self::FundsShort => "funds_short",
            Self::Expired => "expired",
            Self::Busy => "busy",
            Self::Invalid => "invalid",
        }
    }
}

/// What became of a transaction that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Not in a block that the node knows of.
    Unknown,
    /// In a block, and done.
    Done {
        /// Of the block.
        height: i64,
    },
    /// In a block, and failed there.
    Failed {
        /// Of the block.
        height: i64,
        /// Why.
        refusal: Refusal,
    },
}

/// A transaction under way to the node; boxed as [`Asked`] is.
pub type Sent<'a, T> = Pin<Box<dyn Future<Output = Result<T, SendError>> + Send + 'a>>;

/// Signs and sends for one account.
pub struct Sender {
    chain: Chain,
    key: Arc<SecretKey>,
    address: String,
    number: OnceCell<u64>,
    /// The last timeout given out, in nanoseconds: no two transactions of a signer may have the same.
    last_timeout: Mutex<i128>,
}

impl Sender {
    /// A sender for the account of `key`.
    pub fn new(chain: Chain, key: Arc<SecretKey>) -> Self {
        let address = key.address().to_string();
        Self { chain, key, address, number: OnceCell::new(), last_timeout: Mutex::new(0) }
    }

    /// Bech32 address of the signer.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Builds and signs a transaction of `messages`, all of which must be this signer's. It can be included while the
    /// block time is at most `ttl` after that of the newest block; the chain allows ten minutes.
    ///
    /// # Errors
    /// [`SendError::Refused`] if the node was asked for the gas and found that the messages fail, with the index of the
    /// one at fault where it said so; [`SendError::Query`] if it could not be asked.
    pub fn prepare<'a>(&'a self, messages: &'a [Any], gas: &'a GasPolicy, ttl: Duration) -> Sent<'a, Prepared> {
        Box::pin(async move {
            let number = *self
                .number
                .get_or_try_init(|| async { self.chain.account(&self.address).await.map(|one| one.number) })
                .await?;
            let signer = tx::Signer { key: &self.key, chain_id: self.chain.id(), account_number: number };
            let timeout = self.timeout(ttl);

            let gas_limit = if gas.limit > 0 {
                gas.limit
            } else {
                let trial = signer.build_unordered(messages, timeout, MEMO, 0, Upokt::ZERO);
                tx::adjusted_gas(self.chain.simulate(trial.bytes).await?, gas.adjustment)
            };
            let fee = tx::fee(gas_limit, &gas.price);
            let ready = signer.build_unordered(messages, timeout, MEMO, gas_limit, fee);
            let hash = ready.hash_text();
            Ok(Prepared { bytes: ready.bytes, hash, fee, gas_limit, timeout_nanos: unordered::nanoseconds(timeout) })
        })
    }

    fn timeout(&self, ttl: Duration) -> Timestamp {
        let block_time = self.chain.blocks().latest().time;
        let block_time = Timestamp { seconds: block_time.seconds(), nanos: block_time.nanos().cast_signed() };
        // Some nanoseconds at random, so that a restarted process does not meet the timeouts it gave out before.
        let jitter = Duration::from_nanos(random::range(0..TIMEOUT_JITTER_NANOS));
        let ttl = ttl.min(unordered::TTL_MAX).saturating_sub(Duration::from_nanos(TIMEOUT_JITTER_NANOS)) + jitter;
        let mut timeout = unordered::timeout(block_time, ttl);
        let mut last = self.last_timeout.lock().unwrap_or_else(PoisonError::into_inner);
        while unordered::nanoseconds(timeout) == *last {
            timeout = unordered::timeout(timeout, Duration::from_nanos(1));
        }
        *last = unordered::nanoseconds(timeout);
        timeout
    }

    /// Sends a prepared transaction. Success means that the node has taken it, not that it will be included.
    ///
    /// # Errors
    /// [`SendError`]. `AlreadySent` is an error here too, though a harmless one.
    pub fn broadcast<'a>(&'a self, prepared: &'a Prepared) -> Sent<'a, ()> {
        Box::pin(async move {
            let request = tx_proto::BroadcastTxRequest {
                tx_bytes: prepared.bytes.clone(),
                mode: tx_proto::BroadcastMode::Sync.into(),
            };
            let answer = self.chain.inner.node.ask("broadcast a transaction", &methods::BROADCAST_TX, &request).await;
            let answer = match answer {
                Ok(answer) => answer,
                // The node's mempool answers a repeated transaction with an error of its own. Whoever says it, the effect
                // is that of a transaction sent: the chain shows whether it landed.
                Err(error) if error.message.contains("tx already exists in cache") => {
                    return Err(SendError::Refused(refusal(19, "sdk", &error.message)));
                }
                Err(error) => return Err(error.into()),
            };
            match answer.tx_response {
                Some(response) if response.code != 0 => {
                    Err(SendError::Refused(refusal(response.code, &response.codespace, &response.raw_log)))
                }
                _ => Ok(()),
            }
        })
    }
}

impl Chain {
    /// Returns what became of a transaction, by its upper-case hex hash. Needs a node that indexes transactions.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn outcome<'a>(&'a self, hash: &'a str) -> Asked<'a, Outcome> {
        Box::pin(async move {
            let request = tx_proto::GetTxRequest { hash: hash.to_owned() };
            let answer = self.inner.node.ask("look for a transaction", &methods::TX, &request).await;
            let response = match answer {
                Err(error) if error.is_not_found() => return Ok(Outcome::Unknown),
                answer => answer?.tx_response.unwrap_or_default(),
            };
            let height = response.height;
            if response.code == 0 {
                return Ok(Outcome::Done { height });
            }
            Ok(Outcome::Failed { height, refusal: refusal(response.code, &response.codespace, &response.raw_log) })
        })
    }

    async fn simulate(&self, tx_bytes: Vec<u8>) -> Result<u64, SendError> {
        let operation = "simulate a transaction";
        let request = tx_proto::SimulateRequest { tx: None, tx_bytes };
        let answer = self.inner.node.ask_plainly(operation, &methods::SIMULATE, &request).await;
        match answer {
            Ok(answer) => Ok(answer.gas_info.map_or(0, |gas| gas.gas_used)),
            // The chain's text, without a code of its own.
            Err(said) if said.kind.is_refusal() => Err(SendError::Refused(refusal(0, "", said.status.message()))),
            Err(said) => Err(said.about(operation).into()),
        }
    }
}

/// Classifies a refusal: by its code where it has a real one, by its text where a handler's status hides it.
fn refusal(code: u32, codespace: &str, log: &str) -> Refusal {
    let class = match (codespace, code) {
        ("sdk", 19) => RefusalClass::AlreadySent,
        ("sdk", 32) => RefusalClass::Sequence,
        ("sdk", 11) => RefusalClass::OutOfGas,
        ("sdk", 13) => RefusalClass::FeeTooLow,
        ("sdk", 5) => RefusalClass::FundsShort,
        ("sdk", 20) => RefusalClass::Busy,
        ("sdk", 30 | 42) => RefusalClass::Expired,
        _ => class_of_text(log),
    };
    Refusal { class, code, codespace: codespace.to_owned(), log: log.to_owned(), message_index: message_index(log) }
}

/// Texts of the chain, as its modules and the SDK write them.
const TEXTS: [(&str, RefusalClass); 16] = [
    ("tx already exists in cache", RefusalClass::AlreadySent),
    ("earliest claim commit height", RefusalClass::WindowNotOpen),
    ("earliest proof commit height", RefusalClass::WindowNotOpen),
    ("claim window close height", RefusalClass::WindowClosed),
    ("proof window close height", RefusalClass::WindowClosed),
    ("proof not required", RefusalClass::NotRequired),
    ("claim not found", RefusalClass::ClaimMissing),
    ("account sequence mismatch", RefusalClass::Sequence),
    ("out of gas", RefusalClass::OutOfGas),
    ("insufficient fees", RefusalClass::FeeTooLow),
    ("insufficient funds", RefusalClass::FundsShort),
    ("not enough funds to submit proof", RefusalClass::FundsShort),
    ("spendable balance", RefusalClass::FundsShort),
    ("unordered transaction has a timeout_timestamp that has already passed", RefusalClass::Expired),
    ("tx timeout", RefusalClass::Expired),
    ("mempool is full", RefusalClass::Busy),
];

fn class_of_text(log: &str) -> RefusalClass {
    TEXTS.iter().find(|(text, _)| log.contains(text)).map_or(RefusalClass::Invalid, |(_, class)| *class)
}

fn message_index(log: &str) -> Option<usize> {
    let (_, rest) = log.split_once("message index: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u32, codespace: &str, log: &str, class: RefusalClass, index: Option<usize>) {
        let refusal = refusal(code, codespace, log);
        assert_eq!((refusal.class, refusal.message_index), (class, index), "{log}");
    }

    #[test]
    fn refusals_are_classified_by_code_where_there_is_one() {
        check(
            32,
            "sdk",
            "account sequence mismatch, expected 3, got 2: incorrect account sequence",
            RefusalClass::Sequence,
            None,
        );
        check(42, "sdk", "tx timeout", RefusalClass::Expired, None);
        check(1104, "proof", "invalid root hash", RefusalClass::Invalid, None);
    }

    #[test]
    fn refusals_of_handlers_are_classified_by_their_text() {
        check(
            1,
            "undefined",
            "failed to execute message; message index: 2: rpc error: code = FailedPrecondition desc = current block height (3) is less than the session's earliest claim commit height (12): claim attempted outside of the session's claim window",
            RefusalClass::WindowNotOpen,
            Some(2),
        );
        check(
            0,
            "",
            "failed to execute message; message index: 0: rpc error: code = FailedPrecondition desc = proof not required with gas used: '123'",
            RefusalClass::NotRequired,
            Some(0),
        );
    }
}
