//! Taking gzip off a backend's answer, within a limit.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use pocket_runtime::http::{HeaderMap, header};
use pocket_runtime::task;

/// Packed bytes above which unpacking leaves the worker: it would hold it for longer than half a millisecond.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// It is not packed, or says so wrongly.
    AsItWas,
    Unpacked(Bytes),
    /// Unpacked it exceeds the limit.
    TooLarge,
}

/// Unpacks a body that is declared as gzip or begins like it.
pub(crate) async fn plain(headers: &HeaderMap, body: &Bytes, limit: usize) -> Plain {
    let declared =
        headers.get(header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if !(declared || body.starts_with(&[0x1f, 0x8b])) || body.is_empty() {
        return Plain::AsItWas;
    }
    if body.len() <= INLINE_BYTES_MAX {
        return unpack(body, limit);
    }
    let body = body.clone();
    // A panic has been logged; the body stays as it was.
    task::blocking("relayer gunzip", move || unpack(&body, limit)).await.unwrap_or(Plain::AsItWas)
}

fn unpack(body: &[u8], limit: usize) -> Plain {
    let mut bytes = Vec::with_capacity((body.len() * 4).min(limit));
    let past_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(body).take(past_limit).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() > limit => Plain::TooLarge,
        Ok(_) => Plain::Unpacked(bytes.into()),
        Err(_) => Plain::AsItWas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn packed(plain: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).expect("a vector grows");
        encoder.finish().expect("a vector grows").into()
    }

    #[tokio::test]
    async fn a_packed_body_is_unpacked_whether_it_says_so_or_not() {
        let headers = HeaderMap::new();
        assert_eq!(plain(&headers, &packed(b"hello"), 100).await, Plain::Unpacked("hello".into()));
        assert_eq!(
            plain(&headers, &packed(&vec![7; 1 << 20]), 1 << 20).await,
            Plain::Unpacked(vec![7; 1 << 20].into())
        );
    }

    #[tokio::test]
    async fn what_only_looks_packed_stays_as_it_was() {
        let mut headers = HeaderMap::new();
        assert_eq!(plain(&headers, &Bytes::from_static(&[0x1f, 0x8b, 0]), 100).await, Plain::AsItWas);
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().expect("a value"));
        assert_eq!(plain(&headers, &Bytes::from_static(b"plain"), 100).await, Plain::AsItWas);
        assert_eq!(plain(&headers, &Bytes::new(), 100).await, Plain::AsItWas);
    }

    #[tokio::test]
    async fn a_bomb_is_not_unpacked() {
        let bomb = packed(&vec![0; 10 << 20]);
        assert_eq!(plain(&HeaderMap::new(), &bomb, 1 << 20).await, Plain::TooLarge);
    }
}
