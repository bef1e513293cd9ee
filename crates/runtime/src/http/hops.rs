//! Headers that speak of one connection and not of the message on it.

use http::header::{self, HeaderMap, HeaderName};

/// Headers that concern one connection only (RFC 9110 §7.6.1), and those that proxies treat so.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Takes out what must not be passed on from one connection to another: what concerns the first only, and whatever its
/// `Connection` headers name.
pub fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(given: &[(&'static str, &'static [u8])], kept: &[&str]) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_bytes(value).expect("a value"));
        }
        drop_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), kept);
    }

    #[test]
    fn headers_of_one_connection_are_dropped() {
        check(&[("te", b"trailers"), ("x-kept", b"1"), ("proxy-connection", b"close")], &["x-kept"]);
    }

    #[test]
    fn whatever_any_connection_header_names_is_dropped() {
        let first: (&str, &[u8]) = ("connection", b" X-One ,close");
        let second: (&str, &[u8]) = ("connection", b"\xff, x-two,,x three");
        check(&[first, ("x-one", b"1"), second, ("x-two", b"2"), ("x-three", b"3")], &["x-three"]);
    }
}
