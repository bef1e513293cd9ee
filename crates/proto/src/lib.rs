//! The wire: every protobuf type and gRPC stub that relayers, miners, gateways and chains exchange.
//!
//! The `.proto` files in `proto/` are written from the chain's schema; `src/gen` is generated from them and committed (a test
//! regenerates it and compares; there is no build script). Modules are named as the protobuf packages: package `pocket.service` is
//! [`pocket::service`], `cosmos.tx.v1beta1` is [`cosmos::tx::v1beta1`]. Clients and servers are generic over their transport.
//!
//! Data passes through in two directions only: bytes to types ([`prost::Message::decode`]; for relay messages [`canonical`], which
//! accepts and writes exactly what the chain does) and types to bytes ([`prost::Message::encode_to_vec`]) or to JSON ([`json`]).
//!
//! What to know when bytes must equal the chain's:
//!
//! - Fields marked **nn** in their documentation are not nullable on the chain: it writes them even when they are empty. Here they are
//!   `Option`s, and an empty one is written only as `Some(Default::default())`. Whoever builds such a message sets it.
//! - Map fields are `BTreeMap`s, hence sorted by key as the chain's. An entry whose key or value is empty loses that half here, while
//!   the chain writes it; no map in use has such entries.
//! - A zero amount of a coin is `"0"`, not the empty string.
//! - Message, enum and field names in text are the protobuf ones: `as_str_name()` of an enum, [`prost::Name`] of a message.
//!
//! Byte fields of `pocket.service` and `pocket.ha` are [`bytes::Bytes`], so that a payload passes through uncopied; all others are vectors.
//!
//! Deliberately not here: rules of any kind (what a valid request is, what is hashed or signed), and the other modules of the chain
//! that no process of ours speaks to.

pub mod canonical;
pub mod json;

pub use generated::{cosmos, pocket, sdk, tendermint};

mod generated {
    #![allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, rustdoc::all)]
    include!("gen/mod.rs");
}

/// A serialized `google.protobuf.FileDescriptorSet` of every file in `proto/` and its imports, for gRPC reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptor.bin");

/// Packs a message as the chain does: type URL `/` and the full name.
pub fn any<M: prost::Message + prost::Name>(message: &M) -> prost_types::Any {
    prost_types::Any { type_url: type_url::<M>(), value: message.encode_to_vec() }
}

/// Returns the type URL of a message, such as `/pocket.proof.MsgCreateClaim`.
pub fn type_url<M: prost::Name>() -> String {
    format!("/{}", M::full_name())
}
