//! Real neighbours for tests, private to one test and gone when the handle drops.
//!
//! **What it is for.** A test that needs a Redis server starts its own: on a unix socket and a free port, with its data in a
//! folder of its own, under the test's control down to `kill -9` and `SIGSTOP`.
//!
//! Between any two processes it puts a [`proxy`], which breaks what passes when the test says so.
//!
//! **How.** [`find`] says where a server's binary is, [`RedisServer::start`] runs it, [`RedisServer::url`] names it. Where
//! the binary is missing the test is reported as ignored, unless `POCKET_TESTBED=required`, under which it fails:
//! [`needs`] makes that decision for a custom harness.
//!
//! **Invariants.** A server listens on loopback and on a socket below its own folder only; it dies with its handle, and with
//! the test process too where `setpriv` is installed; nothing is ever ended by name.
//!
//! **Deliberately not here.** Installing anything: `make testbed` does that. Servers of a fleet: `localnet`.

mod binary;
pub mod devnet;
pub mod proxy;
pub mod redis;

pub use binary::binary;
pub use devnet::{PrivateDevnet, devnet};
/// For tests that change a chain's state between blocks.
pub use pocket_devnet;
pub use redis::{Config, RedisServer, Version, find, needs};
