//! The doors of the runtime, opened on the real machine (port 0, temporary folders) and in a simulated world.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]
#![allow(clippy::disallowed_methods, reason = "tests look at the real machine from outside")]

mod admin;
mod fs;
mod grpc;
mod http;
mod metrics;
mod net;
mod process;
#[cfg(feature = "simulation")]
mod simulation;
mod support;
mod task;
#[cfg(feature = "tls")]
mod tls;
mod unread;
