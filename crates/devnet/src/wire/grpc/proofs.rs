//! Queries of the module `proof`: claims, and the proofs that wait for the end of their block.

use std::sync::Arc;

use pocket_proto::pocket::proof::{
    Claim, Proof, QueryAllClaimsRequest, QueryAllClaimsResponse, QueryAllProofsRequest, QueryAllProofsResponse,
    QueryGetClaimRequest, QueryGetClaimResponse, QueryGetProofRequest, QueryGetProofResponse, QueryParamsRequest,
    QueryParamsResponse, query_all_claims_request, query_all_proofs_request,
};
use pocket_protocol::{
    address,
    error::{codes, quoted},
};
use tonic::{Code, Status};

use super::{At, Method, methods, refused};
use crate::{
    state::{self, SessionSupplier, State},
    wire::page::{self, key},
};

pub(super) const PROOF: &[Method] = methods!("pocket.proof.Query", {
    "Params", params;
    "Claim", claim, supplier_operator_address;
    "AllClaims", claims;
    "Proof", proof, supplier_operator_address;
    "AllProofs", proofs;
});

fn params(at: &At<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, Status> {
    Ok(QueryParamsResponse { params: Some((&at.state.params.proof).into()) })
}

fn check(what: &str, session_id: &str, supplier: &str) -> Result<(), Status> {
    if let Err(reason) = address::parse(supplier) {
        let context = format!("invalid supplier operator address for {what} being retrieved {supplier}; ({reason})");
        return Err(refused(Code::InvalidArgument, &codes::proof::INVALID_ADDRESS.wrap(context)));
    }
    if session_id.is_empty() {
        let context = format!("invalid empty session ID for {what} being retrieved");
        return Err(refused(Code::InvalidArgument, &codes::proof::INVALID_SESSION_ID.wrap(context)));
    }
    Ok(())
}

fn named(session_id: &str, supplier: &str) -> String {
    format!("session ID {} and supplier {}", quoted(session_id), quoted(supplier))
}

fn claim(at: &At<'_>, request: QueryGetClaimRequest) -> Result<QueryGetClaimResponse, Status> {
    let (session_id, supplier) = (&request.session_id, &request.supplier_operator_address);
    check("claim", session_id, supplier)?;
    let Some(found) = at.state.claim(session_id, supplier) else {
        let error = codes::proof::CLAIM_NOT_FOUND.wrap(named(session_id, supplier));
        return Err(refused(Code::NotFound, &error));
    };
    Ok(QueryGetClaimResponse { claim: Some(Claim::clone(found)) })
}

fn proof(at: &At<'_>, request: QueryGetProofRequest) -> Result<QueryGetProofResponse, Status> {
    let (session_id, supplier) = (&request.session_id, &request.supplier_operator_address);
    check("proof", session_id, supplier)?;
    let Some(found) = at.state.proofs.get(&state::key(session_id, supplier)) else {
        let error = codes::proof::PROOF_NOT_FOUND.wrap(named(session_id, supplier));
        return Err(refused(Code::NotFound, &error));
    };
    Ok(QueryGetProofResponse { proof: Some(Proof::clone(found)) })
}

/// By what claims and proofs are looked up, and in whose order they come.
enum Filter<'a> {
    None,
    Session(&'a str),
    Supplier(&'a str),
    SessionEnd(u64),
}

/// Returns the keys of the claims of a filter, with their keys as pages know them.
fn claim_keys(state: &State, filter: &Filter<'_>) -> Vec<(Vec<u8>, SessionSupplier)> {
    let primary = |(session, supplier): &SessionSupplier| [key(session), key(supplier)].concat();
    match filter {
        Filter::None => state.claims.keys().map(|entry| (primary(entry), entry.clone())).collect(),
        Filter::Session(session_id) => {
            let from = state::key(session_id, "");
            let entries = state.claims.range(from..).map(|(entry, _)| entry);
            let within = entries.take_while(|(session, _)| **session == **session_id);
            within.map(|entry| (key(&entry.1), entry.clone())).collect()
        }
        Filter::Supplier(supplier) => {
            let from = (Arc::<str>::from(*supplier), Arc::<str>::from(""));
            let entries = state.claims_by_supplier.range(from..).map(|(entry, ())| entry);
            let within = entries.take_while(|(entry, _)| **entry == **supplier);
            within.map(|(supplier, session)| (key(session), (Arc::clone(session), Arc::clone(supplier)))).collect()
        }
        Filter::SessionEnd(height) => {
            let Ok(height) = i64::try_from(*height) else { return Vec::new() };
            state.claims_ending_at(height).into_iter().map(|entry| (primary(&entry), entry)).collect()
        }
    }
}

fn claims(at: &At<'_>, request: QueryAllClaimsRequest) -> Result<QueryAllClaimsResponse, Status> {
    use query_all_claims_request::Filter as Asked;
    let filter = match &request.filter {
        None => Filter::None,
        Some(Asked::SupplierOperatorAddress(supplier)) => Filter::Supplier(supplier),
        Some(Asked::SessionId(session_id)) => Filter::Session(session_id),
        Some(Asked::SessionEndHeight(height)) => Filter::SessionEnd(*height),
    };
    let entries = claim_keys(&at.state, &filter);
    let (page, pagination) = page::cut(entries.into_iter(), request.pagination)?;
    let claims = page.iter().filter_map(|entry| at.state.claims.get(entry)).map(|found| Claim::clone(found));
    Ok(QueryAllClaimsResponse { claims: claims.collect(), pagination: Some(pagination) })
}

fn proofs(at: &At<'_>, request: QueryAllProofsRequest) -> Result<QueryAllProofsResponse, Status> {
    use query_all_proofs_request::Filter as Asked;
    match &request.filter {
        Some(Asked::SupplierOperatorAddress(supplier)) => check("proofs", "-", supplier)?,
        Some(Asked::SessionId(session_id)) if session_id.is_empty() => {
            let context = "invalid empty session ID for proofs being retrieved";
            return Err(refused(Code::InvalidArgument, &codes::proof::INVALID_SESSION_ID.wrap(context)));
        }
        _ => {}
    }
    let wanted = |(session, supplier): &SessionSupplier, found: &Proof| match &request.filter {
        None => true,
        Some(Asked::SupplierOperatorAddress(text)) => **supplier == **text,
        Some(Asked::SessionId(text)) => **session == **text,
        Some(Asked::SessionEndHeight(height)) => {
            let end = found.session_header.as_ref().map_or(0, |header| header.session_end_block_height);
            u64::try_from(end) == Ok(*height)
        }
    };
    let entries = at.state.proofs.iter().filter(|(entry, found)| wanted(entry, found));
    let entries = entries.map(|(entry, found)| ([key(&entry.0), key(&entry.1)].concat(), found));
    let (page, pagination) = page::cut(entries, request.pagination)?;
    let proofs = page.into_iter().map(|found| Proof::clone(found)).collect();
    Ok(QueryAllProofsResponse { proofs, pagination: Some(pagination) })
}
