//! Whether the committed code is what the `.proto` files say, and whether bytes and JSON are the chain's.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "generated files are written to the source tree on request")]

mod generated;
mod json;
mod relays;
