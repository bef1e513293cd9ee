//! The block log: what makes a chain with a data folder survive `kill -9`.
//!
//! In the folder are *segments* of framed block records and *checkpoints* of the whole state. A block is in the log
//! before anybody hears of it; after a crash the newest checkpoint is loaded and the blocks after it are executed again,
//! which must give the same hashes. A torn frame at the very end is cut off.
//!
//! Every [`Settings::checkpoint_blocks`] blocks a checkpoint is written and a new segment begun; segments that hold
//! nothing that may be asked for, and all but two checkpoints, are removed, so the folder stays flat. Going back to a
//! snapshot begins a new *generation* of files, and the old one is removed once the new is complete.
//!
//! Frame: length of the payload (4 bytes, little-endian), first 8 bytes of its SHA-256, payload (a protobuf message of
//! `record`). A checkpoint is one frame.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use pocket_crypto::hash::sha256;
use pocket_runtime::fs::{self, AppendFile, FsError};
use prost::Message as _;

use crate::{block::Block, header::Hash, state::State};

mod record;
mod snapshots;

pub use record::BlockRecord;

/// Largest payload of a frame: a state with tens of thousands of suppliers fits.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;
const FRAME_BYTES: usize = 12;
/// Checkpoints that are kept: the newest, and the one before in case the newest cannot be read.
const CHECKPOINTS_KEPT: usize = 2;
const IDENTITY_FILE: &str = "chain";

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// Blocks between checkpoints.
    pub checkpoint_blocks: u64,
    /// Blocks that must be readable after a restart.
    pub blocks_kept: u64,
}

/// Why a journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The folder belongs to another chain.
    #[error(
        "data folder {folder} holds another chain (other facts, profile, seed or format); use another folder, or remove this one to start anew"
    )]
    OtherChain {
        /// The folder.
        folder: PathBuf,
    },
    /// A file is damaged elsewhere than at its end.
    #[error(
        "{file} is damaged at byte {offset}: {problem}; restore the data folder from a copy, or remove it to start anew"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// A block gave another hash when executed again.
    #[error(
        "block {height} of the data folder does not replay: hash {found} instead of {expected}; it was written by another version"
    )]
    Diverged {
        /// The block.
        height: i64,
        /// The hash in the log.
        expected: String,
        /// The hash now.
        found: String,
    },
}

/// What was in the folder.
#[derive(Debug)]
pub struct Recovered {
    /// State of the newest checkpoint; absent when there is none, and everything is replayed from genesis.
    pub checkpoint: Option<State>,
    /// Blocks up to the checkpoint, oldest first.
    pub blocks: VecDeque<Arc<Block>>,
    /// Blocks after it, to execute again.
    pub replay: Vec<BlockRecord>,
    /// Bytes cut off the end.
    pub torn_bytes: u64,
}

/// The log being written.
#[derive(Debug)]
pub struct Journal {
    settings: Settings,
    generation: u64,
    file: AppendFile,
    file_begins_after: i64,
    last_begin: Option<Arc<[pocket_proto::tendermint::abci::Event]>>,
}

fn checkpoint_path(folder: &Path, generation: u64, height: i64) -> PathBuf {
    folder.join(format!("g{generation:06}-{height:012}.checkpoint"))
}

fn segment_path(folder: &Path, generation: u64, after: i64) -> PathBuf {
    folder.join(format!("g{generation:06}-{after:012}.blocks"))
}

/// Files of one generation by the height they begin after.
#[derive(Debug, Default)]
struct Generation {
    checkpoints: BTreeMap<i64, PathBuf>,
    segments: BTreeMap<i64, PathBuf>,
}

fn scan(folder: &Path) -> Result<BTreeMap<u64, Generation>, FsError> {
    let mut generations: BTreeMap<u64, Generation> = BTreeMap::new();
    for path in fs::list(folder)? {
        let Some((generation, height, kind)) = parse_name(&path) else { continue };
        let generation = generations.entry(generation).or_default();
        match kind {
            "checkpoint" => generation.checkpoints.insert(height, path.clone()),
            _ => generation.segments.insert(height, path.clone()),
        };
    }
    Ok(generations)
}

fn parse_name(path: &Path) -> Option<(u64, i64, &str)> {
    let name = path.file_name()?.to_str()?;
    let (stem, kind) = name.rsplit_once('.')?;
    let (generation, height) = stem.strip_prefix('g')?.split_once('-')?;
    (kind == "checkpoint" || kind == "blocks").then_some((generation.parse().ok()?, height.parse().ok()?, kind))
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_BYTES + payload.len());
    let length = u32::try_from(payload.len()).expect("a payload is far below 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&sha256(payload)[..8]);
    out.extend_from_slice(payload);
    out
}

