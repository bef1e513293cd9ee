//! Pages of answers: by key or by offset, with a limit and, when asked for, a total.

use pocket_proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use tonic::Status;

/// Entries of a page when the request does not say.
const LIMIT_DEFAULT: u64 = 100;
/// Most entries of a page, whatever the request says, so that an answer stays below what clients take.
const LIMIT_MAX: u64 = 10_000;

/// Cuts one page out of entries that come in the order of their keys.
///
/// A request without a limit is also answered with the total, as the node does.
pub(super) fn cut<T>(
    entries: impl Iterator<Item = (Vec<u8>, T)>,
    request: Option<PageRequest>,
) -> Result<(Vec<T>, PageResponse), Status> {
    let request = request.unwrap_or_default();
    if request.offset > 0 && !request.key.is_empty() {
        return Err(Status::internal("invalid request, either offset or key is expected, got both"));
    }
    let count_total = request.count_total || request.limit == 0;
    let limit = if request.limit == 0 { LIMIT_DEFAULT } else { request.limit.min(LIMIT_MAX) };
    let mut entries: Vec<(Vec<u8>, T)> = entries.collect();
    if request.reverse {
        entries.reverse();
    }
    let total = entries.len();
    let by_key = !request.key.is_empty();
    let skipped = if by_key {
        let before = |key: &[u8]| if request.reverse { *key > *request.key } else { *key < *request.key };
        entries.iter().take_while(|(key, _)| before(key)).count()
    } else {
        usize::try_from(request.offset).unwrap_or(usize::MAX)
    };
    let mut rest = entries.into_iter().skip(skipped);
    let page: Vec<T> =
        rest.by_ref().take(usize::try_from(limit).unwrap_or(usize::MAX)).map(|(_, entry)| entry).collect();
    let next_key = rest.next().map(|(key, _)| key).unwrap_or_default();
    let total = if count_total && !by_key { total as u64 } else { 0 };
    Ok((page, PageResponse { next_key, total }))
}

/// Returns the key that the chain's stores give to a text.
pub(super) fn key(text: &str) -> Vec<u8> {
    let mut key = text.as_bytes().to_vec();
    key.push(b'/');
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: Option<PageRequest>, page: &[u32], next: &str, total: u64) {
        let entries = [("a", 1), ("b", 2), ("c", 3), ("d", 4)].map(|(name, entry)| (key(name), entry));
        let (found, response) = cut(entries.into_iter(), request).expect("a page");
        assert_eq!(found, page);
        assert_eq!((String::from_utf8_lossy(&response.next_key).as_ref(), response.total), (next, total));
    }

    fn limited(limit: u64) -> PageRequest {
        PageRequest { limit, ..PageRequest::default() }
    }

    #[test]
    fn a_page_names_the_key_of_the_next() {
        check(Some(limited(2)), &[1, 2], "c/", 0);
        check(Some(PageRequest { key: key("c"), ..limited(2) }), &[3, 4], "", 0);
        check(Some(PageRequest { offset: 1, ..limited(2) }), &[2, 3], "d/", 0);
        check(Some(PageRequest { reverse: true, ..limited(3) }), &[4, 3, 2], "a/", 0);
        check(Some(PageRequest { reverse: true, key: key("b"), ..limited(3) }), &[2, 1], "", 0);
    }

    #[test]
    fn the_total_comes_when_asked_for_or_without_a_limit() {
        check(None, &[1, 2, 3, 4], "", 4);
        check(Some(PageRequest { count_total: true, ..limited(1) }), &[1], "b/", 4);
        check(Some(PageRequest { offset: 9, ..limited(1) }), &[], "", 0);
    }

    #[test]
    fn key_and_offset_together_are_refused() {
        let both = PageRequest { key: key("a"), offset: 1, ..PageRequest::default() };
        assert!(cut(std::iter::empty::<(Vec<u8>, u32)>(), Some(both)).is_err());
    }
}
