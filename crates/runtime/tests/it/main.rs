//! The doors of the runtime, opened on the real machine (port 0, temporary folders) and in a simulated world.

mod admin;
mod fs;
mod grpc;
mod http;
mod metrics;
mod net;
#[cfg(feature = "simulation")]
mod simulation;
mod support;
mod task;
