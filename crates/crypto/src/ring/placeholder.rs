//! The stand-in member of rings that would otherwise have one (protocol §3.5.3).

use crate::keys::SecretKey;

/// What the placeholder key is derived from. It is public, so anybody can sign for an application without
/// delegations; the chain accepts that, and so must a miner.
pub const PLACEHOLDER_SECRET: &str = "placeholder_ring_key_for_apps_without_gateways";

/// The placeholder's public key.
pub const PLACEHOLDER_PUBLIC_KEY: [u8; 33] = [
    0x02, 0x10, 0x66, 0xf2, 0x93, 0x70, 0x93, 0x56, 0xa3, 0x3e, 0x9c, 0x13, 0x01, 0x78, 0x67, 0x58, 0x6b, 0xaf, 0x52,
    0x51, 0x3e, 0x84, 0x5b, 0xc4, 0x33, 0x52, 0x33, 0xa1, 0x5e, 0xd1, 0xe0, 0x0b, 0xaf,
];

/// The address under which the placeholder is sorted into a ring: upper-case hexadecimal, not bech32, so it
/// stands before every `pokt1…`.
pub const PLACEHOLDER_ADDRESS: &str = "6178B12D0711F3A930A6133C39AE3B89E9E79A04";

/// Returns the placeholder's secret key, which everybody knows.
#[must_use]
pub fn placeholder_secret_key() -> SecretKey {
    SecretKey::from_secret(PLACEHOLDER_SECRET.as_bytes())
}
