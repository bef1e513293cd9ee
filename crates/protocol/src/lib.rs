//! pocket-protocol
