//! Sending coins.

use pocket_proto::cosmos::{bank::v1beta1::MsgSend, base::v1beta1::Coin};
use pocket_protocol::error::codes;

use crate::exec::{Context, Failure, gas};

fn coins_text(coins: &[Coin]) -> String {
    let coins: Vec<String> = coins.iter().map(|coin| format!("{}{}", coin.amount, coin.denom)).collect();
    coins.join(",")
}

pub(super) fn send(context: &mut Context<'_>, message: &MsgSend) -> Result<(), Failure> {
    let named = |which: &str, address: &str| {
        pocket_protocol::address::parse(address).map_err(|reason| {
            Failure::from(codes::sdk::INVALID_ADDRESS.wrap(format!("invalid {which} address: {reason}")))
        })
    };
    let from = named("from", &message.from_address)?;
    let to = named("to", &message.to_address)?;
    let amount = match message.amount.as_slice() {
        [coin] if coin.denom == "upokt" => coin.amount.parse::<u128>().ok().filter(|amount| *amount > 0),
        [_] => {
            context.gas.consume(gas::TRANSFER, gas::AT_WRITE)?;
            let text = format!("spendable balance  is smaller than {}", coins_text(&message.amount));
            return Err(codes::sdk::INSUFFICIENT_FUNDS.wrap(text).into());
        }
        _ => None,
    };
    let Some(amount) = amount else {
        return Err(codes::sdk::INVALID_COINS.wrap(coins_text(&message.amount)).into());
    };
    context.gas.consume(gas::TRANSFER, gas::AT_WRITE)?;
    if context.state.accounts.get(to.as_str()).is_some_and(|account| account.module.is_some()) {
        let text = format!("{to} is not allowed to receive funds");
        return Err(codes::sdk::UNAUTHORIZED.wrap(text).into());
    }
    // The text already ends with the description of the code.
    context.state.transfer(&from, &to, amount, context.events).map_err(|error| pocket_protocol::ChainError {
        text: error.to_string(),
        ..codes::sdk::INSUFFICIENT_FUNDS.bare()
    })?;
    Ok(())
}
