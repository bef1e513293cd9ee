//! pocket-crypto
