//! pocket-testbed
