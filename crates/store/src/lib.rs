//! pocket-store
