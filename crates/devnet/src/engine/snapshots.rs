//! Snapshots: everything as it was, to go back to. What follows is another history: its blocks have other hashes than those
//! undone, even with the same transactions, so that whoever follows the chain can tell that it went back.
//!
//! They are held in memory, where one costs next to nothing. A chain with a data folder also writes each to a file, so
//! that it outlives the process; of a file come state and blocks, not the transactions that were waiting.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{Engine, Image, Options, weight};
use crate::{
    block::Block,
    clock::Clock,
    journal::{Journal, JournalError},
    mempool::Mempool,
    state::State,
};

/// A snapshot by its id; without an image it is in its file only.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    id: String,
    image: Option<Image>,
}

impl Image {
    /// Makes the image of a chain that stands at `state`, after `blocks`.
    pub(super) fn of(options: &Options, clock: Clock, state: State, blocks: VecDeque<Arc<Block>>) -> Self {
        let mut tx_index = BTreeMap::new();
        let mut mempool = Mempool::new(options.mempool);
        for block in &blocks {
            for (at, hash) in block.tx_hashes.iter().enumerate() {
                tx_index.insert(*hash, (block.height(), at));
                if block.results[at].code == 0 {
                    mempool.remember_included(*hash);
                }
            }
        }
        let blocks_bytes = blocks.iter().map(|block| weight(block)).sum();
        let states = VecDeque::from([state.clone()]);
        Self { state, states, blocks, blocks_bytes, tx_index, mempool, clock }
    }

    /// Makes the blocks to come others than those of the image that is left for this one.
    fn leave(&mut self, left: &Self) {
        let newest = |image: &Self| image.blocks.back().map(|block| block.id.hash);
        let undone = newest(left);
        self.state.undone = if undone == newest(self) { left.state.undone } else { undone };
        if let Some(state) = self.states.back_mut() {
            state.undone = self.state.undone;
        }
    }

    /// Lets the clock go on from the newest block unless that lies on the grid.
    pub(super) fn resume_clock(&mut self) {
        let (height, time) = (self.state.height, self.state.time);
        if height > 0 && self.clock.on_grid(height) != time {
            self.clock.rebase(height, time, 0);
        }
    }
}

impl Engine {
    /// Remembers everything as it is now; returns the snapshot's id. The oldest goes when there are too many.
    pub fn snapshot(&mut self) -> String {
        self.snapshots_made += 1;
        let id = format!("snapshot-{}", self.snapshots_made);
        if let Some(journal) = &self.journal
            && let Err(error) = journal.save_snapshot(&id, &self.image.state, &self.image.blocks)
        {
            let error = pocket_runtime::process::chain(&error);
            tracing::warn!(snapshot = id, error, "the snapshot is held in memory only");
        }
        self.snapshots.push_back(Snapshot { id: id.clone(), image: Some(self.image.clone()) });
        while self.snapshots.len() > self.options.snapshots_max.max(1) {
            let oldest = self.snapshots.pop_front();
            if let (Some(oldest), Some(journal)) = (oldest, &self.journal)
                && let Err(error) = journal.remove_snapshot(&oldest.id)
            {
                let error = pocket_runtime::process::chain(&error);
                tracing::warn!(snapshot = oldest.id, error, "an old snapshot could not be removed");
            }
        }
        id
    }

    /// Lists the snapshots, oldest first.
    pub fn snapshots(&self) -> Vec<String> {
        self.snapshots.iter().map(|snapshot| snapshot.id.clone()).collect()
    }

    /// Goes back to a snapshot, which remains; returns the height, or nothing for an unknown one.
    pub fn restore(&mut self, id: &str) -> Option<Result<i64, JournalError>> {
        let snapshot = self.snapshots.iter().find(|snapshot| snapshot.id == id)?.clone();
        Some(self.restore_known(snapshot))
    }

    fn restore_known(&mut self, snapshot: Snapshot) -> Result<i64, JournalError> {
        let mut image = match (snapshot.image, &self.journal) {
            (Some(image), _) => image,
            (None, journal) => {
                let journal = journal.as_ref().expect("a snapshot without an image was found by a journal");
                let (state, blocks) = journal.load_snapshot(&snapshot.id, &self.image.state)?;
                let mut image = Image::of(&self.options, self.image.clock, state, blocks);
                image.resume_clock();
                image
            }
        };
        image.leave(&self.image);
        if let Some(journal) = &mut self.journal {
            journal.restart(&image.state, &image.blocks)?;
        }
        self.image = image;
        self.recheck();
        Ok(self.image.state.height)
    }

    /// Takes over the snapshots that the journal's folder holds.
    pub(super) fn find_snapshots(&mut self, journal: &Journal) -> Result<(), JournalError> {
        for (number, id) in journal.snapshots()? {
            self.snapshots_made = self.snapshots_made.max(number);
            self.snapshots.push_back(Snapshot { id, image: None });
        }
        Ok(())
    }
}
