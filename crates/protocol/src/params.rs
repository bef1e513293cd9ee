//! Governance parameters of the chain's modules as plain data, their rules and their history (protocol §1.3 – §1.10,
//! §4.2, §4.8, §10.1).
//!
//! Which height's parameters count for what is a table in §4.2: windows and grace period by the *end* of a session,
//! prices and difficulty by its *start*, proof and tokenomics parameters live.

mod history;

mod modules;

mod shared;

pub use history::{History, SessionState, SharedState};
pub use modules::{Application, Gateway, Proof, Service, Session, Shares, Supplier, Tokenomics};
pub use shared::Shared;

use pocket_proto::cosmos::base::v1beta1::Coin;

use crate::coin::{DENOM, Upokt};

/// A parameter message of the chain cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter {name} of module {module} is unreadable: {reason}")]
pub struct ParamsError {
    /// The module.
    pub module: &'static str,
    /// The parameter's name in the protobuf message.
    pub name: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// Writes an amount as the chain's coin; a zero amount is `"0"`.
#[must_use]
pub fn coin(amount: Upokt) -> Coin {
    Coin { denom: DENOM.to_owned(), amount: amount.0.to_string() }
}

fn amount(module: &'static str, name: &'static str, coin: Option<&Coin>) -> Result<Upokt, ParamsError> {
    let Some(coin) = coin else {
        return Err(ParamsError { module, name, reason: "the coin is missing".to_owned() });
    };
    Upokt::from_parts(&coin.denom, &coin.amount).map_err(|error| ParamsError {
        module,
        name,
        reason: error.to_string(),
    })
}