/// Splits bytes into payloads; returns them and how many bytes are whole frames.
fn unframe(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let mut payloads = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + FRAME_BYTES) {
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if length > PAYLOAD_BYTES_MAX {
            break;
        }
        let Some(payload) = bytes.get(at + FRAME_BYTES..at + FRAME_BYTES + length) else { break };
        if sha256(payload)[..8] != header[4..] {
            break;
        }
        payloads.push(payload);
        at += FRAME_BYTES + length;
    }
    (payloads, at)
}

impl Journal {
    /// Opens the folder for the chain of this genesis state, and returns what is in it.
    pub fn open(settings: Settings, genesis: &State) -> Result<(Self, Recovered), JournalError> {
        fs::create_dir_all(&settings.folder)?;
        check_identity(&settings.folder, &genesis.app_hash)?;
        let mut generations = scan(&settings.folder)?;
        // A generation counts once it has a checkpoint; the first begins at genesis and needs none.
        let number = generations
            .iter()
            .rev()
            .find(|(number, files)| **number == 0 || !files.checkpoints.is_empty())
            .map_or(0, |(number, _)| *number);
        let files = generations.remove(&number).unwrap_or_default();
        for other in generations.into_values() {
            for path in other.checkpoints.values().chain(other.segments.values()) {
                fs::remove_file(path)?;
            }
        }
        let checkpoint = newest_checkpoint(&files, genesis)?;
        let (blocks, replay, torn_bytes, tail) = read_segments(&files, checkpoint.as_ref(), genesis)?;
        let after = files.segments.keys().next_back().copied();
        let after = after.unwrap_or_else(|| checkpoint.as_ref().map_or(0, |state| state.height));
        let mut file = fs::append(segment_path(&settings.folder, number, after))?;
        if file.len() > tail {
            file.truncate(tail)?;
        }
        let journal = Self { settings, generation: number, file, file_begins_after: after, last_begin: None };
        Ok((journal, Recovered { checkpoint, blocks, replay, torn_bytes }))
    }

    /// Writes a block, and a checkpoint of the state after it when one is due.
    pub fn append(&mut self, block: &Arc<Block>, state: &State) -> Result<(), JournalError> {
        let same = self.last_begin.as_ref().is_some_and(|last| **last == *block.begin_events);
        let payload = BlockRecord::of(block, !same).encode_to_vec();
        let before = self.file.len();
        if let Err(error) = self.file.write_all(&frame(&payload)) {
            // Leave no half frame behind, in case the disk recovers.
            self.file.truncate(before)?;
            return Err(error.into());
        }
        self.last_begin = Some(Arc::clone(&block.begin_events));
        if (block.height() - self.file_begins_after).unsigned_abs() >= self.settings.checkpoint_blocks {
            self.rotate(state)?;
        }
        Ok(())
    }

    fn rotate(&mut self, state: &State) -> Result<(), JournalError> {
        let height = state.height;
        let folder = &self.settings.folder;
        fs::write_atomic(checkpoint_path(folder, self.generation, height), &frame(&record::encode_state(state)))?;
        self.file = fs::append(segment_path(folder, self.generation, height))?;
        self.file_begins_after = height;
        self.last_begin = None;
        self.prune(height)
    }

