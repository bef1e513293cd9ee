//! pocket-devnet
