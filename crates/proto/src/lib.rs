//! pocket-proto
