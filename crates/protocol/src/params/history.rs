//! Parameters at a height, and how updates enter the history (protocol §4.2).

use std::collections::BTreeMap;

use super::{Session, Shared};
use crate::error::{ChainError, GrpcStatus};
use crate::height::Height;

/// Values by the height they hold from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History<T> {
    entries: BTreeMap<Height, T>,
}

impl<T> History<T> {
    /// Returns a history without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Tells whether nothing was ever recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Records that `value` holds from `height`; replaces what was recorded for that height.
    pub fn insert(&mut self, height: Height, value: T) {
        self.entries.insert(height, value);
    }

    /// Returns the value recorded to hold from exactly `height`.
    #[must_use]
    pub fn starting_at(&self, height: Height) -> Option<&T> {
        self.entries.get(&height)
    }

    /// Returns the value in force at `height`: that of the latest entry at or below it; `None` before the first entry,
    /// where the live value counts.
    #[must_use]
    pub fn at(&self, height: Height) -> Option<&T> {
        self.entries.range(..=height).next_back().map(|(_, value)| value)
    }

    /// Lists the entries, earliest first.
    pub fn iter(&self) -> impl Iterator<Item = (Height, &T)> {
        self.entries.iter().map(|(height, value)| (*height, value))
    }

    /// Drops the entries that nobody can ask for any more: those superseded at or before `height`.
    pub fn prune_before(&mut self, height: Height) {
        if let Some(kept) = self.entries.range(..=height).next_back().map(|(kept, _)| *kept) {
            self.entries = self.entries.split_off(&kept);
        }
    }
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> FromIterator<(Height, T)> for History<T> {
    fn from_iter<I: IntoIterator<Item = (Height, T)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

/// The shared module's parameters: live ones and their history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedState {
    /// What a query without a height returns.
    pub live: Shared,
    /// What holds from which height.
    pub history: History<Shared>,
}

impl SharedState {
    /// Returns the state of a chain whose parameters have never changed.
    #[must_use]
    pub const fn new(live: Shared) -> Self {
        Self { live, history: History::new() }
    }

    /// Returns the parameters in force at `height`.
    #[must_use]
    pub fn at(&self, height: Height) -> &Shared {
        self.history.at(height).unwrap_or(&self.live)
    }

    /// Applies an update executed in the block at `height`, as `MsgUpdateParams` does. The two anchor fields of `new`
    /// are ignored.
    ///
    /// An update starts from the live parameters, so one that follows a deferred change in the same session overwrites
    /// it: the chain's behaviour, kept here.
    ///
    /// # Errors
    /// `InvalidArgument` with the rule of §4.8 that `new` breaks; nothing is changed then.
    pub fn update(&mut self, height: Height, new: Shared) -> Result<(), ChainError> {
        new.validate().map_err(|error| error.with_status(GrpcStatus::InvalidArgument))?;

        if self.history.is_empty() {
            let first = Shared { session_grid_anchor_height: 1, session_number_at_anchor: 1, ..self.live };
            self.history.insert(1, first);
        }
        let before = *self.at(height);
        let session = before.session_at(height);
        let next_start = session.next_start();

        let mut entry = Shared {
            session_grid_anchor_height: self.live.session_grid_anchor_height,
            session_number_at_anchor: self.live.session_number_at_anchor,
            ..new
        };
        if new.num_blocks_per_session != before.num_blocks_per_session {
            entry.session_grid_anchor_height = next_start.unsigned_abs();
            entry.session_number_at_anchor = session.number.saturating_add(1).unsigned_abs();
        }
        // Without a change of timing the live parameters change at once, while the history says "from the next
        // session": prices of running sessions do not move.
        if new.has_timing_of(&self.live) {
            self.live = entry;
        }
        self.history.insert(next_start, entry);
        Ok(())
    }

    /// Applies `MsgUpdateParam`: one parameter by its protobuf name.
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown name or a broken rule.
    pub fn update_one(&mut self, height: Height, name: &str, value: u64) -> Result<(), ChainError> {
        let new = self.live.with(name, value).map_err(|error| error.with_status(GrpcStatus::InvalidArgument))?;
        self.update(height, new)
    }

