//! Headers on the way to the backend and back.

use pocket_proto::sdk::types::PokthttpRequest;
use pocket_runtime::http::{HeaderMap, HeaderName, HeaderValue, drop_hop_by_hop, header};

use crate::rejection::{BackendFailure, Rejection};
use crate::relay::Admitted;

/// Values of all headers that a relay may ask with. Servers take some hundred.
const VALUES_MAX: usize = 1_024;

/// Headers by which a proxy says who asked, and for what. A backend believes them, so only the operator may write them.
const OF_PROXIES: [HeaderName; 11] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("fastly-client-ip"),
    HeaderName::from_static("x-envoy-external-address"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-rewrite-url"),
];

/// The same, by their beginnings: `X-Forwarded-For` and its like, and `X-Original-URL`, which some servers serve instead
/// of the path they were asked for.
const PREFIXES_OF_PROXIES: [&str; 2] = ["x-forwarded", "x-original-"];

/// Headers of the outer request that stand in where the inner one has none.
const COPIED: [HeaderName; 3] = [header::USER_AGENT, header::CONTENT_TYPE, header::ACCEPT];

const POCKET_PREFIX: &str = "pocket-";
const POCKET_SUPPLIER: HeaderName = HeaderName::from_static("pocket-supplier");
const POCKET_SERVICE: HeaderName = HeaderName::from_static("pocket-service");
const POCKET_APPLICATION: HeaderName = HeaderName::from_static("pocket-application");

/// Returns the headers of a backend request. Later ones win: the inner request's, some of the outer request's where they
/// are absent, the outer `Pocket-*`, the settings', the forced ones.
///
/// # Errors
/// When the inner request has more headers than any server takes.
pub(crate) fn to_backend(admitted: &Admitted) -> Result<HeaderMap, Rejection> {
    let outer = &admitted.headers;
    let mut headers = of_call(&admitted.call)?;
    drop_hop_by_hop(&mut headers);
    drop_of_proxies(&mut headers);
    // The client writes these itself, from what it really sends.
    for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
        headers.remove(name);
    }
    for name in COPIED {
        if !headers.contains_key(&name)
            && let Some(value) = outer.get(&name)
        {
            headers.insert(name, value.clone());
        }
    }
    for name in outer.keys().filter(|name| name.as_str().starts_with(POCKET_PREFIX)) {
        if let Some(value) = outer.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &admitted.backend.headers {
        headers.insert(name.clone(), value.clone());
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // Who asks is what was verified, whatever the caller wrote.
    let charge = &admitted.seat.charge;
    for (name, text) in [
        (POCKET_SUPPLIER, &charge.supplier),
        (POCKET_SERVICE, &charge.service),
        (POCKET_APPLICATION, &charge.application),
    ] {
        headers.remove(&name);
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

/// Reads the headers that a caller wrote. What is no header is left out.
fn of_call(call: &PokthttpRequest) -> Result<HeaderMap, Rejection> {
    let too_many = || Rejection::Backend(BackendFailure::BadRequest);
    // Counted first: a map of headers panics beyond some 24,000 of them.
    if call.header.values().map(|header| header.values.len()).sum::<usize>() > VALUES_MAX {
        return Err(too_many());
    }
    let mut headers = HeaderMap::new();
    for (key, inner) in &call.header {
        let name = if inner.key.is_empty() { key } else { &inner.key };
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        for value in &inner.values {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.try_append(name.clone(), value).map_err(|_| too_many())?;
            }
        }
    }
    Ok(headers)
}

fn drop_of_proxies(headers: &mut HeaderMap) {
    let is_of_proxies = |name: &&HeaderName| {
        OF_PROXIES.contains(name) || PREFIXES_OF_PROXIES.iter().any(|prefix| name.as_str().starts_with(prefix))
    };
    let found: Vec<HeaderName> = headers.keys().filter(is_of_proxies).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Says what is true of a body that has been unpacked to `length` bytes.
pub(crate) fn unpacked(headers: &mut HeaderMap, length: usize) {
    headers.remove(header::CONTENT_ENCODING);
    if headers.contains_key(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpacked_body_says_its_true_length() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("41"));
        unpacked(&mut headers, 17);
        assert_eq!(headers[header::CONTENT_LENGTH], "17");
        assert!(!headers.contains_key(header::CONTENT_ENCODING));
    }
}
