//! Everything that requests share, and what of it a reload replaces.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    body::BodyMemory,
    budget::Budgets,
    compute::Compute,
    config::{Config, Limits},
    device::Device,
    joint::Board,
    keys::Keys,
    log::Log,
    metrics::Metrics,
    rate::Rates,
    registry::Registry,
    seeds::ResponseSeeds,
    swap::Swap,
    tenants::Tenants,
    tls::Tls,
};

/// What the configuration and the certificate files say at one moment.
pub(crate) struct Settings {
    /// Counts reloads, from 1.
    pub(crate) generation: u64,
    pub(crate) tls: Tls,
    pub(crate) tenants: Tenants,
    pub(crate) limits: Limits,
    client_auth: bool,
}

impl Settings {
    pub(crate) fn new(generation: u64, tls: Tls, config: &Config) -> Self {
        let (tenants, limits) = (config.tenants.clone(), config.limits.clone());
        Self { generation, tls, tenants, limits, client_auth: config.client_auth() }
    }

    /// Whether there can be one tenant only.
    fn alone(&self) -> bool {
        !self.client_auth || self.tenants.names() == 1
    }
}

pub(crate) struct Gateway {
    pub(crate) registry: Registry,
    pub(crate) settings: Swap<Settings>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) keys: Keys,
    pub(crate) device: Device,
    pub(crate) compute: Compute,
    pub(crate) seeds: ResponseSeeds,
    /// Where there is a data directory, and a log is kept.
    pub(crate) log: Option<Arc<Log>>,
    /// Where there are rosters of clinics that add up vectors.
    pub(crate) joint: Option<Arc<Board>>,
    pub(crate) memory: Arc<BodyMemory>,
    pub(crate) metrics: Metrics,
    stopping: AtomicBool,
}

impl Gateway {
    pub(crate) fn new(
        registry: Registry,
        budgets: Budgets,
        keys: Keys,
        device: Device,
        settings: Settings,
        log: Option<Arc<Log>>,
    ) -> Result<Self, getrandom::Error> {
        let limits = &settings.limits;
        let mut metrics = Metrics::new();
        if let Some(log) = &log {
            metrics.add_log(log.metrics());
        }
        if let Some(device) = device.metrics() {
            metrics.add_device(device);
        }
        Ok(Self {
            registry,
            budgets: Arc::new(budgets),
            rates: Arc::new(Rates::new()),
            keys,
            device,
            compute: Compute::new(limits.workers, limits.queue),
            seeds: ResponseSeeds::new()?,
            memory: Arc::new(BodyMemory::new(limits.body_mib, settings.alone())),
            log,
            joint: None,
            metrics,
            stopping: AtomicBool::new(false),
            settings: Swap::new(settings),
        })
    }

    /// The same with a board of joint sums.
    pub(crate) fn with_joint(self, joint: Option<Board>) -> Self {
        Self { joint: joint.map(Arc::new), ..self }
    }

    /// New settings count from the next request on.
    pub(crate) fn apply(&self, settings: Settings) {
        self.compute.set_queue(settings.limits.queue);
        self.memory.set_alone(settings.alone());
        self.settings.store(settings);
    }

    /// From here on the gateway calls itself not ready, and finishes what it has.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether a request for inference has a chance: not where the gateway stops, and not where no answer can be logged.
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Acquire) && self.log.as_ref().is_none_or(|log| log.is_writable())
    }

    pub(crate) fn update_gauges(&self) {
        self.metrics.pending.set(self.compute.pending() as i64);
        let (keys, bytes, [hits, misses, evictions]) = self.keys.facts();
        self.metrics.evaluation_keys.set(keys as i64);
        self.metrics.evaluation_key_bytes.set(bytes as i64);
        self.metrics.key_cache(hits, misses, evictions);
        self.metrics.ready.set(self.is_ready().into());
        self.metrics.certificate_expiry.set(self.settings.load().tls.expiry());
    }
}
