//! The whole house, as `pocket up` runs it: real sockets on loopback, free ports.

mod data;
mod network;
mod standalone;
mod world;
