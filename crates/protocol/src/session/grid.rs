//! The session grid (protocol §4.1).

use crate::height::Height;

/// How heights are cut into sessions, from the shared parameters in force.
///
/// A change of session length anchors a new grid at the first height of the first longer (or shorter) session, and goes
/// on counting from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Length of a session in blocks. Less than 1 is read as 1: the chain never stores it.
    pub session_blocks: Height,
    /// First height of this grid. Zero or less, or above the height asked for, means 1.
    pub anchor_height: Height,
    /// Number of the session that begins at the anchor. Zero or less means 1.
    pub anchor_number: i64,
}

/// A run of blocks in which one application is served by one set of suppliers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    /// Counts from 1; 0 before the chain's first block.
    pub number: i64,
    /// First height, inclusive.
    pub start: Height,
    /// Last height, inclusive.
    pub end: Height,
}

impl Session {
    /// Returns the first height of the next session.
    #[must_use]
    pub fn next_start(&self) -> Height {
        self.end.saturating_add(1)
    }

    /// Tells whether the session begins with the block at `height`.
    #[must_use]
    pub fn starts_at(&self, height: Height) -> bool {
        self.start == height
    }

    /// Tells whether the session ends with the block at `height`.
    #[must_use]
    pub fn ends_at(&self, height: Height) -> bool {
        self.end == height
    }
}

impl Grid {
    /// Returns the session that `height` falls in.
    ///
    /// Heights before the first block belong to the empty session 0, as on the chain.
    #[must_use]
    pub fn session_at(&self, height: Height) -> Session {
        if height <= 0 {
            return Session { number: 0, start: 0, end: 0 };
        }
        let blocks = self.session_blocks.max(1);
        let (anchor_height, anchor_number) = self.anchor_at(height);
        let sessions_since_anchor = (height - anchor_height) / blocks;
        let start = anchor_height + sessions_since_anchor * blocks;

        Session {
            number: anchor_number.saturating_add(sessions_since_anchor),
            start,
            end: start.saturating_add(blocks - 1),
        }
    }

    /// A height below the anchor is read as if the grid had always begun at block 1: the chain does so, and a miner
    /// that did otherwise would look for claims where the chain has none.
    fn anchor_at(&self, height: Height) -> (Height, i64) {
        if self.anchor_height <= 0 || self.anchor_height > height {
            return (1, 1);
        }
        (self.anchor_height, self.anchor_number.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Grid = Grid { session_blocks: 60, anchor_height: 1, anchor_number: 1 };
    const AFTER: Grid = Grid { session_blocks: 7, anchor_height: 181, anchor_number: 4 };

    #[test]
    fn a_change_of_length_goes_on_counting() {
        assert_eq!(BEFORE.session_at(130), Session { number: 3, start: 121, end: 180 });
        assert_eq!(AFTER.session_at(181), Session { number: 4, start: 181, end: 187 });
        assert_eq!(AFTER.session_at(188).number, 5);
    }

    #[test]
    fn a_height_before_the_anchor_is_counted_from_block_one() {
        assert_eq!(AFTER.session_at(8), Session { number: 2, start: 8, end: 14 });
    }

    #[test]
    fn every_height_lies_in_its_session_and_sessions_meet() {
        for height in 1..500 {
            let session = AFTER.session_at(height);
            assert!((session.start..=session.end).contains(&height), "{height}");
            assert_eq!(AFTER.session_at(session.start), session);
        }
    }

    #[test]
    fn impossible_grids_do_not_panic() {
        let absurd = Grid { session_blocks: 0, anchor_height: i64::MIN, anchor_number: i64::MAX };
        assert_eq!(absurd.session_at(i64::MAX).end, i64::MAX);
        let long = Grid { session_blocks: i64::MAX, anchor_height: 5, anchor_number: i64::MAX };
        assert_eq!(long.session_at(i64::MAX - 1).start, 5);
    }
}
