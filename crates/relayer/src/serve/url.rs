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

/// Takes out empty and dot segments. A slash at the end stays: some servers mean something by it.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let ends_with_slash = path.ends_with('/') && !kept.is_empty();
    format!("/{}{}", kept.join("/"), if ends_with_slash { "/" } else { "" })
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
