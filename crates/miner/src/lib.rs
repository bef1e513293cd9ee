//! pocket-miner
