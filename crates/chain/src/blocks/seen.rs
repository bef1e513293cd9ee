//! What has been seen of a chain, and what the next block is to it.

use std::collections::BTreeMap;

use super::Block;

/// Blocks kept for those who come late; further back they are read from the node again.
const KEPT_MAX: usize = 256;

/// Blocks whose hashes are remembered in part, to tell another history from a node that is behind: hours of the quickest
/// development chain.
const MARKS_MAX: usize = 65_536;

/// A block as a node shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) block: Block,
    /// Hash of the block before it, where there is one.
    pub(crate) parent: Option<[u8; 32]>,
}

/// What a block is to those seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is newer than all of them.
    Newer,
    /// It is one of them, or older: the node is no farther, or behind.
    Old,
    /// It cannot follow from them. A chain never does that, except a development chain that was restored.
    OtherHistory,
}

/// As much of a hash as tells two blocks of one height apart.
type Mark = [u8; 8];

fn mark(hash: &[u8; 32]) -> Mark {
    let mut mark = Mark::default();
    mark.copy_from_slice(&hash[..8]);
    mark
}

pub(super) struct Seen {
    latest: Block,
    /// The last blocks by height.
    kept: BTreeMap<i64, Block>,
    /// More of them, of which only this is known.
    marks: BTreeMap<i64, Mark>,
}

impl Seen {
    pub(super) fn new(first: Block) -> Self {
        let mut seen = Self { latest: first, kept: BTreeMap::new(), marks: BTreeMap::new() };
        seen.add(first);
        seen
    }

    /// The newest block.
    pub(super) fn latest(&self) -> Block {
        self.latest
    }

    /// The block at `height`, while it is kept.
    pub(super) fn kept(&self, height: i64) -> Option<Block> {
        self.kept.get(&height).copied()
    }

    /// Takes a block that a node shows, unless it is an old one, and says which it was.
    pub(super) fn take(&mut self, found: &Found) -> Place {
        let place = self.place(found);
        if place == Place::OtherHistory {
            self.kept.clear();
            self.marks.clear();
        }
        if place != Place::Old {
            self.add(found.block);
        }
        place
    }

    fn place(&self, found: &Found) -> Place {
        let Found { block, parent } = found;
        let differs = |height: i64, hash: &[u8; 32]| self.marks.get(&height).is_some_and(|known| *known != mark(hash));
        if differs(block.height, &block.hash) || parent.is_some_and(|parent| differs(block.height - 1, &parent)) {
            Place::OtherHistory
        } else if block.height <= self.latest.height {
            Place::Old
        } else {
            Place::Newer
        }
    }

    fn add(&mut self, block: Block) {
        self.latest = block;
        self.kept.insert(block.height, block);
        while self.kept.len() > KEPT_MAX {
            self.kept.pop_first();
        }
        self.marks.insert(block.height, mark(&block.hash));
        while self.marks.len() > MARKS_MAX {
            self.marks.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use pocket_runtime::clock::UnixTime;

    use super::*;

    fn hash(history: u8, height: i64) -> [u8; 32] {
        let mut hash = [history; 32];
        hash[..7].copy_from_slice(&height.to_be_bytes()[1..]);
        hash
    }

    /// The block at `height` of a history that left the first one after the block at `fork`.
    fn found(history: u8, fork: i64, height: i64) -> Found {
        let hash_at = |height| hash(if height > fork { history } else { 0 }, height);
        let block = Block { height, hash: hash_at(height), time: UnixTime::from_seconds(0) };
        Found { block, parent: (height > 1).then(|| hash_at(height - 1)) }
    }

    fn up_to(height: i64) -> Seen {
        let mut seen = Seen::new(found(0, 0, 1).block);
        for height in 2..=height {
            assert_eq!(seen.take(&found(0, 0, height)), Place::Newer);
        }
        seen
    }

    #[track_caller]
    fn check(seen: &mut Seen, next: Found, place: Place, latest: i64) {
        assert_eq!(seen.take(&next), place);
        assert_eq!(seen.latest().height, latest);
    }

    #[test]
    fn a_node_that_is_behind_changes_nothing_however_far() {
        let mut seen = up_to(1_000);
        for height in [999, 998, 900, 500, 2, 1] {
            check(&mut seen, found(0, 0, height), Place::Old, 1_000);
        }
        check(&mut seen, found(0, 0, 1_000), Place::Old, 1_000);
        check(&mut seen, found(0, 0, 1_001), Place::Newer, 1_001);
    }

    #[test]
    fn a_block_never_seen_in_its_place_changes_nothing_while_it_may_be_an_old_one() {
        let mut seen = Seen::new(found(0, 0, 1_000).block);
        check(&mut seen, found(7, 0, 900), Place::Old, 1_000);
    }

    #[test]
    fn another_block_at_a_known_height_is_another_history() {
        let mut seen = up_to(1_000);
        check(&mut seen, found(7, 400, 401), Place::OtherHistory, 401);
        check(&mut seen, found(7, 400, 402), Place::Newer, 402);
        assert_eq!(seen.kept(401).map(|block| block.hash), Some(hash(7, 401)));
        assert_eq!(seen.kept(900), None, "what was undone is forgotten");
        // And what was before it is shown by a node that is behind.
        check(&mut seen, found(7, 400, 300), Place::Old, 402);
    }

    #[test]
    fn a_newer_block_on_another_parent_is_another_history() {
        let mut seen = up_to(50);
        check(&mut seen, found(7, 40, 51), Place::OtherHistory, 51);
        assert_eq!(seen.kept(45), None);
    }

    #[test]
    fn the_block_restored_to_is_an_old_one_until_another_follows() {
        let mut seen = up_to(50);
        check(&mut seen, found(7, 40, 40), Place::Old, 50);
        check(&mut seen, found(7, 40, 41), Place::OtherHistory, 41);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::new(found(0, 0, 1).block);
        let past = i64::try_from(MARKS_MAX).expect("a small number") + 10;
        for height in 2..=past {
            seen.take(&Found { parent: None, ..found(0, 0, height) });
        }
        assert_eq!((seen.kept.len(), seen.marks.len()), (KEPT_MAX, MARKS_MAX));
        check(&mut seen, found(7, 0, 10), Place::Old, past);
        check(&mut seen, found(7, 0, 100), Place::OtherHistory, 100);
    }
}
