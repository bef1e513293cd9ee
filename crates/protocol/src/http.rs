//! HTTP exchanges inside relay payloads (protocol §1.2): `POKTHTTPRequest` and `POKTHTTPResponse`.

use std::collections::BTreeMap;

use pocket_proto::sdk::types::{Header, PokthttpRequest, PokthttpResponse};
use prost::Message as _;

/// Headers as both messages hold them: by canonical name, values in the order they came.
pub type Headers = BTreeMap<String, Header>;

/// Returns the canonical form of a header name, as Go has it: `content-type` becomes `Content-Type`. A name with a
/// character that no header name may have is returned as it is.
#[must_use]
pub fn canonical_name(name: &str) -> String {
    if !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut canonical = String::with_capacity(name.len());
    let mut starts_word = true;
    for character in name.chars() {
        canonical.push(if starts_word { character.to_ascii_uppercase() } else { character.to_ascii_lowercase() });
        starts_word = character == '-';
    }
    canonical
}

/// Collects headers, given one value at a time in any spelling.
#[must_use]
pub fn headers<N: AsRef<str>, V: Into<String>>(values: impl IntoIterator<Item = (N, V)>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in values {
        let key = canonical_name(name.as_ref());
        headers
            .entry(key)
            .or_insert_with_key(|key| Header { key: key.clone(), values: Vec::new() })
            .values
            .push(value.into());
    }
    headers
}

/// Returns the first value of a header, asked for in any spelling.
#[must_use]
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.get(&canonical_name(name))?.values.first().map(String::as_str)
}

/// Builds a request. `url` is the whole URL: the supplier keeps its path and query and puts its backend before them.
#[must_use]
pub fn request(method: &str, url: &str, headers: Headers, body: Vec<u8>) -> PokthttpRequest {
    PokthttpRequest { method: method.to_owned(), header: headers, url: url.to_owned(), body_bz: body }
}

/// Builds a response with the backend's status.
#[must_use]
pub fn response(status: u16, headers: Headers, body: Vec<u8>) -> PokthttpResponse {
    PokthttpResponse { status_code: u32::from(status), header: headers, body_bz: body }
}

/// Returns the payload of a relay request.
#[must_use]
pub fn request_payload(request: &PokthttpRequest) -> Vec<u8> {
    request.encode_to_vec()
}

/// Returns the payload of a relay response.
#[must_use]
pub fn response_payload(response: &PokthttpResponse) -> Vec<u8> {
    response.encode_to_vec()
}

/// Reads the payload of a relay request.
///
/// # Errors
/// When the bytes are no `POKTHTTPRequest`.
pub fn decode_request(payload: &[u8]) -> Result<PokthttpRequest, prost::DecodeError> {
    PokthttpRequest::decode(payload)
}

/// Reads the payload of a relay response.
///
/// # Errors
/// When the bytes are no `POKTHTTPResponse`.
pub fn decode_response(payload: &[u8]) -> Result<PokthttpResponse, prost::DecodeError> {
    PokthttpResponse::decode(payload)
}

/// RFC 9110's token characters.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_go_spells_them() {
        for (name, canonical) in [
            ("content-type", "Content-Type"),
            ("X-FORWARDED-for", "X-Forwarded-For"),
            ("rpc-TYPE", "Rpc-Type"),
            ("etag", "Etag"),
            ("not a token", "not a token"),
            ("", ""),
            ("a--b", "A--B"),
        ] {
            assert_eq!(canonical_name(name), canonical);
        }
    }

    #[test]
    fn values_of_one_header_stay_in_order() {
        let headers = headers([("set-cookie", "b"), ("Accept", "x"), ("Set-Cookie", "a")]);
        assert_eq!(headers["Set-Cookie"].values, ["b", "a"]);
        assert_eq!(header(&headers, "ACCEPT"), Some("x"));
        assert_eq!(header(&headers, "absent"), None);
    }

    #[test]
    fn payloads_come_back_as_they_were_built() {
        let request = request("POST", "http://x.example/a?b", headers([("a", "b")]), b"body".to_vec());
        assert_eq!(decode_request(&request_payload(&request)), Ok(request));
        let response = response(204, Headers::new(), Vec::new());
        assert_eq!(decode_response(&response_payload(&response)), Ok(response));
    }
}
