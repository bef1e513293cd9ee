//! Why the chain refuses an address, in its own words.
//!
//! Whether a text is an address is decided by `pocket_crypto`; this module only words the refusal, because the chain's
//! messages quote it and clients compare them.

use pocket_crypto::address::Address;

const PREFIX: &str = "pokt";
const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const TEXT_BYTES_MIN: usize = 8;
const TEXT_BYTES_MAX: usize = 1023;
const CHECKSUM_CHARS: usize = 6;

/// Parses an account address.
///
/// # Errors
/// The text that the chain's `AccAddressFromBech32` gives for the same input.
pub fn parse(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_| refusal(text))
}

fn refusal(text: &str) -> String {
    if text.trim().is_empty() {
        return "empty address string is not allowed".to_owned();
    }
    match decode(text) {
        Err(reason) => format!("decoding bech32 failed: {reason}"),
        Ok((prefix, _)) if prefix != PREFIX => format!("invalid Bech32 prefix; expected {PREFIX}, got {prefix}"),
        Ok((_, 0)) => "addresses cannot be empty: unknown address".to_owned(),
        Ok((_, length)) => format!("address max length is 255, got {length}: unknown address"),
    }
}

/// Follows the chain's decoder until it refuses; returns prefix and number of bytes when it does not.
fn decode(text: &str) -> Result<(String, usize), String> {
    if !(TEXT_BYTES_MIN..=TEXT_BYTES_MAX).contains(&text.len()) {
        return Err(format!("invalid bech32 string length {}", text.len()));
    }
    if let Some(&strange) = text.as_bytes().iter().find(|byte| !(33..=126).contains(*byte)) {
        return Err(format!("invalid character in string: '{}'", char::from(strange)));
    }
    let lower = text.to_ascii_lowercase();
    if text != lower && text != text.to_ascii_uppercase() {
        return Err("string not all lowercase or all uppercase".to_owned());
    }
    let separator = lower.rfind('1');
    let Some(separator) = separator.filter(|at| *at >= 1 && at + CHECKSUM_CHARS < lower.len()) else {
        return Err(format!("invalid separator index {}", separator.map_or("-1".to_owned(), |at| at.to_string())));
    };
    let (prefix, data) = (&lower[..separator], &lower.as_bytes()[separator + 1..]);

    let mut values = Vec::with_capacity(data.len());
    for byte in data {
        match CHARSET.iter().position(|known| known == byte) {
            Some(value) => values.push(u8::try_from(value).expect("the alphabet has 32 characters")),
            None => return Err(format!("invalid character not part of charset: {byte}")),
        }
    }
    let (payload, given) = values.split_at(values.len() - CHECKSUM_CHARS);
    let expected = checksum(prefix, payload);
    if given != expected {
        return Err(format!("invalid checksum (expected {} got {})", characters(&expected), characters(given)));
    }
    let (bits, spare) = (payload.len() * 5, payload.len() * 5 % 8);
    // The last value may hold fewer than five bits too many, and those must be zero.
    let padding = payload.last().map_or(0, |last| u16::from(*last) & ((1 << spare.min(5)) - 1));
    if spare >= 5 || padding != 0 {
        return Err("invalid incomplete group".to_owned());
    }
    Ok((prefix.to_owned(), bits / 8))
}

fn characters(values: &[u8]) -> String {
    values.iter().map(|value| char::from(CHARSET[usize::from(*value)])).collect()
}

/// The six values that close a bech32 text (BIP 173).
fn checksum(prefix: &str, payload: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let expanded = prefix.bytes().map(|byte| byte >> 5).chain([0]).chain(prefix.bytes().map(|byte| byte & 31));
    let all = expanded.chain(payload.iter().copied()).chain([0; CHECKSUM_CHARS]);
    let state = all.fold(1_u32, polymod) ^ 1;
    std::array::from_fn(|at| ((state >> (5 * (5 - at))) & 31) as u8)
}

fn polymod(state: u32, value: u8) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = state >> 25;
    let mut next = ((state & 0x01ff_ffff) << 5) ^ u32::from(value);
    for (bit, generator) in GENERATOR.into_iter().enumerate() {
        if (top >> bit) & 1 == 1 {
            next ^= generator;
        }
    }
    next
}
