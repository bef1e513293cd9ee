//! Somebody else's server: the demo backend that suppliers' relays end at. It knows nothing of Pocket.
//!
//! Any JSON-RPC method on any path is answered with itself, byte for byte as the development network documents it, so
//! that a client at the far end of the line can compare the whole answer. `/health` says that it lives; `/metrics` is on
//! the admin listener.
//!
//! It fails on request, which is how the rest of the house is tested against bad backends: a query parameter `fault`, a
//! header `demo-fault`, or `POST /fault?set=…` on the admin listener for whatever comes next (see [`Fault`]).
//!
//! Deliberately not here: every protocol but HTTP JSON-RPC, which come with the relayer's other transports.

mod answer;
mod backend;
mod fault;
mod metrics;

pub use backend::{Running, StartError, start};
pub use fault::{Fault, ParseFaultError};
