//! Leases: who may write, and the epoch that fences everybody else.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a lease is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaseName {
    /// A supplier's log, leaves and records.
    Supplier(String),
    /// Publishing to relayers.
    Leader,
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supplier(supplier) => f.write_str(supplier),
            Self::Leader => f.write_str("leader"),
        }
    }
}

/// A right to write until it runs out or passes on. Its epoch is higher than that of every lease before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is on.
    pub name: LeaseName,
    /// By whom it is held.
    pub holder: String,
    /// The fence: present it with each write.
    pub epoch: u64,
}

/// What is known of a lease that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseInfo {
    /// By whom it is held.
    pub holder: String,
    /// At which epoch.
    pub epoch: u64,
    /// How long it still lasts without renewal.
    pub remaining: Duration,
}
