//! pocket-localnet
