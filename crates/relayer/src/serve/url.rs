//! Where a request goes: scheme and host of the backend, path and query of both (relayer §1.4.2).

use std::fmt::{self, Write as _};

/// An endpoint's URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    is_tls: bool,
    /// `host:port`, without credentials.
    authority: String,
    /// Path put before that of every request, without a slash at its end.
    prefix: String,
    query: Option<String>,
    /// `user:password` of the URL.
    pub(crate) userinfo: Option<String>,
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither credentials nor a query, which may hold a key.
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.prefix)
    }
}

impl Base {
    const fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// Takes a URL apart; none for one that does not speak HTTP, such as `ws://` or a bare `host:port`.
    ///
    /// A `base_path` replaces the URL's own path.
    pub(crate) fn parse(url: &str, base_path: Option<&str>) -> Result<Option<Self>, String> {
        let Some((scheme, rest)) = url.split_once("://") else { return Ok(None) };
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Ok(None),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let (userinfo, authority) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        if authority.is_empty() {
            return Err("the URL names no host".to_owned());
        }
        let prefix = base_path.filter(|path| !path.trim_matches('/').is_empty()).unwrap_or(path);
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { clean(&format!("/{prefix}")) };
        Ok(Some(Self {
            is_tls,
            authority: authority.to_owned(),
            prefix,
            query: query.filter(|query| !query.is_empty()).map(str::to_owned),
            userinfo: userinfo.map(str::to_owned),
        }))
    }
}

/// Returns the URL of a request: `asked` is the URL inside the relay, of which only path and query count.
pub(crate) fn join(base: &Base, asked: &str) -> String {
    let asked = asked.split('#').next().unwrap_or(asked);
    let asked = match asked.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => &rest[rest.find(['/', '?']).unwrap_or(rest.len())..],
        _ => asked,
    };
    let (path, query) = asked.split_once('?').map_or((asked, ""), |(path, query)| (path, query));
    let mut url = format!("{}://{}", base.scheme(), base.authority);
    push_escaped(&mut url, &merge(&base.prefix, path));
    let queries = [base.query.as_deref().unwrap_or_default(), query].into_iter().filter(|query| !query.is_empty());
    for (at, query) in queries.enumerate() {
        url.push(if at == 0 { '?' } else { '&' });
        push_escaped(&mut url, query);
    }
    url
}

/// Joins prefix and path; a path that has the prefix already keeps it once.
fn merge(prefix: &str, path: &str) -> String {
    if path.is_empty() || path == "/" {
        return if prefix.is_empty() { "/".to_owned() } else { prefix.to_owned() };
    }
    // Cleaned before joining, so that no path climbs above the prefix.
    let path = clean(path);
    let has_prefix = path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if prefix.is_empty() || has_prefix { path } else { format!("{prefix}{path}") }
}

/// Takes out empty and dot segments, whichever way they are written. A slash at the end stays: some servers mean
/// something by it.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        let parts = parts(segment);
        if parts.iter().all(|part| dots(part) == 0) {
            // An escaped slash may be part of a name, as in `ibc%2FABC`.
            keep(&mut kept, segment);
        } else {
            for part in parts {
                keep(&mut kept, part);
            }
        }
    }
    let ends_with_slash = path.ends_with('/') && !kept.is_empty();
    format!("/{}{}", kept.join("/"), if ends_with_slash { "/" } else { "" })
}

fn keep<'a>(kept: &mut Vec<&'a str>, segment: &'a str) {
    match dots(segment) {
        0 if segment.is_empty() => {}
        0 => kept.push(segment),
        1 => {}
        _ => drop(kept.pop()),
    }
}

/// Splits a segment where some server sees a slash: at a backslash, and at either, escaped.
fn parts(segment: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = segment;
    let mut at = 0;
    while at < rest.len() {
        let (byte, length) = decoded(&rest.as_bytes()[at..]);
        if matches!(byte, b'/' | b'\\') {
            parts.push(&rest[..at]);
            rest = &rest[at + length..];
            at = 0;
        } else {
            at += length;
        }
    }
    parts.push(rest);
    parts
}

/// Returns how many dots a segment is: one or two, escaped or not; 0 if it is anything else. What follows a semicolon is
/// a parameter, which some servers cut off.
fn dots(segment: &str) -> usize {
    let mut rest = segment.as_bytes();
    let mut count = 0;
    while !rest.is_empty() {
        match decoded(rest) {
            (b'.', length) if count < 2 => rest = &rest[length..],
            (b';', _) => return count,
            _ => return 0,
        }
        count += 1;
    }
    count
}

/// Returns the first byte of a text, and how many bytes it is written with. Unescaped once, as a server does: what is
/// still escaped then is a name.
fn decoded(text: &[u8]) -> (u8, usize) {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    match (text[0], digit(1), digit(2)) {
        (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'%'), 3),
        (byte, ..) => (byte, 1),
    }
}

