//! pocket-chain
