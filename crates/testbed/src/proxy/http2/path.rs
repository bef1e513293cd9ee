//! A path as it is written in compressed headers.

use bytes::Bytes;

/// First byte that [`CODES`] knows.
const FIRST: u8 = b'-';

/// Huffman code and its length in bits of each byte from `-` to `z` (RFC 7541, appendix B).
#[rustfmt::skip]
const CODES: [(u32, u32); 78] = [
    (0x16, 6), (0x17, 6), (0x18, 6), (0x0, 5), (0x1, 5), (0x2, 5), (0x19, 6), (0x1a, 6), (0x1b, 6), (0x1c, 6),
    (0x1d, 6), (0x1e, 6), (0x1f, 6), (0x5c, 7), (0xfb, 8), (0x7ffc, 15), (0x20, 6), (0xffb, 12), (0x3fc, 10),
    (0x1ffa, 13), (0x21, 6), (0x5d, 7), (0x5e, 7), (0x5f, 7), (0x60, 7), (0x61, 7), (0x62, 7), (0x63, 7), (0x64, 7),
    (0x65, 7), (0x66, 7), (0x67, 7), (0x68, 7), (0x69, 7), (0x6a, 7), (0x6b, 7), (0x6c, 7), (0x6d, 7), (0x6e, 7),
    (0x6f, 7), (0x70, 7), (0x71, 7), (0x72, 7), (0xfc, 8), (0x73, 7), (0xfd, 8), (0x1ffb, 13), (0x7fff0, 19),
    (0x1ffc, 13), (0x3ffc, 14), (0x22, 6), (0x7ffd, 15), (0x3, 5), (0x23, 6), (0x4, 5), (0x24, 6), (0x5, 5),
    (0x25, 6), (0x26, 6), (0x27, 6), (0x6, 5), (0x74, 7), (0x75, 7), (0x28, 6), (0x29, 6), (0x2a, 6), (0x7, 5),
    (0x2b, 6), (0x76, 7), (0x2c, 6), (0x8, 5), (0x9, 5), (0x2d, 6), (0x77, 7), (0x78, 7), (0x79, 7), (0x7a, 7),
    (0x7b, 7),
];

/// Returns the bytes of a path in both ways that a client may write it: Huffman-coded, and as it is.
///
/// A whole string is coded by itself and begins and ends with a byte, so it stands in the headers as it is returned here.
///
/// # Panics
/// If the path is not one of a method of gRPC: letters, digits, `-`, `.`, `/` and `_`.
pub(super) fn needles(path: &str) -> Vec<Bytes> {
    vec![huffman(path), Bytes::copy_from_slice(path.as_bytes())]
}

fn huffman(path: &str) -> Bytes {
    let mut bytes = Vec::new();
    // Bits that do not fill a byte yet, and how many they are.
    let (mut bits, mut count) = (0_u64, 0);
    for byte in path.bytes() {
        let index = byte.checked_sub(FIRST).map(usize::from);
        let (code, length) = *index.and_then(|index| CODES.get(index)).expect("a path of a method of gRPC");
        bits = bits << length | u64::from(code);
        count += length;
        while count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff).try_into().expect("eight bits"));
        }
    }
    if count > 0 {
        // The rest of the last byte is ones.
        let last = bits << (8 - count) | (0xff >> count);
        bytes.push((last & 0xff).try_into().expect("eight bits"));
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_coded_as_the_rfc_codes_its_examples() {
        // RFC 7541, appendix C.4.1 and C.4.3, which code nothing outside the table.
        assert_eq!(
            &huffman("www.example.com")[..],
            [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]
        );
        assert_eq!(&huffman("custom-value")[..], [0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf]);
    }
}
