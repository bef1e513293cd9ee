//! The relayer on real sockets: a development chain, a store in memory, a backend, and a client that signs as gateways do.

mod accounting;
mod departures;
mod edges;
mod floods;
mod memory;
mod process;
mod recorded;
mod refusals;
mod serving;
mod support;
