//! Executing transactions and the two ends of a block, on a state that the caller may drop.
//!
//! A transaction passes the ante checks (`ante`), which may take its fee and its sequence, then its messages run in
//! order (`messages`). When a message fails, what the messages did is dropped and what the ante did stays, as on the
//! chain. Gas is counted all along (`gas`).

use std::fmt;

use pocket_proto::tendermint::abci::Event;
use pocket_protocol::{
    ChainError,
    error::codes,
    tx::{self, Decoded},
};

use crate::{
    event::{event, mark},
    state::State,
};

mod ante;
mod ends;
mod gas;
mod messages;

pub use ends::{begin_block, end_block};
pub use gas::{Gas, OutOfGas};
pub use messages::Message;

/// Codespace of errors that no module registered.
const UNDEFINED: &str = "undefined";
/// Code of a message that failed with a gRPC status.
const CODE_STATUS: u32 = 1;
/// Code of a handler that panicked on the real chain.
const CODE_RECOVERED: u32 = 111_222;

/// What a transaction is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To be let into the mempool: only the ante checks.
    Check,
    /// To remain in the mempool after a block: signatures were verified before.
    Recheck,
    /// To learn what it costs: without limit, and without verifying signatures.
    Simulate,
    /// As part of a block.
    Deliver,
}

/// What came of a transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// 0 for success.
    pub code: u32,
    /// Whose code it is; empty for success.
    pub codespace: String,
    /// Why it failed; empty for success.
    pub log: String,
    /// Serialized `TxMsgData`; empty after a failure.
    pub data: Vec<u8>,
    /// Gas limit; -1 (all bits set) where there is none.
    pub gas_wanted: i64,
    /// Gas used.
    pub gas_used: i64,
    /// Events: of the ante checks, then of each message.
    pub events: Vec<Event>,
    /// Type URLs of the responses of the messages.
    pub responses: Vec<String>,
}

/// Why a transaction or message fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// With a registered error.
    Chain(ChainError),
    /// It ran out of gas.
    Gas(OutOfGas),
    /// Where the real chain's handler panics and recovers.
    Recovered(String),
}

impl From<ChainError> for Failure {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl From<OutOfGas> for Failure {
    fn from(error: OutOfGas) -> Self {
        Self::Gas(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(error) => formatter.write_str(&error.rpc_text()),
            Self::Gas(error) => error.fmt(formatter),
            Self::Recovered(what) => write!(formatter, "recovered: {what}"),
        }
    }
}

/// What a message's handler works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// The state it may change; dropped when the transaction fails.
    pub state: &'a mut State,
    /// Events it emits.
    pub events: &'a mut Vec<Event>,
    /// Gas it pays.
    pub gas: &'a mut Gas,
}

impl Context<'_> {
    /// Emits a typed event.
    pub fn emit<M: prost::Message + prost::Name>(&mut self, message: &M) {
        self.events.push(typed(message));
    }
}

/// Makes the event of a message.
pub(crate) fn typed<M: prost::Message + prost::Name>(message: &M) -> Event {
    let (kind, attributes) = pocket_proto::json::event_of(message).expect("events of pocket packages hold no times");
    typed_parts(kind, &attributes)
}

