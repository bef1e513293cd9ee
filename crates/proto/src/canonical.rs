//! Relay messages in exactly the chain's bytes.
//!
//! Verifiers hash what they decoded and encoded again, so decoding must accept what the chain accepts, and encoding must write what it
//! writes (protocol 0.4). [`decode_request`] and its like go the quick way, which refuses a few things the chain accepts, and fall back
//! to a [`wire`] reader that follows the chain's to the letter; [`encode_request`] and its like write the metadata even when absent.
//!
//! One thing cannot be carried by the types: text that is not UTF-8, which the chain accepts. It is decoded with U+FFFD in its place.
//! No such request or relay passes validation (no address, service id or session id has such bytes), except for the texts of a
//! [`RelayMinerError`](crate::pocket::service::RelayMinerError). Where the exact bytes matter even then, [`remarshal_request`] and its
//! like give what the chain would write.

use bytes::Bytes;
use prost::Message;

use crate::pocket::service::{Relay, RelayRequest, RelayResponse};

mod fields;
pub mod wire;

pub use fields::{Field, Fields};
pub use wire::WireError;

/// Tag and length of an embedded message in field 1 that is present and empty.
const EMPTY_META: [u8; 2] = [0x0a, 0x00];
/// Tags of `Relay.req` and `Relay.res`.
const RELAY_REQ_TAG: u8 = 0x0a;
const RELAY_RES_TAG: u8 = 0x12;

/// Decodes a request as the chain does; `meta` is always present afterwards. The payload and the signature share `bytes`.
///
/// # Errors
/// Whatever the chain refuses: truncation, wrong wire types of known fields, field number 0, stray end-groups, overlong varints.
pub fn decode_request(bytes: &Bytes) -> Result<RelayRequest, WireError> {
    let mut request: RelayRequest = decode(bytes, &wire::RELAY_REQUEST)?;
    request.meta.get_or_insert_default();
    Ok(request)
}

/// Decodes a response as the chain does; `meta` is always present afterwards. Payload, hash and signature share `bytes`.
///
/// # Errors
/// See [`decode_request`].
pub fn decode_response(bytes: &Bytes) -> Result<RelayResponse, WireError> {
    let mut response: RelayResponse = decode(bytes, &wire::RELAY_RESPONSE)?;
    response.meta.get_or_insert_default();
    Ok(response)
}

/// Decodes a relay as the chain does; `meta` of a request and a response that are present is present afterwards.
///
/// # Errors
/// See [`decode_request`].
pub fn decode_relay(bytes: &Bytes) -> Result<Relay, WireError> {
    let mut relay: Relay = decode(bytes, &wire::RELAY)?;
    if let Some(request) = &mut relay.req {
        request.meta.get_or_insert_default();
    }
    if let Some(response) = &mut relay.res {
        response.meta.get_or_insert_default();
    }
    Ok(relay)
}

/// Encodes a request as the chain does, with its metadata even when `None`.
pub fn encode_request(request: &RelayRequest) -> Vec<u8> {
    let mut out = Vec::with_capacity(request_len(request));
    write_request(request, &mut out);
    out
}

/// Encodes a response as the chain does, with its metadata even when `None`.
pub fn encode_response(response: &RelayResponse) -> Vec<u8> {
    let mut out = Vec::with_capacity(response_len(response));
    write_response(response, &mut out);
    out
}

/// Encodes a relay as the chain does, with the metadata of its request and response even when `None`.
pub fn encode_relay(relay: &Relay) -> Vec<u8> {
    let request = relay.req.as_ref().map(|request| (request, request_len(request)));
    let response = relay.res.as_ref().map(|response| (response, response_len(response)));
    let delimited = |len: usize| 1 + prost::length_delimiter_len(len) + len;
    let capacity = request.map_or(0, |(_, len)| delimited(len)) + response.map_or(0, |(_, len)| delimited(len));
    let mut out = Vec::with_capacity(capacity);
    if let Some((request, len)) = request {
        out.push(RELAY_REQ_TAG);
        write_length(len, &mut out);
        write_request(request, &mut out);
    }
    if let Some((response, len)) = response {
        out.push(RELAY_RES_TAG);
        write_length(len, &mut out);
        write_response(response, &mut out);
    }
    out
}

/// Returns what the chain would write after reading these bytes of a request: exact even for text that is not UTF-8.
///
/// # Errors
/// See [`decode_request`].
pub fn remarshal_request(bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    wire::remarshal(&wire::RELAY_REQUEST, bytes)
}

/// Returns what the chain would write after reading these bytes of a response: exact even for text that is not UTF-8.
///
/// # Errors
/// See [`decode_request`].
pub fn remarshal_response(bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    wire::remarshal(&wire::RELAY_RESPONSE, bytes)
}

/// Returns what the chain would write after reading these bytes of a relay: exact even for text that is not UTF-8.
///
/// # Errors
/// See [`decode_request`].
pub fn remarshal_relay(bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    wire::remarshal(&wire::RELAY, bytes)
}

fn decode<M: Message + Default>(bytes: &Bytes, schema: &'static wire::Schema) -> Result<M, WireError> {
    // What this accepts, the chain accepts with the same meaning; only its refusals need a second look.
    if let Ok(message) = M::decode(bytes.clone()) {
        return Ok(message);
    }
    let plain = wire::remarshal_as_utf8(schema, bytes)?;
    Ok(M::decode(Bytes::from(plain)).expect("canonical bytes with valid UTF-8 decode"))
}

fn request_len(request: &RelayRequest) -> usize {
    request.encoded_len() + if request.meta.is_none() { EMPTY_META.len() } else { 0 }
}

fn response_len(response: &RelayResponse) -> usize {
    response.encoded_len() + if response.meta.is_none() { EMPTY_META.len() } else { 0 }
}

fn write_request(request: &RelayRequest, out: &mut Vec<u8>) {
    if request.meta.is_none() {
        out.extend_from_slice(&EMPTY_META);
    }
    request.encode(out).expect("a vector grows");
}

fn write_response(response: &RelayResponse, out: &mut Vec<u8>) {
    if response.meta.is_none() {
        out.extend_from_slice(&EMPTY_META);
    }
    response.encode(out).expect("a vector grows");
}

fn write_length(len: usize, out: &mut Vec<u8>) {
    prost::encode_length_delimiter(len, out).expect("a vector grows");
}
