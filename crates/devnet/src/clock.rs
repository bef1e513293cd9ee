//! When blocks are made, and what time they bear.
//!
//! Block times lie on a grid: genesis time, then one interval more per block, whatever the wall clock says. So the same
//! seed with the same transactions at the same heights gives the same block hashes, however late a block was made.

use crate::moment::Time;

/// A block is at least this much later than the one before, whatever the skew.
const STEP_NANOS_MIN: i128 = 1_000_000;

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At a fixed interval.
    Interval,
    /// As soon as a transaction waits.
    Instant,
    /// When told to.
    Manual,
}

/// The clock of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// When blocks are made.
    pub pace: Pace,
    /// From one block's time to the next, in milliseconds; also how long a block takes at the pace `Interval`.
    pub interval_ms: u64,
    /// A height of the grid, and its time without any skew.
    pub(crate) base: (i64, Time),
}

impl Clock {
    /// Starts with the first block at `genesis`.
    pub fn new(pace: Pace, interval_ms: u64, genesis: Time) -> Self {
        Self { pace, interval_ms, base: (1, genesis) }
    }

    /// Returns the time of the block at `height`, which follows one of time `last`.
    pub fn time_of(&self, height: i64, last: Time, skew_nanos: i128) -> Time {
        let skewed = self.on_grid(height).plus_nanos(skew_nanos);
        if height == 1 { skewed } else { skewed.max(last.plus_nanos(STEP_NANOS_MIN)) }
    }

    /// Returns the time of the block at `height` without any skew.
    pub fn on_grid(&self, height: i64) -> Time {
        let (base_height, base_time) = self.base;
        let intervals = i128::from(height - base_height);
        base_time.plus_nanos(intervals * i128::from(self.interval_ms) * 1_000_000)
    }

    /// Moves the grid's origin to a block that was made, so that a new interval counts from there.
    pub fn rebase(&mut self, height: i64, time: Time, skew_nanos: i128) {
        if height > 0 {
            self.base = (height, time.plus_nanos(-skew_nanos));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENESIS: Time = Time { seconds: 1_000, nanos: 0 };

    #[test]
    fn times_lie_on_a_grid_whatever_happened_before() {
        let clock = Clock::new(Pace::Interval, 150, GENESIS);
        assert_eq!(clock.time_of(1, GENESIS, 0), GENESIS);
        assert_eq!(
            clock.time_of(11, Time { seconds: 1_001, nanos: 0 }, 0),
            Time { seconds: 1_001, nanos: 500_000_000 }
        );
    }

    #[test]
    fn time_never_goes_back() {
        let clock = Clock::new(Pace::Interval, 150, GENESIS);
        let last = Time { seconds: 2_000, nanos: 0 };
        assert_eq!(clock.time_of(5, last, -60_000_000_000), last.plus_nanos(STEP_NANOS_MIN));
    }

    #[test]
    fn a_new_interval_counts_from_the_newest_block() {
        let mut clock = Clock::new(Pace::Interval, 150, GENESIS);
        let last = clock.time_of(10, GENESIS, 0);
        clock.rebase(10, last, 0);
        clock.interval_ms = 1_000;
        assert_eq!(clock.time_of(11, last, 0), last.plus_nanos(1_000_000_000));
    }
}
