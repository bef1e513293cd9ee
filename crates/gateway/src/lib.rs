//! pocket-gateway
