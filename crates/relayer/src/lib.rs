//! pocket-relayer
