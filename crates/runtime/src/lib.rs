//! The only door to clock, randomness, tasks, sockets and files. No Pocket in it.
//!
//! Every process of the house stands on this room: it starts ([`process`]), speaks ([`http`], [`grpc`] over [`net`]),
//! keeps time and draws lots ([`clock`], [`random`]), runs named and watched tasks ([`task`]), writes files ([`fs`]),
//! is seen ([`log`], [`metrics`], [`admin`]) and leaves in order ([`shutdown`]).
//!
//! ```text
//!  process::run ── shutdown::signal ──┐
//!        │                            ▼
//!   log, metrics, admin      accept loops (http, grpc) ── task::spawn ── service of the process
//!                                     │
//!                         net / clock / random / fs
//!                           real   │   simulated (feature `simulation`, inside a simulation::World)
//! ```
//!
//! Invariants:
//!
//! - Inside a simulated world nothing here touches the machine: time, lots, sockets and files come from the seed, so that
//!   the same seed tells the same story. Outside a world the same calls are the plain operating system.
//! - A panic in a task is caught, logged once with the task's name and counted; it ends that task alone.
//! - Everything that holds others' work has a limit that the caller names: connections, bodies, pools, tasks, waits.
//! - Errors say what was tried, on what, and what to do next; secrets never reach a log ([`log::Secret`]).
//!
//! Deliberately not here: anything that knows relays, sessions or chains; settings and their defaults (`pocket-config`);
//! retry policies (they belong to whoever knows the cause); WebSocket framing (it rides on an upgraded [`http`] connection).

pub mod admin;
pub mod clock;
pub mod fs;
pub mod grpc;
pub mod http;
pub mod log;
pub mod metrics;
pub mod net;
pub mod process;
pub mod random;
pub mod shutdown;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod task;
