//! The binary, as people and programs call it.
#![expect(clippy::disallowed_methods, reason = "these tests stand outside the binary, on the real machine")]

mod accounts;
mod network;
mod spec;
mod tool;
mod words;
