//! Relays: what is checked on them, hashed, signed and counted (protocol §2).
//!
//! A request is read ([`read_request`], where strangers send it), checked ([`validate_request`]) and hashed ([`request_signable_hash`]) for its
//! ring signature; the answer is hashed and signed ([`sign_response`]); both together, without the answer's payload,
//! are what the trie counts ([`stored_relay`]).
//!
//! Encoding here is the chain's, not prost's: `meta` is always written, fields ascend; what a hash leaves out is left
//! out without copying the message. Decoding is `pocket_proto::canonical`'s, which accepts what the chain accepts.

mod encode;

mod validate;

pub use pocket_proto::canonical::{WireError, decode_relay, decode_request, decode_response};
pub use validate::{validate_header, validate_request, validate_response};

use bytes::Bytes;
use pocket_crypto::hash::sha256;
use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_crypto::smst;
use pocket_proto::canonical::Fields;
use pocket_proto::pocket::service::{RelayRequest, RelayResponse, RelayResponseMetadata};
use sha2::{Digest, Sha256};

use crate::caps::{CapError, Count, Head};
use crate::error::{ChainError, codes};
use encode::{Request, Response};

/// Bytes of a request beside its payload: session header, supplier, and a ring signature, of which 32 members take 2 KiB.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 << 10;

/// Field number of a request's payload.
const REQUEST_PAYLOAD: i32 = 2;

/// Reads a request that a stranger sent, as [`decode_request`] does, but only if what is to be copied of it is little:
/// the payload shares `bytes`.
///
/// # Errors
/// [`CapError`]: beyond [`REQUEST_HEAD_BYTES_MAX`], and whatever the chain refuses.
pub fn read_request(bytes: &Bytes) -> Result<RelayRequest, CapError> {
    let mut head = Head::of(REQUEST_PAYLOAD, Count::up_to(REQUEST_HEAD_BYTES_MAX, "bytes beside its payload"));
    for field in Fields::of(bytes) {
        let field = field?;
        head.add(field.number, field.length)?;
    }
    Ok(decode_request(bytes)?)
}

/// Returns the bytes that a request's ring signature vouches for (§2.1): the request without its signature.
#[must_use]
pub fn request_signable_bytes(request: &RelayRequest) -> Vec<u8> {
    Request { signature: &[], ..Request::of(request) }.to_bytes()
}

/// Returns the SHA-256 of [`request_signable_bytes`]: the message of the ring signature.
///
/// The payload is hashed where it lies, not copied.
#[must_use]
pub fn request_signable_hash(request: &RelayRequest) -> [u8; 32] {
    let parts = Request { signature: &[], ..Request::of(request) };
    let mut hasher = Sha256::new_with_prefix(parts.head());
    hasher.update(parts.payload);
    hasher.finalize().into()
}

/// Returns a request's own bytes, as the chain encodes it.
#[must_use]
pub fn request_bytes(request: &RelayRequest) -> Vec<u8> {
    Request::of(request).to_bytes()
}

/// Returns the bytes that a supplier's signature vouches for (§2.1): the response without the signature and, when it
/// has a payload hash, without the payload.
#[must_use]
pub fn response_signable_bytes(response: &RelayResponse) -> Vec<u8> {
    let parts = Response { signature: &[], ..Response::of(response) };
    let payload = if response.payload_hash.is_empty() { parts.payload } else { &[] };
    Response { payload, ..parts }.to_bytes()
}

/// Returns the SHA-256 of [`response_signable_bytes`].
#[must_use]
pub fn response_signable_hash(response: &RelayResponse) -> [u8; 32] {
    sha256(&response_signable_bytes(response))
}

/// Returns a response's own bytes, as the chain encodes it and as a gateway receives it.
#[must_use]
pub fn response_bytes(response: &RelayResponse) -> Vec<u8> {
    Response::of(response).to_bytes()
}

/// Returns the hash of a response's payload, SHA-256 (§2.1).
#[must_use]
pub fn payload_hash(payload: &[u8]) -> [u8; 32] {
    sha256(payload)
}

/// Returns the supplier's signature over a response as it stands, whatever its form.
#[must_use]
pub fn supplier_signature(response: &RelayResponse, supplier: &SecretKey) -> [u8; 64] {
    // The key type hashes its input: what the curve signs is the SHA-256 of the signable hash (§2.3).
    supplier.sign(&response_signable_hash(response))
}

/// Sets a response's payload hash and signs it with the supplier's operator key (§2.3). Signing is deterministic.
///
/// The session header, payload and error must be in place; a later change of any of them breaks the signature.
pub fn sign_response(response: &mut RelayResponse, supplier: &SecretKey) {
    response.payload_hash = Bytes::copy_from_slice(&payload_hash(&response.payload));
    let signature = supplier_signature(response, supplier);
    response.meta.get_or_insert_with(RelayResponseMetadata::default).supplier_operator_signature =
        Bytes::copy_from_slice(&signature);
}

/// Verifies the supplier's signature over a response (§2.3). Does not look at the payload where there is a payload hash:
/// a gateway also asks [`payload_matches_hash`].
///
/// # Errors
/// `service` 1110 for a signature that is missing, of the wrong length, in high-s form or somebody else's.
pub fn verify_response(response: &RelayResponse, operator_key: &PublicKey) -> Result<(), ChainError> {
    let signature = response.meta.as_ref().map_or(&[][..], |meta| &meta.supplier_operator_signature);
    operator_key
        .verify(&response_signable_hash(response), signature)
        .map_err(|_| codes::service::INVALID_RELAY_RESPONSE.wrap("invalid signature"))
}

/// Tells whether a response's payload is the one its hash names; `true` for the old form without a hash, whose payload
/// is covered by the signature itself.
#[must_use]
pub fn payload_matches_hash(response: &RelayResponse) -> bool {
    response.payload_hash.is_empty() || response.payload_hash[..] == payload_hash(&response.payload)
}

/// A relay as the trie counts it and the chain may ask to see it (§2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRelay {
    /// `Relay{req, res}`, without the response's payload where its hash is there: the leaf's value.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes: compared with the difficulty target, and the leaf's key.
    pub hash: [u8; 32],
}

impl StoredRelay {
    /// Returns the relay of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { hash: sha256(&bytes), bytes }
    }

    /// Returns where its leaf lives in the trie: SHA-256 of the hash.
    #[must_use]
    pub fn path(&self) -> smst::Path {
        smst::path_of(&self.hash)
    }
}

/// Returns the relay of a request and its signed response, in the form that the trie counts.
///
/// The payload is left out where its hash stands for it. A response of the old form, without a payload hash, keeps its
/// payload: the supplier's signature could not be checked without it.
#[must_use]
pub fn stored_relay(request: &RelayRequest, response: &RelayResponse) -> StoredRelay {
    let response = Response::of(response);
    let payload = if response.payload_hash.is_empty() { response.payload } else { &[] };
    StoredRelay::from_bytes(encode::relay(&Request::of(request), &Response { payload, ..response }))
}

/// Returns the bytes of a whole relay, the response's payload included: the form before v0.1.25.
#[must_use]
pub fn full_relay_bytes(request: &RelayRequest, response: &RelayResponse) -> Vec<u8> {
    encode::relay(&Request::of(request), &Response::of(response))
}
