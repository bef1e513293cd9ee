//! Who may sign a relay request, and whether one of them did (protocol §3.5, §3.6).
//!
//! The curve is `pocket_crypto`'s; what is decided here is which keys count: the application's and those of the gateways
//! it has delegated to, as of the end of the request's session.

use pocket_crypto::keys::PublicKey;
use pocket_crypto::ring::{PLACEHOLDER_ADDRESS, PLACEHOLDER_PUBLIC_KEY, Verifier};
use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::service::RelayRequest;

use crate::error::{ChainError, codes};
use crate::height::Height;
use crate::relay::{request_signable_hash, validate_header};
use crate::session::Grid;

/// Returns the gateways that may sign for an application in the session that ends at `session_end`: its current
/// delegations, then those undelegated in that session or later.
///
/// An undelegation is recorded under the end of the session it was made in, and takes effect after it.
#[must_use]
pub fn delegatees(application: &Application, session_end: Height) -> Vec<String> {
    let mut gateways = application.delegatee_gateway_addresses.clone();
    let mut pending: Vec<&String> = Vec::new();
    for (height, list) in &application.pending_undelegations {
        // The chain compares unsigned heights; a session end is never negative.
        if *height < session_end.max(0).unsigned_abs() {
            continue;
        }
        for gateway in &list.gateway_addresses {
            if !pending.contains(&gateway) {
                pending.push(gateway);
            }
        }
    }
    gateways.extend(pending.into_iter().cloned());
    gateways
}

/// Returns the addresses of the ring that the chain expects, in its order: the application and its delegatees, or the
/// placeholder where there are none, sorted as texts.
#[must_use]
pub fn addresses(application: &Application, session_end: Height) -> Vec<String> {
    let mut addresses = delegatees(application, session_end);
    if addresses.is_empty() {
        addresses.push(PLACEHOLDER_ADDRESS.to_owned());
    }
    addresses.push(application.address.clone());
    addresses.sort();
    addresses
}

/// Returns the public key of the placeholder that completes the ring of an application without delegations.
#[must_use]
pub fn placeholder_key() -> PublicKey {
    PublicKey::from_bytes(&PLACEHOLDER_PUBLIC_KEY).expect("the placeholder's key is a point of the curve")
}

/// Returns the keys of `addresses`, in their order. `key_of` knows the keys that accounts have published.
///
/// # Errors
/// `proof` 1114 names the first account without a key.
pub fn keys(
    addresses: &[String],
    mut key_of: impl FnMut(&str) -> Option<PublicKey>,
) -> Result<Vec<PublicKey>, ChainError> {
    addresses
        .iter()
        .map(|address| {
            if address == PLACEHOLDER_ADDRESS {
                return Ok(placeholder_key());
            }
            key_of(address).ok_or_else(|| missing_key(address))
        })
        .collect()
}

/// Tells whether every key in the signature is expected. Order, subsets and repetitions are free (§3.5.2).
#[must_use]
pub fn is_subset<'a>(signature_keys: impl IntoIterator<Item = &'a [u8; 33]>, expected: &[PublicKey]) -> bool {
    signature_keys.into_iter().all(|key| expected.iter().any(|member| member.as_bytes() == key))
}

/// Tells whether a signature's keys are those of `expected`, some of them or all, and none more often than it stands
/// there: the ring of everybody who signs as the protocol means it.
///
/// The chain takes any number of members and repetitions ([`is_subset`]), and each costs whoever verifies it as much as
/// an honest one. An application that is its own gateway has its key in the ring twice; hence the counting.
#[must_use]
pub fn is_within<'a>(
    signature_keys: &(impl ExactSizeIterator<Item = &'a [u8; 33]> + Clone),
    expected: &[PublicKey],
) -> bool {
    signature_keys.len() <= expected.len()
        && signature_keys.clone().enumerate().all(|(index, key)| {
            let so_far = signature_keys.clone().take(index + 1).filter(|other| *other == key).count();
            so_far <= expected.iter().filter(|member| member.as_bytes() == key).count()
        })
}

/// What verifying a request has to know.
pub struct Facts<'a, K: FnMut(&str) -> Option<PublicKey>> {
    /// The application of the request's session header, or `None` when the chain has no such application.
    pub application: Option<&'a Application>,
    /// The session grid of the *current* shared parameters, which rounds the header's end height up to a session's end.
    pub grid: Grid,
    /// The published key of an account.
    pub key_of: K,
    /// Most members a signature may have. The chain has no limit; whoever pays for verification has one.
    pub members_max: usize,
}

