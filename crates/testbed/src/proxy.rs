//! Proxies that stand between two processes and break what passes, when a test says so.
//!
//! [`Tcp`] knows bytes: it cuts, refuses, stalls, delays, swallows and breaks off in the middle of an answer. [`Redis`] knows
//! commands and their replies besides, and loses exactly one of either. [`Http2`] knows frames, and says what a node's own
//! connection says when it breaks: `GOAWAY`, `RST_STREAM`, half a body. [`Node`] knows calls: it answers chosen methods of
//! a full node with a status of gRPC, or as a node that lags.
//!
//! Every proxy listens on `127.0.0.1` on a port of its own, connects to its upstream anew for each connection it takes (so
//! the upstream may be killed and started again), and is gone with its handle, connections and all. Its controls may be
//! used at any time. A proxy runs on the runtime it was started on: a test that blocks its only thread blocks the proxy.

mod carry;
pub mod http2;
mod node;
mod redis;
mod resp;
mod tcp;

pub use http2::{Call, Http2};
pub use node::Node;
pub use redis::{Command, Loss, Redis};
pub use tcp::{Counts, Tcp};

/// How a connection ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As a process that dies with unread bytes, or a firewall: RST, to both ends.
    Reset,
    /// As a process that leaves in order: FIN, to both ends, after everything that was on its way.
    Close,
}

/// What becomes of bytes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    Pass,
    /// They wait, and pass later: a network that stands still, or a process that is stopped.
    Hold,
    /// They vanish. A connection that lost bytes this way passes nothing more in that direction, whatever is set later,
    /// because what follows a gap means nothing.
    Swallow,
}