/// Escapes what no request line may hold.
fn push_escaped(url: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..=0x20 | 0x7f.. => {
                let _ = write!(url, "%{byte:02X}");
            }
            byte => url.push(char::from(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[track_caller]
    fn check(backend: &str, base_path: Option<&str>, asked: &str, expected: &str) {
        let base = Base::parse(backend, base_path).expect("a URL").expect("plain HTTP");
        assert_eq!(join(&base, asked), expected);
    }

    #[test]
    fn path_and_query_come_from_the_request_and_the_rest_from_the_backend() {
        check("http://b:1", None, "http://elsewhere.example/x/y?z=1", "http://b:1/x/y?z=1");
        check("http://b:1", None, "", "http://b:1/");
        check("http://b:1", None, "/", "http://b:1/");
        check("http://b:1", None, "http://elsewhere.example", "http://b:1/");
        check("http://b:1", None, "http://elsewhere.example?q=1", "http://b:1/?q=1");
        check("https://b", None, "/x", "https://b/x");
        check("http://b:1", None, "/go?to=http://c", "http://b:1/go?to=http://c");
    }

    #[test]
    fn a_prefix_is_put_before_once() {
        check("http://b/v1/", None, "/x", "http://b/v1/x");
        check("http://b/v1", None, "/v1/x", "http://b/v1/x");
        check("http://b/v1", None, "/v10/x", "http://b/v1/v10/x");
        check("http://b/v1", None, "/", "http://b/v1");
        check("http://b/v1", Some("/v2"), "/x", "http://b/v2/x");
        check("http://b/v1", Some("/"), "/x", "http://b/v1/x");
    }

    #[test]
    fn a_path_is_cleaned_and_never_climbs_above_the_prefix() {
        check("http://b", None, "http://e/x/multi//a/../b?z=1", "http://b/x/multi/b?z=1");
        check("http://b/v1", None, "/../../secret", "http://b/v1/secret");
        check("http://b/v1", None, "/a/", "http://b/v1/a/");
    }

    #[rstest]
    #[case::plain("/../../secret", "/secret")]
    #[case::both_escaped("/%2e%2E/secret", "/secret")]
    #[case::first_escaped("/%2e./secret", "/secret")]
    #[case::second_escaped("/.%2E/secret", "/secret")]
    #[case::one_dot("/%2e/./a", "/a")]
    #[case::escaped_slash("/..%2f..%2Fsecret", "/secret")]
    #[case::backslash("/..\\..\\secret", "/secret")]
    #[case::escaped_backslash("/..%5c..%5Csecret", "/secret")]
    #[case::behind_a_name("/a%2f..%2f..%5csecret", "/secret")]
    #[case::behind_the_prefix("/v1/%2e%2e/secret", "/secret")]
    #[case::behind_the_escaped_prefix("/v1%2f..%2f..%2fsecret", "/secret")]
    #[case::with_parameters("/..;a=b/.%2e%3Bc/secret", "/secret")]
    #[case::at_the_end("/a/b/%2e%2e", "/a")]
    #[case::nothing_left("/%2e%2e", "/")]
    #[case::behind_a_host("http://e/%2e%2e/secret", "/secret")]
    #[case::escaped_twice("/%252e%252e/secret", "/%252e%252e/secret")]
    #[case::escaped_slash_twice("/..%252fsecret", "/..%252fsecret")]
    #[case::three_dots("/.../secret", "/.../secret")]
    #[case::a_name_with_dots("/..a/a../%2e%2ea", "/..a/a../%2e%2ea")]
    #[case::no_escape("/%2/%zz/%", "/%2/%zz/%")]
    #[case::a_slash_in_a_name("/denoms/ibc%2FABC", "/denoms/ibc%2FABC")]
    #[case::a_parameter("/a;b/c", "/a;b/c")]
    fn no_spelling_of_dots_climbs_above_the_prefix(#[case] asked: &str, #[case] below: &str) {
        check("http://b/v1", None, asked, &format!("http://b/v1{below}"));
        check("http://b", Some("/v1"), asked, &format!("http://b/v1{below}"));
    }

    #[test]
    fn queries_of_both_are_kept() {
        check("http://b/p?key=k", None, "/x?a=1", "http://b/p/x?key=k&a=1");
        check("http://b?key=k", None, "/", "http://b/?key=k");
    }

    #[test]
    fn what_no_request_line_may_hold_is_escaped() {
        check("http://b", None, "/a b/\u{fc}?q={}\r\n", "http://b/a%20b/%C3%BC?q=%7B%7D%0D%0A");
        check("http://b", None, "/a%20b", "http://b/a%20b");
    }

    #[test]
    fn credentials_of_a_url_are_taken_out_of_it() {
        let base = Base::parse("http://user:pass@b:1/x", None).expect("a URL").expect("plain HTTP");
        assert_eq!(base.userinfo.as_deref(), Some("user:pass"));
        assert_eq!(join(&base, "/y"), "http://b:1/x/y");
    }

    #[test]
    fn what_is_not_http_has_no_base() {
        assert_eq!(Base::parse("ws://b/ws", None), Ok(None));
        assert_eq!(Base::parse("localhost:50151", None), Ok(None));
        assert!(Base::parse("http:///x", None).is_err());
    }
}
