//! Which tables are kept, for how long, and when one is worth building.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use k256::AffinePoint;
use quick_cache::{Weighter, sync::Cache};

use super::Table;
use crate::curve::Compressed;

/// Tables built after one verification, at most: what a ring of two needs. A bigger ring gets its tables over
/// several verifications, so that none takes much longer than the one before.
const BUILT_AT_ONCE_MAX: usize = 5;

/// With the memory in use, one verification in so many builds what it misses. Were more points alive than fit
/// and every miss built a table, most would be dropped before they have paid for themselves.
const BUILD_EVERY_WHEN_FULL: u32 = 16;

/// The tables of ring keys (with those of their hash-points) and of key images, within a number of bytes.
pub(in crate::ring) struct TableCache {
    /// Reading clones an `Arc` under the lock, nothing is computed there.
    tables: Cache<(Role, Compressed), Arc<[Table]>, ByBytes>,
    bytes_max: u64,
    /// Builds considered while full.
    considered: AtomicU32,
}

/// What a point is in a ring: one point may come as both, with different tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Key,
    Image,
}

/// Tables that a verification missed.
pub(in crate::ring) enum Missing {
    /// Those of a ring key and of its hash-point.
    Key { bytes: Compressed, key: AffinePoint, hash: AffinePoint },
    /// That of a key image.
    Image { bytes: Compressed, image: AffinePoint },
}

#[derive(Clone)]
struct ByBytes;

impl TableCache {
    /// Makes a cache of at most `bytes_max` bytes of tables; with less than one table's worth it stays empty.
    pub(in crate::ring) fn new(bytes_max: usize) -> Self {
        let bytes = bytes_max as u64;
        let tables = Cache::with_weighter(bytes_max / Table::BYTES, bytes, ByBytes);
        Self { tables, bytes_max: bytes, considered: AtomicU32::new(0) }
    }

    /// Returns the tables of a ring key and of its hash-point.
    pub(in crate::ring) fn of_key(&self, key: &Compressed) -> Option<Arc<[Table; 2]>> {
        self.tables.get(&(Role::Key, *key))?.try_into().ok()
    }

    /// Returns the table of a key image.
    pub(in crate::ring) fn of_image(&self, image: &Compressed) -> Option<Arc<[Table; 1]>> {
        self.tables.get(&(Role::Image, *image))?.try_into().ok()
    }

    /// Returns how many bytes the tables take at the moment.
    pub(in crate::ring) fn bytes(&self) -> u64 {
        self.tables.weight()
    }

    /// Builds some of the missing tables, the first first, and returns how many.
    ///
    /// This happens on the calling thread, some 60 µs a table, and under no lock. Two threads that miss the same
    /// table both build it, which is cheaper than making one wait.
    pub(in crate::ring) fn build(&self, missing: &[Missing]) -> usize {
        let mut built = 0;
        if missing.is_empty() || !self.worth_building() {
            return built;
        }
        for missing in missing {
            let (role, points) = missing.parts();
            // A ring may name one key many times.
            if self.tables.contains_key(&role) {
                continue;
            }
            if built + points.len() > BUILT_AT_ONCE_MAX {
                return built;
            }
            let tables: Option<Arc<[Table]>> = points.into_iter().map(Table::new).collect();
            if let Some(tables) = tables {
                built += tables.len();
                self.tables.insert(role, tables);
            }
        }
        built
    }

    fn worth_building(&self) -> bool {
        if self.bytes_max < Table::BYTES as u64 {
            return false;
        }
        // Shards fill unevenly, so the last eighth counts as full already.
        let full = self.tables.weight() + Table::BYTES as u64 > self.bytes_max / 8 * 7;
        !full || self.considered.fetch_add(1, Ordering::Relaxed).is_multiple_of(BUILD_EVERY_WHEN_FULL)
    }
}

impl Missing {
    fn parts(&self) -> ((Role, Compressed), Vec<&AffinePoint>) {
        match self {
            Self::Key { bytes, key, hash } => ((Role::Key, *bytes), vec![key, hash]),
            Self::Image { bytes, image } => ((Role::Image, *bytes), vec![image]),
        }
    }
}

impl Weighter<(Role, Compressed), Arc<[Table]>> for ByBytes {
    fn weight(&self, _: &(Role, Compressed), tables: &Arc<[Table]>) -> u64 {
        (tables.len() * Table::BYTES) as u64
    }
}