/// Makes an event of its type and attributes.
pub(crate) fn typed_parts(kind: String, attributes: &[(String, String)]) -> Event {
    let attributes = attributes.iter().map(|(key, value)| crate::event::attribute(key, value)).collect();
    Event { r#type: kind, attributes }
}

/// Runs a transaction. The state is changed by what of it succeeds: nothing, the ante checks, or all.
pub fn run(state: &mut State, bytes: &[u8], mode: Mode, minimum_gas_price: u128) -> Outcome {
    let mut outcome = Outcome::default();
    let mut gas = Gas::unlimited();
    let result = tx::decode(bytes).map_err(Failure::from).and_then(|decoded| {
        let messages = messages::decode_all(decoded.messages())?;
        gas = if mode == Mode::Simulate { Gas::unlimited() } else { Gas::limited(decoded.fee().gas_limit) };
        outcome.gas_wanted = gas.wanted();
        run_decoded(state, &decoded, &messages, mode, minimum_gas_price, &mut gas, &mut outcome)
    });
    outcome.gas_used = i64::try_from(gas.used()).unwrap_or(i64::MAX);
    if let Err(failure) = result {
        outcome.data.clear();
        outcome.responses.clear();
        (outcome.code, outcome.codespace, outcome.log) = match failure {
            Failure::Chain(error) if error.status.is_some() => (CODE_STATUS, UNDEFINED.to_owned(), error.rpc_text()),
            Failure::Chain(error) => (error.code, error.codespace.to_owned(), error.text),
            Failure::Gas(error) => {
                let error = codes::sdk::OUT_OF_GAS.wrap(error);
                (error.code, error.codespace.to_owned(), error.text)
            }
            Failure::Recovered(what) => (CODE_RECOVERED, UNDEFINED.to_owned(), format!("recovered: {what}")),
        };
    }
    outcome
}

fn run_decoded(
    state: &mut State,
    decoded: &Decoded,
    messages: &[Message],
    mode: Mode,
    minimum_gas_price: u128,
    gas: &mut Gas,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    if messages.is_empty() {
        return Err(codes::sdk::INVALID_REQUEST.wrap("must contain at least one message").into());
    }
    for message in messages {
        message.validate()?;
    }
    let mut after_ante = state.clone();
    let mut events = Vec::new();
    let mut context = Context { state: &mut after_ante, events: &mut events, gas };
    ante::check(&mut context, decoded, messages, mode, minimum_gas_price)?;
    *state = after_ante;
    outcome.events = events;
    if matches!(mode, Mode::Check | Mode::Recheck) {
        return Ok(());
    }

    let mut after = state.clone();
    let mut message_events = Vec::new();
    for (index, (message, any)) in messages.iter().zip(decoded.messages()).enumerate() {
        let mut events = Vec::new();
        let mut context = Context { state: &mut after, events: &mut events, gas };
        let handled = message.handle(&mut context);
        handled.map_err(|failure| match failure {
            Failure::Chain(error) => Failure::Chain(ChainError {
                text: format!("failed to execute message; message index: {index}: {}", error.rpc_text()),
                status: None,
                // A status is no registered error: its module and code are lost on the way out.
                code: if error.status.is_some() { CODE_STATUS } else { error.code },
                codespace: if error.status.is_some() { UNDEFINED } else { error.codespace },
            }),
            other => other,
        })?;
        let action = any.type_url.as_str();
        let sender = message.signers().first().cloned().unwrap_or_default();
        let about = event("message", [("action", action), ("sender", &sender), ("module", module_of(action))]);
        events.insert(0, about);
        mark(&mut events, "msg_index", &index.to_string());
        message_events.append(&mut events);
        outcome.responses.push(format!("{action}Response"));
    }
    *state = after;
    outcome.events.append(&mut message_events);
    outcome.data = tx_data(&outcome.responses);
    Ok(())
}

/// Returns the second part of a type URL: `proof` of `/pocket.proof.MsgCreateClaim`.
fn module_of(type_url: &str) -> &str {
    type_url.split('.').nth(1).unwrap_or_default()
}

/// Serializes `cosmos.base.abci.v1beta1.TxMsgData`; all responses are empty messages.
fn tx_data(responses: &[String]) -> Vec<u8> {
    use crate::header::wire;

    let mut data = Vec::new();
    for type_url in responses {
        let mut any = Vec::new();
        wire::bytes(&mut any, 1, type_url.as_bytes());
        wire::message(&mut data, 2, &any);
    }
    data
}

/// Gas that a transaction of the governance account may use.
const GOVERNANCE_GAS: u64 = 10_000_000;

/// Wraps messages of the governance account.
pub fn governance(messages: Vec<prost_types::Any>, memo: String) -> Vec<u8> {
    use pocket_proto::cosmos::tx::v1beta1::{AuthInfo, Fee, TxBody, TxRaw};
    use prost::Message as _;

    let body = TxBody { messages, memo, ..TxBody::default() };
    let fee = Fee { gas_limit: GOVERNANCE_GAS, ..Fee::default() };
    let auth_info = AuthInfo { fee: Some(fee), ..AuthInfo::default() };
    let raw =
        TxRaw { body_bytes: body.encode_to_vec(), auth_info_bytes: auth_info.encode_to_vec(), signatures: Vec::new() };
    raw.encode_to_vec()
}

/// Returns the message types and the signers of a transaction, as far as they can be read.
pub fn concerns(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let Ok(decoded) = tx::decode(bytes) else { return Default::default() };
    let types = decoded.messages().iter().map(|any| any.type_url.clone()).collect();
    let messages = messages::decode_all(decoded.messages()).unwrap_or_default();
    (types, ante::signers(&messages))
}
