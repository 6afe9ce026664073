//! Prometheus metrics: counts, sizes and times. Labels are model names, versions and error codes; never a tenant, a
//! request id or anything that came in a body.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::{device::DeviceMetrics, log::LogMetrics};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
    version: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyExchangeLabels {
    group: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// The metrics of one gateway.
pub(crate) struct Metrics {
    registry: Registry,
    success: Family<ModelLabels, Counter>,
    failure: Family<ReasonLabels, Counter>,
    vectors: Family<ModelLabels, Counter>,
    key_exchange: Family<KeyExchangeLabels, Counter>,
    reloads: Family<ResultLabels, Counter>,
    request_duration: Histogram,
    compute_duration: Histogram,
    request_bytes: Counter,
    response_bytes: Counter,
    pub(crate) connections: Gauge,
    pub(crate) pending: Gauge<i64, AtomicI64>,
    pub(crate) handshake_failures: Counter<u64, AtomicU64>,
    pub(crate) accept_failures: Counter<u64, AtomicU64>,
    pub(crate) certificate_expiry: Gauge<i64, AtomicI64>,
    pub(crate) ready: Gauge<i64, AtomicI64>,
    pub(crate) evaluation_keys: Gauge,
    pub(crate) evaluation_key_bytes: Gauge,
    key_cache: Family<ResultLabels, Gauge>,
}

/// 50 us to 5 s.
const DURATION_BUCKETS: [f64; 16] =
    [5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tiresias");
        let success = Family::default();
        let failure = Family::default();
        let vectors = Family::default();
        let key_exchange = Family::default();
        let reloads = Family::default();
        let request_duration = Histogram::new(DURATION_BUCKETS);
        let compute_duration = Histogram::new(DURATION_BUCKETS);
        let (request_bytes, response_bytes, handshake_failures) =
            (Counter::default(), Counter::default(), Counter::default());
        let (connections, pending) = (Gauge::default(), Gauge::default());
        let (evaluation_keys, evaluation_key_bytes) = (Gauge::default(), Gauge::default());
        let key_cache = Family::default();
        let (accept_failures, certificate_expiry, ready) =
            (Counter::default(), Gauge::default(), Gauge::default());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The gateway's version", build);
        registry.register("inference_request_success", "Inference requests answered", success.clone());
        registry.register("inference_request_failure", "Requests refused, by error code", failure.clone());
        registry.register("inference_count", "Feature vectors evaluated", vectors.clone());
        registry.register("tls_key_exchange", "TLS handshakes, by key exchange group", key_exchange.clone());
        registry.register("reload", "Reloads of configuration, certificates and models", reloads.clone());
        registry.register("tls_handshake_failure", "TLS handshakes that failed", handshake_failures.clone());
        registry.register(
            "accept_failure",
            "Connections that could not be accepted, for want of file descriptors mostly",
            accept_failures.clone(),
        );
        registry.register(
            "tls_certificate_expiry_timestamp_seconds",
            "When the gateway's certificate expires, in seconds since 1970; 0 where that cannot be told",
            certificate_expiry.clone(),
        );
        registry.register("ready", "1 where requests are served, as in /health", ready.clone());
        registry.register("open_connections", "Open connections", connections.clone());
        registry.register("pending_request_count", "Requests admitted and not yet answered", pending.clone());
        registry.register("evaluation_keys", "Evaluation keys on disk", evaluation_keys.clone());
        registry.register("evaluation_key_bytes", "Their bytes", evaluation_key_bytes.clone());
        registry.register(
            "evaluation_key_cache",
            "Prepared keys found (hit), made (miss) and dropped for room (eviction), since the start",
            key_cache.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from a request's headers to its answer",
            Unit::Seconds,
            request_duration.clone(),
        );
        registry.register_with_unit(
            "compute_infer_duration",
            "Time of an evaluation",
            Unit::Seconds,
            compute_duration.clone(),
        );
        registry.register_with_unit("request", "Body bytes received", Unit::Bytes, request_bytes.clone());
        registry.register_with_unit("response", "Body bytes sent", Unit::Bytes, response_bytes.clone());
        Self {
            registry,
            success,
            failure,
            vectors,
            key_exchange,
            reloads,
            request_duration,
            compute_duration,
            request_bytes,
            response_bytes,
            connections,
            pending,
            handshake_failures,
            accept_failures,
            certificate_expiry,
            ready,
            evaluation_keys,
            evaluation_key_bytes,
            key_cache,
        }
    }

    pub(crate) fn answered(&self, model: &str, version: u32, vectors: usize, compute_s: f64) {
        let labels = ModelLabels { model: model.to_owned(), version };
        self.success.get_or_create(&labels).inc();
        self.vectors.get_or_create(&labels).inc_by(vectors as u64);
        self.compute_duration.observe(compute_s);
    }

    pub(crate) fn refused(&self, code: &'static str) {
        self.failure.get_or_create(&ReasonLabels { reason: code }).inc();
    }

    /// A reload that went through, or that left something as it was.
    pub(crate) fn reloaded(&self, whole: bool) {
        let result = if whole { "ok" } else { "failed" };
        self.reloads.get_or_create(&ResultLabels { result }).inc();
    }

    pub(crate) fn key_cache(&self, hits: u64, misses: u64, evictions: u64) {
        for (result, count) in [("hit", hits), ("miss", misses), ("eviction", evictions)] {
            self.key_cache.get_or_create(&ResultLabels { result }).set(count as i64);
        }
    }

    pub(crate) fn finished(&self, request_bytes: usize, response_bytes: usize, seconds: f64) {
        self.request_bytes.inc_by(request_bytes as u64);
        self.response_bytes.inc_by(response_bytes as u64);
        self.request_duration.observe(seconds);
    }

    pub(crate) fn handshake(&self, group: String) {
        self.key_exchange.get_or_create(&KeyExchangeLabels { group }).inc();
    }

    /// Shows the transparency log's metrics too.
    pub(crate) fn add_log(&mut self, log: &LogMetrics) {
        log.register(&mut self.registry);
    }

    /// Shows a device's metrics too.
    pub(crate) fn add_device(&mut self, device: &DeviceMetrics) {
        device.register(&mut self.registry);
    }

    /// The Prometheus text format.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
