//! What operators see of the log: counts and times.

use std::{sync::atomic::AtomicI64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
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
    /// Where there are witnesses.
    witnesses: Option<WitnessMetrics>,
}

impl Default for LogMetrics {
    fn default() -> Self {
        Self {
            leaves: Counter::default(),
            size: Gauge::default(),
            failures: Counter::default(),
            commit_duration: Histogram::new(BUCKETS),
            witnesses: None,
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
        if let Some(witnesses) = &self.witnesses {
            witnesses.register(registry);
        }
    }

    pub(super) fn with_witnesses(self) -> Self {
        Self { witnesses: Some(WitnessMetrics::default()), ..self }
    }

    pub(crate) fn witnesses(&self) -> Option<&WitnessMetrics> {
        self.witnesses.as_ref()
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WitnessLabels {
    witness: String,
    reason: &'static str,
}

/// What witnesses say of the log.
#[derive(Clone, Default)]
pub(crate) struct WitnessMetrics {
    size: Gauge<i64, AtomicI64>,
    failures: Family<WitnessLabels, Counter>,
    forked: Gauge<i64, AtomicI64>,
    alone: Gauge<i64, AtomicI64>,
}

impl WitnessMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "log_witnessed_size",
            "Leaves of the newest checkpoint that enough witnesses have cosigned",
            self.size.clone(),
        );
        registry.register(
            "log_witness_failure",
            "Checkpoints that a witness did not cosign, by the reason",
            self.failures.clone(),
        );
        registry.register(
            "log_forked",
            "Witnesses that hold another history of this log, or a longer one: investigate if it is not 0",
            self.forked.clone(),
        );
        registry.register(
            "log_unwitnessed",
            "1 while checkpoints are published without cosignatures, because too few witnesses answer",
            self.alone.clone(),
        );
    }

    pub(super) fn cosigned(&self, size: u64) {
        self.size.set(size as i64);
        self.alone.set(0);
    }

    pub(super) fn failed(&self, witness: &str, reason: &'static str) {
        self.failures.get_or_create(&WitnessLabels { witness: witness.to_owned(), reason }).inc();
    }

    pub(super) fn forked_at(&self, witnesses: usize) {
        self.forked.set(witnesses as i64);
    }

    pub(super) fn alone(&self) {
        self.alone.set(1);
    }

    /// In a word, for health checks.
    pub(crate) fn state(&self) -> &'static str {
        match (self.forked.get(), self.alone.get()) {
            (0, 0) => "ok",
            (0, _) => "unanswered",
            _ => "forked",
        }
    }
}
