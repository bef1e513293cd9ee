//! What a store shows of itself, under names of the catalogue.

use std::time::Duration;

use pocket_runtime::metrics::{Histogram, IntCounterVec, IntGauge, Registry};

use crate::error::AppendError;
use crate::leaf::CommitOutcome;
use crate::relay::LogPosition;

#[derive(Debug)]
pub(crate) struct Metrics {
    appends: IntCounterVec,
    append_seconds: Histogram,
    group_relays: Histogram,
    waiting: IntGauge,
    commits: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            appends: registry.counter_vec("pocket_store_appends_total"),
            append_seconds: registry.histogram("pocket_store_append_duration_seconds"),
            group_relays: registry.histogram("pocket_store_append_group_relays"),
            waiting: registry.gauge("pocket_store_appends_waiting"),
            commits: registry.counter_vec("pocket_store_commits_total"),
        }
    }

    pub(crate) fn appended(&self, result: &Result<LogPosition, AppendError>, took: Duration, waiting: usize) {
        let outcome = match result {
            Ok(_) => "logged",
            Err(AppendError::Invalid { .. }) => "invalid",
            Err(AppendError::QueueFull { .. }) => "queue_full",
            Err(AppendError::Closed { .. }) => "closed",
            Err(AppendError::Log { .. }) => "failed",
        };
        self.appends.with_label_values(&[outcome]).inc();
        if result.is_ok() {
            self.append_seconds.observe(took.as_secs_f64());
        }
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    #[expect(clippy::cast_precision_loss, reason = "a group is some hundreds of relays")]
    pub(crate) fn grouped(&self, relays: usize) {
        self.group_relays.observe(relays as f64);
    }

    pub(crate) fn committed(&self, outcome: &CommitOutcome) {
        for (word, count) in
            [("leaf", outcome.new_leaves), ("collapsed", outcome.collapsed), ("rejected", outcome.rejected)]
        {
            self.commits.with_label_values(&[word]).inc_by(count);
        }
    }
}
