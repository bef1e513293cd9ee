//! The binary, as people and programs call it.

mod network;
mod tool;
mod words;
