//! Whether the committed code is what the `.proto` files say, and whether bytes and JSON are the chain's.

mod generated;
mod json;