    /// Ends the block at `height`: a change of timing that waited for it becomes live. Returns whether it did.
    pub fn end_block(&mut self, height: Height) -> bool {
        match self.history.starting_at(height) {
            Some(entry) if *entry != self.live && entry.validate().is_ok() => {
                self.live = *entry;
                true
            }
            _ => false,
        }
    }
}

/// The session module's parameters: live ones and their history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// What a query without a height returns, and what holds before the first entry of the history.
    pub live: Session,
    /// What holds from which height.
    pub history: History<Session>,
}

impl SessionState {
    /// Returns the state of a chain whose parameters have never changed.
    #[must_use]
    pub const fn new(live: Session) -> Self {
        Self { live, history: History::new() }
    }

    /// Returns the parameters in force at `height`. Heights before the first entry see the *live* parameters: the
    /// chain's behaviour.
    #[must_use]
    pub fn at(&self, height: Height) -> &Session {
        self.history.at(height).unwrap_or(&self.live)
    }

    /// Applies an update executed in the block at `height`, with the shared parameters in force there.
    ///
    /// # Errors
    /// `InvalidArgument` when a session would have no supplier; nothing is changed then.
    pub fn update(&mut self, height: Height, new: Session, shared: &Shared) -> Result<(), ChainError> {
        new.validate().map_err(|error| error.with_status(GrpcStatus::InvalidArgument))?;
        if self.history.is_empty() {
            self.history.insert(height, self.live);
        }
        self.history.insert(shared.session_at(height).next_start(), new);
        self.live = new;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_session_length_waits_for_the_next_session_and_anchors_there() {
        let mut state = SharedState::new(Shared { num_blocks_per_session: 60, ..Shared::DEFAULT });
        let new = Shared { num_blocks_per_session: 9, ..Shared::DEFAULT };
        state.update(130, new).expect("a valid update");

        assert_eq!(state.live.num_blocks_per_session, 60);
        assert_eq!(state.at(180).session_at(180).number, 3);
        assert_eq!(state.at(181).session_at(181), crate::session::Session { number: 4, start: 181, end: 189 });
        assert!(!state.end_block(180) && state.end_block(181));
        assert_eq!(state.live.session_grid_anchor_height, 181);
    }

    #[test]
    fn a_price_is_live_at_once_but_holds_from_the_next_session() {
        let mut state = SharedState::new(Shared::DEFAULT);
        state.update_one(23, "compute_units_to_tokens_multiplier", 99).expect("a valid update");
        assert_eq!(state.live.compute_units_to_tokens_multiplier, 99);
        assert_eq!(state.at(30).compute_units_to_tokens_multiplier, 42_000_000);
        assert_eq!(state.at(31).compute_units_to_tokens_multiplier, 99);
    }

    #[test]
    fn a_second_update_in_a_session_overwrites_a_deferred_one() {
        let mut state = SharedState::new(Shared::DEFAULT);
        state.update_one(23, "num_blocks_per_session", 20).expect("a valid update");
        state.update_one(25, "compute_units_to_tokens_multiplier", 77).expect("a valid update");
        assert_eq!(state.at(31).num_blocks_per_session, 10);
    }

    #[test]
    fn an_invalid_update_changes_nothing() {
        let mut state = SharedState::new(Shared::DEFAULT);
        let error = state.update_one(23, "grace_period_end_offset_blocks", 10).expect_err("grace is too long");
        assert_eq!(error.status, Some(GrpcStatus::InvalidArgument));
        assert!(state.update_one(23, "session_grid_anchor_height", 5).is_err());
        assert_eq!(state, SharedState::new(Shared::DEFAULT));
    }

    #[test]
    fn pruning_keeps_what_is_in_force() {
        let mut history: History<u8> = [(1, 1), (11, 2), (21, 3)].into_iter().collect();
        history.prune_before(20);
        assert_eq!(history.iter().collect::<Vec<_>>(), [(11, &2), (21, &3)]);
        assert_eq!(history.at(20), Some(&2));
    }
}
