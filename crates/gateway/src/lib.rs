//! The gateway: a client's plain HTTP request goes in, a verified answer comes out (port 3069).
//!
//! ```text
//! client ──▶ choose an application and its session ──▶ choose a supplier ──▶ sign ──▶ relayer
//!   ◀── the backend's status and body ◀── verify the supplier's signature ◀──────────┘
//!                                          └── another supplier, where that is safe
//! ```
//!
//! Invariants:
//!
//! - An answer is given to a client only after its signature, its session and the hash of its payload have been checked.
//! - A relay that may have reached a backend is repeated only if repeating it cannot do harm.
//! - A failure upstream is a failure here: never a 200 with nothing in it.
//!
//! Deliberately not here: caching, quality checks per blockchain, WebSocket and gRPC, which come with the relayer's other
//! transports.

mod gateway;
mod metrics;
mod refusal;
mod relay;
mod suppliers;

pub use gateway::{Running, StartError, start};
