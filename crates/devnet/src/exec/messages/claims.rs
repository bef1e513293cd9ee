//! Claims and proofs (protocol §8.1, §8.2): the rules are `pocket_protocol::proof`'s; here what they decide is done.

use std::sync::Arc;

use pocket_crypto::address::Address;
use pocket_proto::pocket::{
    proof::{MsgCreateClaim, MsgSubmitProof},
    session::SessionHeader,
};
use pocket_protocol::{
    ChainError, GrpcStatus,
    error::codes,
    proof::{self, AcceptedClaim, AcceptedProof},
};

use super::parsed;
use crate::{
    exec::{Context, Failure, gas},
    state::{InSession, State, key},
};

pub(super) fn validate_claim(message: &MsgCreateClaim) -> Result<(), Failure> {
    proof::check_claim_message(message)?;
    Ok(())
}

pub(super) fn validate_proof(message: &MsgSubmitProof) -> Result<(), Failure> {
    Ok(proof::check_proof_message(message)?)
}

fn failure(error: ChainError) -> Failure {
    if error.is(&codes::undefined::RECOVERED) {
        let what = error.text.strip_prefix("recovered: ").unwrap_or(&error.text).to_owned();
        return Failure::Recovered(what);
    }
    error.into()
}

/// Claims and proofs ask for the session that their header names.
fn in_session<'a>(state: &'a State, header: Option<&'a SessionHeader>) -> InSession<'a> {
    let (application, service_id, start) = header.map_or(("", "", 0), |header| {
        (header.application_address.as_str(), header.service_id.as_str(), header.session_start_block_height)
    });
    state.in_session(application, service_id, start)
}

/// Pays for what was read until the rules came to their decision.
fn pay_for_reading<T>(context: &mut Context<'_>, decided: &Result<T, ChainError>) -> Result<(), Failure> {
    // Without a session its suppliers are never read.
    let session = match decided {
        Err(error) if error.codespace == codes::session::HYDRATION.codespace => gas::SESSION_REFUSED,
        _ => gas::SESSION,
    };
    context.gas.consume(session, gas::AT_READ)?;
    Ok(context.gas.consume(gas::PARAMS, gas::AT_READ)?)
}

pub(super) fn create_claim(context: &mut Context<'_>, message: &MsgCreateClaim) -> Result<(), Failure> {
    let decided = proof::create_claim(&in_session(context.state, message.session_header.as_ref()), message);
    pay_for_reading(context, &decided)?;
    let accepted: AcceptedClaim = decided.map_err(failure)?;
    context.gas.consume(gas::CLAIM, gas::AT_WRITE)?;
    let header = accepted.claim.session_header.as_ref();
    let session_id = header.map(|header| header.session_id.clone()).unwrap_or_default();
    let supplier = accepted.claim.supplier_operator_address.clone();
    context.state.put_claim(&session_id, &supplier, accepted.claim.clone());
    if accepted.replaces {
        context.emit(&accepted.updated_event());
    } else {
        context.emit(&accepted.created_event());
    }
    Ok(())
}

pub(super) fn submit_proof(context: &mut Context<'_>, message: &MsgSubmitProof) -> Result<(), Failure> {
    let decided = proof::submit_proof(&in_session(context.state, message.session_header.as_ref()), message);
    pay_for_reading(context, &decided)?;
    let accepted: AcceptedProof = decided.map_err(failure)?;
    context.gas.consume(gas::CLAIM_READ, gas::AT_READ)?;
    if !accepted.fee.is_zero() {
        context.gas.consume(gas::TRANSFER, gas::AT_WRITE)?;
        let operator = parsed(&message.supplier_operator_address)?;
        context.state.transfer(&operator, &Address::module("proof"), accepted.fee.0, context.events).map_err(
            |error| codes::proof::FAILED_TO_DEDUCT_FEE.wrap(error).with_status(GrpcStatus::FailedPrecondition),
        )?;
    }
    let bytes = message.proof.len() as u64;
    context.gas.consume(bytes.saturating_mul(gas::WRITE_PER_BYTE), gas::AT_WRITE)?;
    let session_id = accepted.proof.session_header.as_ref().map_or("", |header| header.session_id.as_str());
    let key = key(session_id, &message.supplier_operator_address);
    let replaces = context.state.proofs.contains_key(&key);
    context.state.proofs.insert_mut(key, Arc::new(accepted.proof.clone()));
    if replaces {
        context.emit(&accepted.updated_event());
    } else {
        context.emit(&accepted.submitted_event());
    }
    Ok(())
}
