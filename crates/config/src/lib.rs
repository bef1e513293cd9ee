//! pocket-config
