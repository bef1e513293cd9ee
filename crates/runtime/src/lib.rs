//! pocket-runtime
