//! What the node says of itself, the same on gRPC, RPC and REST.

/// Version of `CometBFT` whose answers are given.
pub(super) const COMET_VERSION: &str = "0.38.22";
/// Version of the Cosmos SDK whose answers are given.
pub(super) const SDK_VERSION: &str = "v0.53.7";
/// Version of the peer-to-peer protocol.
pub(super) const P2P_PROTOCOL: u64 = 8;
/// Channels of the peer-to-peer protocol.
pub(super) const P2P_CHANNELS: &[u8] = &[0x40, 0x20, 0x21, 0x22, 0x23, 0x30, 0x38, 0x60, 0x61];
/// Where peers would connect; nothing listens there.
pub(super) const LISTEN_ADDRESS: &str = "tcp://127.0.0.1:26656";
