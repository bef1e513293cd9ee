//! Headers on the way to the backend and back.

use pocket_runtime::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::relay::Admitted;

/// Headers that speak of one connection, not of the message (RFC 9110 §7.6.1), and those that the client writes itself.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers of the outer request that stand in where the inner one has none.
const COPIED: [HeaderName; 3] = [header::USER_AGENT, header::CONTENT_TYPE, header::ACCEPT];

const POCKET_PREFIX: &str = "pocket-";
const POCKET_SUPPLIER: HeaderName = HeaderName::from_static("pocket-supplier");
const POCKET_SERVICE: HeaderName = HeaderName::from_static("pocket-service");
const POCKET_APPLICATION: HeaderName = HeaderName::from_static("pocket-application");

/// Returns the headers of a backend request. Later ones win: the inner request's, some of the outer request's where they
/// are absent, the outer `Pocket-*`, the settings', the forced ones.
pub(crate) fn to_backend(admitted: &Admitted) -> HeaderMap {
    let (call, outer) = (&admitted.call, &admitted.headers);
    let mut headers = HeaderMap::with_capacity(call.header.len() + 8);
    for (key, inner) in &call.header {
        let name = if inner.key.is_empty() { key } else { &inner.key };
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        for value in &inner.values {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(name.clone(), value);
            }
        }
    }
    drop_hop_by_hop(&mut headers);
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
    headers
}

/// Takes out what concerned one connection only, and what `Connection` names.
pub(crate) fn drop_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(connection) = headers.get(header::CONNECTION).cloned() {
        for name in connection.to_str().unwrap_or_default().split(',') {
            headers.remove(name.trim());
        }
    }
    for name in &HOP_BY_HOP {
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
    fn headers_of_one_connection_are_dropped() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "X-Private, close"), ("x-private", "1"), ("te", "trailers"), ("x-kept", "1")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        drop_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }

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
