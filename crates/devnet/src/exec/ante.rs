//! What is checked of every transaction before its messages run, in the node's order (protocol §9.3).

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use pocket_crypto::address::Address;
use pocket_proto::cosmos::base::v1beta1::Coin;
use pocket_protocol::{
    error::{Registered, codes},
    tx::{self, Decoded, TxLimits, unordered},
};

use super::{Context, Failure, Message, Mode, gas};
use crate::{decimal, event::event, moment::Time};

/// No gas at all is offered.
const INVALID_GAS_LIMIT: Registered = Registered::new("sdk", 41, "invalid gas limit");
/// `SIGN_MODE_DIRECT`, the only one understood.
const SIGN_MODE_DIRECT: i32 = 1;
/// Bytes of the signature that the size of a transaction is counted with when a simulation leaves it out.
const SIMULATED_SIGNATURE_BYTES: u64 = 64;

/// Returns the accounts that must sign, each once, in the order in which the messages name them.
pub(super) fn signers(messages: &[Message]) -> Vec<String> {
    let mut signers: Vec<String> = Vec::new();
    for signer in messages.iter().flat_map(Message::signers) {
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    signers
}

/// Checks a transaction; takes its fee, publishes its key, uses up its sequence or nonce.
pub(super) fn check(
    context: &mut Context<'_>,
    decoded: &Decoded,
    messages: &[Message],
    mode: Mode,
    minimum_gas_price: u128,
) -> Result<(), Failure> {
    let signers = signers(messages);
    if mode == Mode::Deliver && is_governance(decoded, &signers) {
        return Ok(());
    }
    let auth = context.state.params.auth;
    let limits = TxLimits {
        memo_bytes_max: usize::try_from(auth.max_memo_characters).unwrap_or(usize::MAX),
        signatures_max: usize::try_from(auth.tx_sig_limit).unwrap_or(usize::MAX),
    };
    if mode != Mode::Recheck {
        decoded.check_basic(&signers, limits)?;
    }
    tx::check_timeouts(&decoded.body, context.state.height, context.state.time.to_proto())?;
    let mut size = decoded.size as u64;
    if mode == Mode::Simulate {
        let empty = decoded.raw.signatures.iter().filter(|signature| signature.is_empty()).count() as u64;
        size += empty * SIMULATED_SIGNATURE_BYTES;
    }
    context.gas.consume(size.saturating_mul(auth.tx_size_cost_per_byte), "txSize")?;
    context.gas.consume(gas::ANTE, gas::AT_READ)?;
    deduct_fee(context, decoded, &signers, mode, minimum_gas_price)?;
    let addresses = parse(&signers)?;
    publish_keys(context, decoded, &addresses, mode)?;
    for _ in &signers {
        context.gas.consume(auth.sig_verify_cost_secp256k1, "ante verify: secp256k1")?;
    }
    verify(context, decoded, &addresses, mode)?;
    if !decoded.body.unordered {
        for address in &addresses {
            context.gas.consume(gas::SEQUENCE, gas::AT_WRITE)?;
            context.state.change_account(address, |account| account.sequence += 1);
        }
    }
    Ok(())
}

/// What the chain itself submits for its governance account, which has no key: it is without signatures, which no
/// transaction that passed the mempool is.
fn is_governance(decoded: &Decoded, signers: &[String]) -> bool {
    decoded.raw.signatures.is_empty() && signers.iter().all(|signer| *signer == Address::module("gov").as_str())
}

fn parse(signers: &[String]) -> Result<Vec<Address>, Failure> {
    let parse = |signer: &String| {
        pocket_protocol::address::parse(signer).map_err(|reason| codes::sdk::INVALID_ADDRESS.wrap(reason).into())
    };
    signers.iter().map(parse).collect()
}

fn coins_text(coins: &[Coin]) -> String {
    let coins: Vec<String> = coins.iter().map(|coin| format!("{}{}", coin.amount, coin.denom)).collect();
    coins.join(",")
}

fn deduct_fee(
    context: &mut Context<'_>,
    decoded: &Decoded,
    signers: &[String],
    mode: Mode,
    minimum_gas_price: u128,
) -> Result<(), Failure> {
    let fee = decoded.fee();
    if mode != Mode::Simulate && fee.gas_limit == 0 {
        return Err(INVALID_GAS_LIMIT.wrap("must provide positive gas").into());
    }
    let amount = fee_amount(&fee.amount)?;
    if matches!(mode, Mode::Check | Mode::Recheck) && minimum_gas_price > 0 {
        let required = minimum_gas_price.saturating_mul(u128::from(fee.gas_limit)).div_ceil(decimal::ONE);
        if amount < required {
            let given = coins_text(&fee.amount);
            let text = format!("insufficient fees; got: {given} required: {required}upokt");
            return Err(codes::sdk::INSUFFICIENT_FEE.wrap(text).into());
        }
    }
    if !fee.granter.is_empty() && fee.granter != fee.payer {
        return Err(codes::sdk::INVALID_REQUEST.wrap("fee grants are not enabled").into());
    }
    let payer = if fee.payer.is_empty() { signers.first().cloned().unwrap_or_default() } else { fee.payer };
    if !signers.contains(&payer) {
        let text = format!("wrong number of signers; expected {}, got {}", signers.len() + 1, signers.len());
        return Err(codes::sdk::UNAUTHORIZED.wrap(text).into());
    }
    let Some(account) = context.state.accounts.get(payer.as_str()) else {
        return Err(codes::sdk::UNKNOWN_ADDRESS.wrap(format!("fee payer address: {payer} does not exist")).into());
    };
    if amount > 0 {
        let from = account.address.clone();
        context.gas.consume(gas::FEE, gas::AT_WRITE)?;
        context
            .state
            .transfer(&from, &Address::module("fee_collector"), amount, context.events)
            .map_err(|error| codes::sdk::INSUFFICIENT_FUNDS.wrap(error))?;
    }
    let coins = crate::state::coins_text(amount);
    context.events.push(event("tx", [("fee", coins.as_str()), ("fee_payer", payer.as_str())]));
    Ok(())
}

fn fee_amount(coins: &[Coin]) -> Result<u128, Failure> {
    match coins {
        [] => Ok(0),
        [coin] if coin.denom == "upokt" => {
            let invalid = || codes::sdk::INSUFFICIENT_FEE.wrap(format!("invalid fee amount: {}", coins_text(coins)));
            Ok(coin.amount.parse().map_err(|_| invalid())?)
        }
        _ => {
            let text = format!("spendable balance  is smaller than {}", coins_text(coins));
            let error = codes::sdk::INSUFFICIENT_FUNDS.wrap(text);
            Err(codes::sdk::INSUFFICIENT_FUNDS.wrap(error).into())
        }
    }
}

fn publish_keys(
    context: &mut Context<'_>,
    decoded: &Decoded,
    addresses: &[Address],
    mode: Mode,
) -> Result<(), Failure> {
    for (index, address) in addresses.iter().enumerate() {
        let Some(key) = decoded.public_key(index)? else { continue };
        if mode != Mode::Simulate && key.address() != *address {
            let text = format!("pubKey does not match signer address {address} with signer index: {index}");
            return Err(codes::sdk::INVALID_PUB_KEY.wrap(text).into());
        }
        let Some(account) = context.state.accounts.get(address.as_str()) else {
            return Err(codes::sdk::UNKNOWN_ADDRESS.wrap(format!("account {address} does not exist")).into());
        };
        if account.public_key.is_none() && key.address() == *address {
            context.gas.consume(gas::PUBLIC_KEY, gas::AT_WRITE)?;
            context.state.change_account(address, |account| account.public_key = Some(key));
        }
    }
    for (index, address) in addresses.iter().enumerate() {
        if !decoded.body.unordered {
            let sequence = format!("{address}/{}", decoded.sequence(index));
            context.events.push(event("tx", [("acc_seq", sequence.as_str())]));
        }
    }
    for signature in &decoded.raw.signatures {
        context.events.push(event("tx", [("signature", BASE64.encode(signature).as_str())]));
    }
    Ok(())
}

fn verify(context: &mut Context<'_>, decoded: &Decoded, addresses: &[Address], mode: Mode) -> Result<(), Failure> {
    if decoded.body.unordered {
        use_nonces(context, decoded, addresses)?;
    }
    let chain_id = context.state.chain_id.clone();
    for (index, address) in addresses.iter().enumerate() {
        let Some(account) = context.state.accounts.get(address.as_str()) else {
            return Err(codes::sdk::UNKNOWN_ADDRESS.wrap(format!("account {address} does not exist")).into());
        };
        decoded.check_sequence(index, account.sequence)?;
        if matches!(mode, Mode::Simulate | Mode::Recheck) {
            continue;
        }
        let Some(key) = account.public_key else {
            return Err(codes::sdk::INVALID_PUB_KEY.wrap("pubkey on account is not set").into());
        };
        if sign_mode(decoded, index) != Some(SIGN_MODE_DIRECT) {
            return Err(codes::sdk::UNAUTHORIZED.wrap("only SIGN_MODE_DIRECT is supported").into());
        }
        decoded.check_signature(index, &key, &chain_id, account.number)?;
    }
    Ok(())
}

fn sign_mode(decoded: &Decoded, index: usize) -> Option<i32> {
    use pocket_proto::cosmos::tx::v1beta1::mode_info::Sum;

    match decoded.auth_info.signer_infos.get(index)?.mode_info.as_ref()?.sum.as_ref()? {
        Sum::Single(single) => Some(single.mode),
        Sum::Multi(_) => None,
    }
}

fn use_nonces(context: &mut Context<'_>, decoded: &Decoded, addresses: &[Address]) -> Result<(), Failure> {
    context.gas.consume(gas::UNORDERED, "unordered tx")?;
    for (index, address) in addresses.iter().enumerate() {
        let now = context.state.time.to_proto();
        let timeout = unordered::check(decoded.body.timeout_timestamp, decoded.sequence(index), now)?;
        let nonce = (Time::from_proto(&timeout).as_nanos(), address.as_str().into());
        if context.state.nonces.contains_key(&nonce) {
            return Err(unordered::nonce_used(address.as_str(), timeout).into());
        }
        context.state.nonces.insert_mut(nonce, ());
    }
    Ok(())
}