    fn prune(&self, height: i64) -> Result<(), JournalError> {
        let mut generations = scan(&self.settings.folder)?;
        let Some(files) = generations.remove(&self.generation) else { return Ok(()) };
        for path in files.checkpoints.values().rev().skip(CHECKPOINTS_KEPT) {
            fs::remove_file(path)?;
        }
        // What lies before the older checkpoint is only there to be asked for.
        let oldest_checkpoint = files.checkpoints.keys().rev().nth(CHECKPOINTS_KEPT - 1).copied().unwrap_or(0);
        let needed_from = height.saturating_sub_unsigned(self.settings.blocks_kept).min(oldest_checkpoint);
        let ends: Vec<i64> = files.segments.keys().skip(1).copied().collect();
        for ((_, path), end) in files.segments.iter().zip(ends) {
            if end <= needed_from {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Begins anew from a state and the blocks before it, and removes what was.
    pub fn restart(&mut self, state: &State, blocks: &VecDeque<Arc<Block>>) -> Result<(), JournalError> {
        let folder = self.settings.folder.clone();
        let generation = self.generation + 1;
        let first = blocks.front().map_or(state.height, |block| block.height() - 1);
        let mut past = fs::append(segment_path(&folder, generation, first))?;
        past.truncate(0)?;
        let mut begin = None;
        for block in blocks {
            let same = begin.as_ref().is_some_and(|last: &Arc<[_]>| **last == *block.begin_events);
            past.write_all(&frame(&BlockRecord::of(block, !same).encode_to_vec()))?;
            begin = Some(Arc::clone(&block.begin_events));
        }
        // The checkpoint makes the generation count; from here on the old one is garbage.
        fs::write_atomic(checkpoint_path(&folder, generation, state.height), &frame(&record::encode_state(state)))?;
        self.file =
            if first == state.height { past } else { fs::append(segment_path(&folder, generation, state.height))? };
        self.generation = generation;
        self.file_begins_after = state.height;
        self.last_begin = None;
        for (number, files) in scan(&folder)? {
            if number != generation {
                for path in files.checkpoints.values().chain(files.segments.values()) {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    /// Waits until all is on the disk, for an orderly end.
    pub fn sync(&self) -> Result<(), JournalError> {
        Ok(self.file.sync_data()?)
    }
}

fn check_identity(folder: &Path, genesis_hash: &Hash) -> Result<(), JournalError> {
    let path = folder.join(IDENTITY_FILE);
    let identity = format!("pocket devnet journal 1\ngenesis {}\n", hex::encode(genesis_hash));
    if !fs::exists(&path) {
        return Ok(fs::write_atomic(&path, identity.as_bytes())?);
    }
    if fs::read(&path)? != identity.as_bytes() {
        return Err(JournalError::OtherChain { folder: folder.to_owned() });
    }
    Ok(())
}

fn newest_checkpoint(files: &Generation, genesis: &State) -> Result<Option<State>, JournalError> {
    let mut damage = None;
    for path in files.checkpoints.values().rev() {
        let bytes = fs::read(path)?;
        let (payloads, _) = unframe(&bytes);
        match payloads.first().map(|payload| record::decode_state(payload, genesis)) {
            Some(Ok(state)) => return Ok(Some(state)),
            Some(Err(problem)) => {
                damage = Some(JournalError::Damaged { file: path.clone(), offset: 0, problem });
            }
            None => {
                let problem = "its checksum does not match".to_owned();
                damage = Some(JournalError::Damaged { file: path.clone(), offset: 0, problem });
            }
        }
    }
    damage.map_or(Ok(None), Err)
}

type Segments = (VecDeque<Arc<Block>>, Vec<BlockRecord>, u64, u64);

/// Reads blocks up to the checkpoint and records after it, how many bytes are torn, and where the last file ends well.
fn read_segments(files: &Generation, checkpoint: Option<&State>, genesis: &State) -> Result<Segments, JournalError> {
    let replay_after = checkpoint.map_or(0, |state| state.height);
    let mut blocks = VecDeque::new();
    let mut replay = Vec::new();
    let mut torn = 0;
    let mut tail = 0;
    let last_path = files.segments.values().next_back();
    let mut expected = None;
    for path in files.segments.values() {
        let bytes = fs::read(path)?;
        let (payloads, whole) = unframe(&bytes);
        tail = whole as u64;
        if whole < bytes.len() {
            if Some(path) != last_path {
                let problem = "a frame is cut short or its checksum does not match".to_owned();
                return Err(JournalError::Damaged { file: path.clone(), offset: tail, problem });
            }
            torn = (bytes.len() - whole) as u64;
        }
        let mut begin = None;
        for payload in payloads {
            let damaged = |problem: String| JournalError::Damaged { file: path.clone(), offset: 0, problem };
            let record = BlockRecord::decode(payload).map_err(|error| damaged(error.to_string()))?;
            if expected.is_some_and(|expected| expected != record.height) {
                return Err(damaged(format!("block {} is out of order", record.height)));
            }
            expected = Some(record.height + 1);
            if record.height > replay_after {
                replay.push(record);
            } else {
                let block = record.to_block(genesis, &mut begin).map_err(damaged)?;
                blocks.push_back(Arc::new(block));
            }
        }
    }
    if let Some(first) = replay.first()
        && first.height != replay_after + 1
    {
        let file = last_path.cloned().unwrap_or_default();
        let problem = format!("blocks {} to {} are missing", replay_after + 1, first.height - 1);
        return Err(JournalError::Damaged { file, offset: 0, problem });
    }
    Ok((blocks, replay, torn, tail))
}