/// Verifies that the application of a request or one of its gateways signed it: the chain's checks in the chain's order
/// (§3.6).
///
/// # Errors
/// `rings` 2 when the request cannot be checked, `rings` 3 when its signature does not hold.
pub fn verify_request<K: FnMut(&str) -> Option<PublicKey>>(
    request: &RelayRequest,
    facts: Facts<'_, K>,
    verifier: &Verifier,
) -> Result<(), ChainError> {
    let invalid = &codes::rings::INVALID_RELAY_REQUEST;
    let meta = request.meta.as_ref();
    let header = meta.and_then(|meta| meta.session_header.as_ref()).cloned().unwrap_or_default();
    validate_header(&header).map_err(|error| invalid.wrap(format!("invalid session header: {error}")))?;

    let signature = decode(request, verifier, facts.members_max)?;

    let application_address = &header.application_address;
    let session_end = facts.grid.session_at(header.session_end_block_height).end;
    let expected = match facts.application {
        Some(application) => keys(&addresses(application, session_end), facts.key_of),
        None => Err(codes::application::NOT_FOUND
            .bare()
            .with_text(format!("{}: {application_address}", codes::application::NOT_FOUND.description))),
    };
    let expected = expected.map_err(|error| {
        invalid.wrap(format!("error getting ring for application address {application_address}: {error}"))
    })?;
    check(request, &signature, &expected, verifier)
}

/// Verifies a request against a ring already known: steps 2, 3 and 5 to 7 of §3.6, for a caller that has checked the
/// header and keeps the ring of a session.
///
/// # Errors
/// As [`verify_request`].
pub fn verify_with_ring(
    request: &RelayRequest,
    expected: &[PublicKey],
    members_max: usize,
    verifier: &Verifier,
) -> Result<(), ChainError> {
    let signature = decode(request, verifier, members_max)?;
    check(request, &signature, expected, verifier)
}

fn decode(
    request: &RelayRequest,
    verifier: &Verifier,
    members_max: usize,
) -> Result<pocket_crypto::ring::Signature, ChainError> {
    let signature = request.meta.as_ref().map_or(&[][..], |meta| &meta.signature);
    if signature.is_empty() {
        return Err(codes::rings::INVALID_RELAY_REQUEST.wrap("missing signature from relay request"));
    }
    verifier
        .decode(signature, members_max)
        .map_err(|error| codes::rings::INVALID_SIGNATURE.wrap(format!("error deserializing ring signature: {error}")))
}

fn check(
    request: &RelayRequest,
    signature: &pocket_crypto::ring::Signature,
    expected: &[PublicKey],
    verifier: &Verifier,
) -> Result<(), ChainError> {
    let invalid = &codes::rings::INVALID_SIGNATURE;
    // Before the costly part: a ring with a stranger in it need not be walked.
    if !is_subset(signature.keys(), expected) {
        let header = request.meta.as_ref().and_then(|meta| meta.session_header.as_ref());
        let application = header.map_or("", |header| header.application_address.as_str());
        return Err(invalid.wrap(format!(
            "ring signature in the relay request does not match the expected one for the app {application}"
        )));
    }
    verifier
        .verify(&request_signable_hash(request), signature)
        .map_err(|_| invalid.wrap("invalid relay request signature or bytes"))
}

fn missing_key(address: &str) -> ChainError {
    let not_found = &codes::proof::PUB_KEY_NOT_FOUND;
    not_found.bare().with_text(format!("{}: {address}", not_found.description))
}

#[cfg(test)]
mod tests {
    use pocket_crypto::keys::SecretKey;

    use super::*;

    #[test]
    fn a_ring_is_within_another_if_no_key_stands_in_it_more_often() {
        let [one, two, stranger] =
            ["one", "two", "stranger"].map(|text| SecretKey::from_secret(text.as_bytes()).public_key());
        for (keys, expected, within) in [
            (vec![one, two], vec![one, two], true),
            (vec![two, one], vec![one, two], true),
            (vec![two], vec![one, two], true),
            (vec![], vec![one, two], true),
            (vec![one, one], vec![one, two], false),
            (vec![one, two, one], vec![one, two], false),
            (vec![one, stranger], vec![one, two], false),
            (vec![one, one], vec![one, one], true),
            (vec![one, one], vec![one, two, one], true),
            (vec![two, two], vec![one, two, one], false),
        ] {
            let bytes: Vec<[u8; 33]> = keys.iter().map(|key| *key.as_bytes()).collect();
            assert_eq!(is_within(&bytes.iter(), &expected), within, "{bytes:?}");
        }
    }
}
