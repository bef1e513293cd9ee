//! Snapshots in the data folder: one file each, a frame with the state and then one for each block before it.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use pocket_runtime::fs;
use prost::Message as _;

use super::{BlockRecord, Journal, JournalError, frame, record, unframe};
use crate::{block::Block, state::State};

fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.snapshot"))
}

impl Journal {
    /// Writes a snapshot.
    pub fn save_snapshot(&self, id: &str, state: &State, blocks: &VecDeque<Arc<Block>>) -> Result<(), JournalError> {
        let mut bytes = frame(&record::encode_state(state));
        for block in blocks {
            bytes.extend_from_slice(&frame(&BlockRecord::of(block, true).encode_to_vec()));
        }
        Ok(fs::write_atomic(path(&self.settings.folder, id), &bytes)?)
    }

    /// Reads a snapshot; what never changes is taken from any state of the chain.
    pub fn load_snapshot(&self, id: &str, any: &State) -> Result<(State, VecDeque<Arc<Block>>), JournalError> {
        let file = path(&self.settings.folder, id);
        let bytes = fs::read(&file)?;
        let (payloads, whole) = unframe(&bytes);
        let damaged = |problem: String| JournalError::Damaged { file: file.clone(), offset: 0, problem };
        let Some((state, blocks)) = payloads.split_first().filter(|_| whole == bytes.len()) else {
            return Err(damaged("a frame is cut short or its checksum does not match".to_owned()));
        };
        let state = record::decode_state(state, any).map_err(damaged)?;
        let mut begin = None;
        let mut read = VecDeque::with_capacity(blocks.len());
        for payload in blocks {
            let record = BlockRecord::decode(*payload).map_err(|error| damaged(error.to_string()))?;
            read.push_back(Arc::new(record.to_block(any, &mut begin).map_err(damaged)?));
        }
        Ok((state, read))
    }

    /// Removes a snapshot.
    pub fn remove_snapshot(&self, id: &str) -> Result<(), JournalError> {
        let file = path(&self.settings.folder, id);
        if fs::exists(&file) {
            fs::remove_file(&file)?;
        }
        Ok(())
    }

    /// Lists the snapshots by their numbers, oldest first.
    pub fn snapshots(&self) -> Result<Vec<(u64, String)>, JournalError> {
        let mut found: Vec<(u64, String)> = fs::list(&self.settings.folder)?
            .iter()
            .filter_map(|file| {
                let id = file.file_name()?.to_str()?.strip_suffix(".snapshot")?.to_owned();
                Some((id.strip_prefix("snapshot-")?.parse().ok()?, id))
            })
            .collect();
        found.sort();
        Ok(found)
    }
}
