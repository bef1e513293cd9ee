//! Bech32 as the chain's SDK reads and writes it (BIP-173 checksum, length up to 1023).
//!
//! An own codec because the verdict on odd strings must be the chain's: general decoders differ on upper case,
//! on non-zero padding and on the length limit.

use crate::address::AddressError;

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM_LEN: usize = 6;
const LENGTH_MIN: usize = 8;
const LENGTH_MAX: usize = 1023;
const NOT_IN_CHARSET: u8 = 0xff;

/// Value of every ASCII character (lower case), or [`NOT_IN_CHARSET`].
const VALUES: [u8; 128] = {
    let mut values = [NOT_IN_CHARSET; 128];
    let mut value = 0u8;
    while value < 32 {
        values[CHARSET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Encodes `bytes` under a lower-case ASCII `prefix`.
pub(crate) fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(prefix.len() + 1 + (bytes.len() * 8).div_ceil(5) + CHECKSUM_LEN);
    text.push_str(prefix);
    text.push('1');
    let mut checksum = Checksum::over_prefix(prefix.as_bytes());
    let mut push = |value: u8| {
        checksum.update(value);
        text.push(char::from(CHARSET[usize::from(value)]));
    };

    let (mut pending, mut pending_bits) = (0u16, 0u32);
    for byte in bytes {
        pending = pending << 8 | u16::from(*byte);
        pending_bits += 8;
        while pending_bits >= 5 {
            pending_bits -= 5;
            push((pending >> pending_bits & 31) as u8);
        }
        pending &= (1 << pending_bits) - 1;
    }
    if pending_bits > 0 {
        push((pending << (5 - pending_bits) & 31) as u8);
    }
    for value in checksum.finish() {
        text.push(char::from(CHARSET[usize::from(value)]));
    }
    text
}

/// Decodes `text`, whose prefix must be `prefix`, in the order of checks of the chain's SDK.
pub(crate) fn decode(prefix: &'static str, text: &str) -> Result<Vec<u8>, AddressError> {
    if text.len() < LENGTH_MIN || text.len() > LENGTH_MAX {
        return Err(AddressError::TextLength { length: text.len() });
    }
    if let Some(position) = text.bytes().position(|byte| !(33..=126).contains(&byte)) {
        return Err(AddressError::Character { position });
    }
    let has_lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
    let has_upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    if has_lower && has_upper {
        return Err(AddressError::MixedCase);
    }
    let text = text.to_ascii_lowercase();
    let separator = text.rfind('1').ok_or(AddressError::Separator)?;
    if separator < 1 || separator + 1 + CHECKSUM_LEN > text.len() {
        return Err(AddressError::Separator);
    }
    let (found_prefix, data) = (&text[..separator], &text.as_bytes()[separator + 1..]);

    let mut values = Vec::with_capacity(data.len());
    for (offset, character) in data.iter().enumerate() {
        let value = VALUES[usize::from(*character)];
        if value == NOT_IN_CHARSET {
            return Err(AddressError::Character { position: separator + 1 + offset });
        }
        values.push(value);
    }
    let mut checksum = Checksum::over_prefix(found_prefix.as_bytes());
    for value in &values {
        checksum.update(*value);
    }
    if checksum.0 != 1 {
        return Err(AddressError::Checksum);
    }
    values.truncate(values.len() - CHECKSUM_LEN);
    let bytes = regroup(&values)?;
    // The SDK looks at the prefix last, so a broken string never counts as one of another kind.
    if found_prefix != prefix {
        return Err(AddressError::Prefix { expected: prefix, found: found_prefix.to_owned() });
    }

    Ok(bytes)
}

/// Joins groups of five bits into bytes; what is left over must be at most four bits, all zero.
fn regroup(values: &[u8]) -> Result<Vec<u8>, AddressError> {
    let mut bytes = Vec::with_capacity(values.len() * 5 / 8);
    let (mut pending, mut pending_bits) = (0u16, 0u32);
    for value in values {
        pending = pending << 5 | u16::from(*value);
        pending_bits += 5;
        if pending_bits >= 8 {
            pending_bits -= 8;
            bytes.push((pending >> pending_bits).to_be_bytes()[1]);
            pending &= (1 << pending_bits) - 1;
        }
    }
    if pending_bits > 4 || pending != 0 {
        return Err(AddressError::Padding);
    }
    Ok(bytes)
}

/// The running checksum: a remainder modulo the generator polynomial over GF(32).
struct Checksum(u32);

impl Checksum {
    fn over_prefix(prefix: &[u8]) -> Self {
        let mut checksum = Self(1);
        for byte in prefix {
            checksum.update(byte >> 5);
        }
        checksum.update(0);
        for byte in prefix {
            checksum.update(byte & 31);
        }
        checksum
    }

    fn update(&mut self, value: u8) {
        let top = self.0 >> 25;
        self.0 = (self.0 & 0x01ff_ffff) << 5 ^ u32::from(value);
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                self.0 ^= generator;
            }
        }
    }

    fn finish(mut self) -> [u8; CHECKSUM_LEN] {
        for _ in 0..CHECKSUM_LEN {
            self.update(0);
        }
        let remainder = self.0 ^ 1;
        std::array::from_fn(|index| (remainder >> (5 * (CHECKSUM_LEN - 1 - index)) & 31) as u8)
    }
}
