//! The spool: relays on this machine's disk while the log is away.
//!
//! A folder of segments that are appended to, replayed oldest first, and deleted when every relay of one stands in the
//! log. A crash in the middle of a replay repeats a segment; a relay that is logged twice is one leaf.
//!
//! A record is its length (4 bytes, little-endian), the first 4 bytes of its SHA-256, and its bytes. A record that a crash
//! cut short was never acknowledged; it ends its segment.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use pocket_runtime::fs::{self, AppendFile, FsError, Lock, LockError};
use pocket_runtime::task;
use sha2::{Digest, Sha256};

/// A segment longer than this is closed.
const SEGMENT_BYTES_MAX: u64 = 8 << 20;

/// Room that must be left for new work to be taken: more than a few relays in flight need.
const RESERVE_BYTES: u64 = 1 << 20;

const HEAD_BYTES: usize = 8;
const PREFIX: &str = "relays-";
const SUFFIX: &str = ".spool";

/// A bounded queue on disk.
pub(crate) struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    /// Whether what is spooled must survive loss of power.
    synced: bool,
    // Locked to write a record and to begin or end a segment, never over an await.
    state: Mutex<State>,
    _lock: Lock,
}

#[derive(Debug, Default)]
struct State {
    active: Option<(u64, AppendFile)>,
    /// Segments that are closed, oldest first, with their lengths.
    closed: std::collections::VecDeque<(u64, u64)>,
    next: u64,
}

/// Why a relay was not spooled, or the spool not opened.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It holds as much as it may.
    #[error("the spool holds {bytes} bytes, its limit is {limit} (spool_bytes_max)")]
    Full {
        /// Bytes held.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The disk refused.
    #[error("failed to write to the spool")]
    Disk(#[from] FsError),
    /// Another process has it.
    #[error("failed to take the spool folder; give each relayer a `spool_dir` of its own")]
    Taken(#[from] LockError),
}

/// A closed segment, to be replayed.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u64,
    pub(crate) records: Vec<Bytes>,
    /// Bytes at its end that are no whole record.
    pub(crate) torn_bytes: usize,
}

impl Spool {
    /// Opens the spool in `folder`, with what an earlier process left there.
    pub(crate) fn open(folder: &Path, bytes_max: u64, synced: bool) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder)?;
        let lock = Lock::exclusive(folder.join("lock"), &format!("process {}", std::process::id()))?;
        let mut closed = Vec::new();
        for path in fs::list(folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number =
                name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX)).and_then(|n| n.parse().ok());
            if let Some(number) = number {
                closed.push((number, fs::length(&path)?));
            }
        }
        closed.sort_unstable();
        let next = closed.last().map_or(1, |(number, _)| number + 1);
        let state = State { active: None, closed: closed.into(), next };
        Ok(Self { folder: folder.to_owned(), bytes_max, synced, state: Mutex::new(state), _lock: lock })
    }

    /// Returns how many bytes it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Returns whether new work may be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes().saturating_add(RESERVE_BYTES.min(self.bytes_max / 2)) <= self.bytes_max
    }

    /// Writes a relay; returns when it survives `kill -9`, or loss of power where that is asked for.
    pub(crate) async fn push(&self, record: &[u8]) -> Result<(), SpoolError> {
        let sync = self.write(record)?;
        if let Some(handle) = sync {
            let synced = task::blocking("relayer spool sync", move || handle.sync_data()).await;
            // A panic there has been logged; the bytes are with the kernel.
            synced.unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    fn write(&self, record: &[u8]) -> Result<Option<fs::SyncHandle>, SpoolError> {
        let framed = frame(record);
        let mut state = self.lock();
        let bytes = state.bytes();
        if bytes + framed.len() as u64 > self.bytes_max {
            return Err(SpoolError::Full { bytes, limit: self.bytes_max });
        }
        if state.active.as_ref().is_some_and(|(_, file)| file.len() >= SEGMENT_BYTES_MAX) {
            state.close();
        }
        if state.active.is_none() {
            let number = state.next;
            let file = fs::append(self.path(number))?;
            state.next += 1;
            state.active = Some((number, file));
        }
        let (_, file) = state.active.as_mut().expect("a segment has just been opened");
        let length = file.len();
        if let Err(error) = file.write_all(&framed) {
            // A part of a record would end the segment for everything after it.
            if file.truncate(length).is_err() {
                state.close();
            }
            return Err(error.into());
        }
        Ok(if self.synced { Some(file.sync_handle()?) } else { None })
    }

    /// Returns the oldest segment, closing the one being written if there is no other.
    pub(crate) fn oldest(&self) -> Result<Option<Segment>, FsError> {
        let number = {
            let mut state = self.lock();
            if state.closed.is_empty() {
                state.close();
            }
            match state.closed.front() {
                Some((number, _)) => *number,
                None => return Ok(None),
            }
        };
        let bytes = Bytes::from(fs::read(self.path(number))?);
        let (records, torn_bytes) = unframe(&bytes);
        Ok(Some(Segment { number, records, torn_bytes }))
    }

    /// Deletes a segment whose relays all stand in the log.
    pub(crate) fn done(&self, segment: &Segment) -> Result<(), FsError> {
        fs::remove_file(self.path(segment.number))?;
        self.lock().closed.retain(|(number, _)| *number != segment.number);
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{number:010}{SUFFIX}"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bytes(&self) -> u64 {
        let active = self.active.as_ref().map_or(0, |(_, file)| file.len());
        self.closed.iter().map(|(_, length)| length).sum::<u64>() + active
    }

    fn close(&mut self) {
        if let Some((number, file)) = self.active.take() {
            self.closed.push_back((number, file.len()));
        }
    }
}

fn frame(record: &[u8]) -> Vec<u8> {
    let length = u32::try_from(record.len()).expect("a relay is smaller than the largest request body and 4 GiB");
    let mut framed = Vec::with_capacity(HEAD_BYTES + record.len());
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&Sha256::digest(record)[..4]);
    framed.extend_from_slice(record);
    framed
}

