//! How many evaluation keys are kept, how long, and how many are held ready.

use std::time::Duration;

use serde::Deserialize;
use tiresias_circuits::bootstrap::PreparedKey;
use tiresias_keys::BootstrapParameters;

use super::Error;
use crate::keys::KeyPolicy;

/// `[keys]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileKeys {
    per_tenant: usize,
    total_mib: u64,
    expire_after_days: u64,
    cache_mib: usize,
    device_mib: Option<usize>,
}

impl Default for FileKeys {
    fn default() -> Self {
        Self { per_tenant: 4, total_mib: 16_384, expire_after_days: 90, cache_mib: 1024, device_mib: None }
    }
}

impl FileKeys {
    pub(super) fn check(&self) -> Result<KeyPolicy, Error> {
        // A key that the cache could not hold would be prepared again for each request.
        let largest = BootstrapParameters::ALL.map(PreparedKey::bytes).into_iter().max().unwrap_or_default();
        let in_range = (1..=1024).contains(&self.per_tenant)
            && (1..=1 << 30).contains(&self.total_mib)
            && (1..=3650).contains(&self.expire_after_days)
            && (largest.div_ceil(1 << 20)..=1 << 20).contains(&self.cache_mib)
            && self.device_mib.is_none_or(|mib| (largest.div_ceil(1 << 20)..=1 << 20).contains(&mib));
        if !in_range {
            return Err(Error::Rule(
                "keys: per_tenant 1 to 1024, total_mib 1 to 1073741824, expire_after_days 1 to 3650, cache_mib and device_mib 259 to 1048576",
            ));
        }
        Ok(KeyPolicy {
            per_tenant: self.per_tenant,
            total_bytes: self.total_mib << 20,
            expire_after: Duration::from_secs(self.expire_after_days * 86_400),
            cache_bytes: self.cache_mib << 20,
            device_bytes: self.device_mib.map(|mib| mib << 20),
        })
    }
}
