//! What operators see of the log: counts and times.

use std::{sync::atomic::AtomicI64, time::Duration};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// 100 us to 1 s.
const BUCKETS: [f64; 13] = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0];

#[derive(Clone)]
pub(crate) struct LogMetrics {
    leaves: Counter,
    size: Gauge<i64, AtomicI64>,
    failures: Counter,
    commit_duration: Histogram,
}

impl Default for LogMetrics {
    fn default() -> Self {
        Self {
            leaves: Counter::default(),
            size: Gauge::default(),
            failures: Counter::default(),
            commit_duration: Histogram::new(BUCKETS),
        }
    }
}

impl LogMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("log_leaves", "Leaves appended to the transparency log", self.leaves.clone());
        registry.register("log_size", "Leaves of the transparency log", self.size.clone());
        registry.register(
            "log_commit_failure",
            "Commits of the transparency log that failed, whose requests were refused",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "log_commit_duration",
            "Time of a commit: write, sync, signature, proofs",
            Unit::Seconds,
            self.commit_duration.clone(),
        );
    }

    pub(super) fn stands_at(&self, size: u64) {
        self.size.set(size as i64);
    }

    pub(super) fn committed(&self, leaves: usize, size: u64, took: Duration) {
        self.leaves.inc_by(leaves as u64);
        self.stands_at(size);
        self.commit_duration.observe(took.as_secs_f64());
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }
}