fn unframe(bytes: &Bytes) -> (Vec<Bytes>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + HEAD_BYTES) {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let from = at + HEAD_BYTES;
        let Some(record) = from.checked_add(length).and_then(|to| bytes.get(from..to)) else { break };
        if Sha256::digest(record)[..4] != head[4..] {
            break;
        }
        records.push(bytes.slice(from..from + length));
        at = from + length;
    }
    (records, bytes.len() - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("pocket-spool-{name}-{}", std::process::id()));
        fs::remove_dir_all(&folder).expect("a temporary folder");
        folder
    }

    fn records(spool: &Spool) -> Vec<Bytes> {
        spool.oldest().expect("readable").map_or_else(Vec::new, |segment| segment.records)
    }

    #[tokio::test]
    async fn what_was_spooled_is_there_after_a_restart_and_gone_when_done() {
        let folder = folder("restart");
        let spool = Spool::open(&folder, 1 << 20, true).expect("opens");
        spool.push(b"one").await.expect("room");
        spool.push(b"two").await.expect("room");
        drop(spool);
        let spool = Spool::open(&folder, 1 << 20, false).expect("opens again");
        spool.push(b"three").await.expect("room");
        assert_eq!(records(&spool), ["one", "two"]);
        let segment = spool.oldest().expect("readable").expect("there");
        spool.done(&segment).expect("deleted");
        assert_eq!(records(&spool), ["three"]);
        let segment = spool.oldest().expect("readable").expect("there");
        spool.done(&segment).expect("deleted");
        assert!(spool.is_empty());
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[tokio::test]
    async fn a_torn_record_ends_its_segment_alone() {
        let folder = folder("torn");
        let spool = Spool::open(&folder, 1 << 20, false).expect("opens");
        spool.push(b"whole").await.expect("room");
        drop(spool);
        let mut file = fs::append(folder.join("relays-0000000001.spool")).expect("there");
        file.write_all(&frame(b"cut short")[..12]).expect("written");
        let spool = Spool::open(&folder, 1 << 20, false).expect("opens");
        spool.push(b"later").await.expect("room");
        let segment = spool.oldest().expect("readable").expect("there");
        assert_eq!((segment.records.clone(), segment.torn_bytes), (vec![Bytes::from_static(b"whole")], 12));
        spool.done(&segment).expect("deleted");
        assert_eq!(records(&spool), ["later"]);
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[tokio::test]
    async fn a_full_spool_refuses() {
        let folder = folder("full");
        let spool = Spool::open(&folder, 64, false).expect("opens");
        assert!(spool.has_room());
        spool.push(&[7; 40]).await.expect("room");
        assert!(!spool.has_room());
        assert!(matches!(spool.push(&[7; 40]).await, Err(SpoolError::Full { bytes: 48, limit: 64 })));
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn one_relayer_has_it() {
        let folder = folder("lock");
        let _spool = Spool::open(&folder, 64, false).expect("opens");
        assert!(matches!(Spool::open(&folder, 64, false), Err(SpoolError::Taken(_))));
        fs::remove_dir_all(&folder).expect("removed");
    }
}
