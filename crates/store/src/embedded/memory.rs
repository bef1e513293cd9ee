//! Rows in ordered maps: nothing outlives the process, and the same calls give the same answers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::kv::{Batch, Change, Kv, Rows, Space};
use crate::error::StoreError;

#[derive(Debug, Default)]
pub(super) struct Memory {
    rows: Mutex<BTreeMap<Space, BTreeMap<Vec<u8>, Bytes>>>,
}

impl Kv for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rows.get(&space).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(&self, space: Space, prefix: &[u8], from: &[u8], limit: usize) -> Result<Rows, StoreError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = rows.get(&space) else { return Ok(Vec::new()) };
        let start = if from > prefix { from } else { prefix };
        let found = rows.range(start.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for change in batch.changes {
            match change {
                Change::Put(space, key, value) => {
                    rows.entry(space).or_default().insert(key, value);
                }
                Change::Delete(space, key) => {
                    rows.entry(space).or_default().remove(&key);
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn needs_sync(&self) -> bool {
        false
    }
}
