//! HTTP exchanges inside relay payloads (protocol §1.2): `POKTHTTPRequest` and `POKTHTTPResponse`.
//!
//! Both are made by strangers: the one by whoever may sign for an application, the other by a supplier. So both are
//! looked through before they are decoded, and what has more headers than any HTTP server takes is refused.

use std::collections::BTreeMap;

use pocket_proto::canonical::Fields;
use pocket_proto::sdk::types::{Header, PokthttpRequest, PokthttpResponse};
use prost::Message as _;

use crate::caps::{CapError, Count, Head};

/// Headers of one exchange, each counted as often as it comes. HTTP servers take some hundred.
pub const HEADERS_MAX: usize = 256;

/// Values of all headers of one exchange.
pub const HEADER_VALUES_MAX: usize = 1_024;

/// Bytes of one exchange beside its body: method, URL, headers. HTTP servers take 8 to 64 KiB.
pub const HEAD_BYTES_MAX: usize = 128 << 10;

/// Field numbers of both messages, of the entries of their maps, and of `Header`.
const HEADERS: i32 = 2;
const REQUEST_BODY: i32 = 4;
const RESPONSE_BODY: i32 = 3;
const ENTRY_HEADER: i32 = 2;
const HEADER_VALUES: i32 = 2;

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

/// Why a payload is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It holds more than any exchange does; nothing of it was decoded.
    #[error("failed to look through an HTTP exchange")]
    Caps(#[from] CapError),
    /// It is none.
    #[error("failed to decode an HTTP exchange")]
    Decode(#[from] prost::DecodeError),
}

/// Reads the payload of a relay request.
///
/// # Errors
/// When the bytes are no `POKTHTTPRequest`, or one beyond [`HEADERS_MAX`], [`HEADER_VALUES_MAX`] or [`HEAD_BYTES_MAX`].
pub fn decode_request(payload: &[u8]) -> Result<PokthttpRequest, PayloadError> {
    check(payload, REQUEST_BODY)?;
    Ok(PokthttpRequest::decode(payload)?)
}

/// Reads the payload of a relay response.
///
/// # Errors
/// As [`decode_request`], of a `POKTHTTPResponse`.
pub fn decode_response(payload: &[u8]) -> Result<PokthttpResponse, PayloadError> {
    check(payload, RESPONSE_BODY)?;
    Ok(PokthttpResponse::decode(payload)?)
}

/// Counts what decoding would make objects of.
fn check(payload: &[u8], body: i32) -> Result<(), CapError> {
    let mut head = Head::of(body, Count::up_to(HEAD_BYTES_MAX, "bytes beside its body"));
    let mut headers = Count::up_to(HEADERS_MAX, "headers");
    let mut values = Count::up_to(HEADER_VALUES_MAX, "values of headers");
    for field in Fields::of(payload) {
        let field = field?;
        head.add(field.number, field.length)?;
        if let (HEADERS, Some(entry)) = (field.number, field.bytes) {
            headers.add(1)?;
            count_values(entry, &mut values)?;
        }
    }
    Ok(())
}

fn count_values(entry: &[u8], values: &mut Count) -> Result<(), CapError> {
    for field in Fields::of(entry) {
        // A second header in one entry is merged with the first.
        if let (ENTRY_HEADER, Some(header)) = field.map(|field| (field.number, field.bytes))? {
            for field in Fields::of(header) {
                values.add(usize::from(field?.number == HEADER_VALUES))?;
            }
        }
    }
    Ok(())
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

    /// A payload of `count` entries, each of these bytes.
    fn entries(count: usize, entry: &[u8]) -> Vec<u8> {
        let length = u8::try_from(entry.len()).expect("short");
        [&[0x12, length][..], entry].concat().repeat(count)
    }

    #[track_caller]
    fn check_both(payload: &[u8], over: Option<&str>) {
        let what = |error: PayloadError| match error {
            PayloadError::Caps(CapError::Over { what, .. }) => what,
            other => panic!("{other}"),
        };
        assert_eq!(decode_request(payload).map_err(what).err(), over);
        assert_eq!(decode_response(payload).map_err(what).err(), over);
    }

    #[test]
    fn headers_are_counted_before_they_are_decoded() {
        check_both(&entries(HEADERS_MAX, b""), None);
        check_both(&entries(HEADERS_MAX + 1, b""), Some("headers"));
        check_both(&entries(5 << 20, b""), Some("headers"));
    }

    #[test]
    fn values_are_counted_wherever_they_hide() {
        // Entries whose header has four values; entries with the same header in two parts.
        let four: &[u8] = &[0x12, 8, 0x12, 0, 0x12, 0, 0x12, 0, 0x12, 0];
        let parts: &[u8] = &[0x12, 4, 0x12, 0, 0x12, 0, 0x12, 4, 0x12, 0, 0x12, 0];
        for entry in [four, parts] {
            check_both(&entries(HEADER_VALUES_MAX / 4, entry), None);
            let one_more = [
                entries(HEADER_VALUES_MAX / 4 - 1, entry),
                entries(1, &[0x12, 10, 0x12, 0, 0x12, 0, 0x12, 0, 0x12, 0, 0x12, 0]),
            ];
            check_both(&one_more.concat(), Some("values of headers"));
        }
    }

    #[test]
    fn all_but_the_last_body_counts_as_head() {
        let url = |length| request("GET", &"/".repeat(length), Headers::new(), vec![0; 1 << 20]);
        let beside = request_payload(&request("GET", "", Headers::new(), Vec::new())).len() + 4;
        assert!(decode_request(&request_payload(&url(HEAD_BYTES_MAX - beside))).is_ok());
        assert!(decode_request(&request_payload(&url(HEAD_BYTES_MAX - beside + 1))).is_err());
        // The first body is replaced by the second.
        let twice = request_payload(&request("", "", Headers::new(), vec![0; HEAD_BYTES_MAX])).repeat(2);
        assert!(decode_request(&twice).is_err());
    }

    proptest::proptest! {
        #[test]
        fn what_is_decoded_is_within_the_caps(
            pieces in proptest::collection::vec(
                (0_usize..600, proptest::collection::vec(proptest::num::u8::ANY, 0..40)),
                0..6,
            ),
        ) {
            // Well-formed entries with anything inside, many times over.
            let payload: Vec<u8> = pieces.iter().flat_map(|(count, entry)| entries(*count, entry)).collect();
            if let Ok(request) = decode_request(&payload) {
                let values: usize = request.header.values().map(|header| header.values.len()).sum();
                proptest::prop_assert!(request.header.len() <= HEADERS_MAX && values <= HEADER_VALUES_MAX);
            }
        }

        #[test]
        fn anything_is_read_or_refused(payload in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            // What the decoder takes and the caps allow comes out as the decoder reads it.
            match decode_request(&payload) {
                Ok(request) => proptest::prop_assert_eq!(Ok(request), PokthttpRequest::decode(&payload[..])),
                Err(PayloadError::Decode(_)) => proptest::prop_assert!(PokthttpRequest::decode(&payload[..]).is_err()),
                Err(PayloadError::Caps(_)) => {}
            }
        }
    }
}
