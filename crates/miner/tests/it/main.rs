//! The miner on a development chain of its own: from relays in the log to money, through every interruption.

mod faults;
mod lifecycle;
mod refusals;
mod restarts;
mod world;
