//! Rate limits: a bucket of vectors a tenant, filled at a steady rate. Integers throughout, so that the time until
//! a request would pass is exact.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::ApiError,
    tenants::{Rate, TenantId},
};

/// What one vector takes, in units of 1/60,000,000,000: a rate of n a minute pays n units back each nanosecond.
const VECTOR: u128 = 60_000_000_000;
/// With more buckets than this, those that are full again are forgotten.
const BUCKETS: usize = 1024;

/// What a tenant has taken and not yet paid back.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    debt: u128,
    at: Duration,
    per_minute: u64,
}

impl Bucket {
    fn debt_at(&self, now: Duration) -> u128 {
        let elapsed = now.saturating_sub(self.at).as_nanos();
        self.debt.saturating_sub(elapsed.saturating_mul(u128::from(self.per_minute)))
    }
}

pub(crate) struct Rates {
    start: Instant,
    buckets: Mutex<HashMap<TenantId, Bucket>>,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), buckets: Mutex::default() }
    }

    /// Takes `vectors` from a tenant's bucket, all or none.
    pub(crate) fn take(
        self: &Arc<Self>,
        tenant: &TenantId,
        rate: Rate,
        vectors: u64,
    ) -> Result<Taken, ApiError> {
        self.take_at(tenant, rate, vectors, self.start.elapsed())
    }

    fn take_at(
        self: &Arc<Self>,
        tenant: &TenantId,
        rate: Rate,
        vectors: u64,
        now: Duration,
    ) -> Result<Taken, ApiError> {
        if vectors > rate.burst {
            return Err(ApiError::OverBurst { burst: rate.burst });
        }
        let mut buckets = self.buckets();
        if buckets.len() >= BUCKETS {
            buckets.retain(|_, bucket| bucket.debt_at(now) > 0);
        }
        let debt = buckets.get(tenant).map_or(0, |bucket| bucket.debt_at(now));
        let wanted = debt + u128::from(vectors) * VECTOR;
        let excess = wanted.saturating_sub(u128::from(rate.burst) * VECTOR);
        if excess > 0 {
            let nanoseconds = excess.div_ceil(u128::from(rate.vectors_per_minute));
            let seconds = nanoseconds.div_ceil(1_000_000_000);
            return Err(ApiError::RateLimited { retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX) });
        }
        let bucket = Bucket { debt: wanted, at: now, per_minute: rate.vectors_per_minute };
        buckets.insert(tenant.clone(), bucket);
        drop(buckets);
        Ok(Taken { rates: Arc::clone(self), tenant: tenant.clone(), vectors })
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<TenantId, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Vectors out of a bucket. Dropped before they are evaluated, they go back.
pub(crate) struct Taken {
    rates: Arc<Rates>,
    tenant: TenantId,
    vectors: u64,
}

impl Taken {
    /// The vectors are evaluated.
    pub(crate) fn keep(mut self) {
        self.vectors = 0;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(bucket) = self.rates.buckets().get_mut(&self.tenant) {
            bucket.debt = bucket.debt.saturating_sub(u128::from(self.vectors) * VECTOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { vectors_per_minute: 7, burst: 10 };

    fn take(rates: &Arc<Rates>, vectors: u64, now: Duration) -> Result<(), ApiError> {
        rates.take_at(&TenantId::from_stored("a"), RATE, vectors, now).map(Taken::keep)
    }

    #[test]
    fn a_bucket_pays_out_its_burst_and_then_its_rate_and_names_the_exact_second() {
        let rates = Arc::new(Rates::new());
        let at = Duration::from_secs;
        assert_eq!(take(&rates, 11, at(0)), Err(ApiError::OverBurst { burst: 10 }));
        assert_eq!(take(&rates, 4, at(100)), Ok(()));
        assert_eq!(take(&rates, 6, at(100)), Ok(()));
        // Two vectors are back after 120/7 seconds, which is 17.14.
        assert_eq!(take(&rates, 2, at(100)), Err(ApiError::RateLimited { retry_after_s: 18 }));
        assert_eq!(take(&rates, 2, at(117)), Err(ApiError::RateLimited { retry_after_s: 1 }));
        assert_eq!(take(&rates, 2, at(118)), Ok(()), "the named second is enough");
        assert_eq!(take(&rates, 10, at(10_000)), Ok(()), "a rest fills the bucket");
        assert_eq!(
            take(&rates, 1, at(10_000)),
            Err(ApiError::RateLimited { retry_after_s: 9 }),
            "and no more"
        );
    }

    #[test]
    fn an_hour_of_asking_gets_the_rate_to_the_vector() {
        let rates = Arc::new(Rates::new());
        let granted =
            (0..3600 * 4).filter(|quarter| take(&rates, 1, Duration::from_millis(quarter * 250)).is_ok());
        assert_eq!(granted.count(), 10 + 7 * 60 - 1, "the last falls due with the hour");
    }

    #[test]
    fn what_is_not_evaluated_goes_back() {
        let rates = Arc::new(Rates::new());
        let tenant = TenantId::from_stored("a");
        drop(rates.take_at(&tenant, RATE, 10, Duration::ZERO).unwrap());
        assert_eq!(take(&rates, 10, Duration::ZERO), Ok(()));
        assert!(rates.take_at(&TenantId::from_stored("b"), RATE, 10, Duration::ZERO).is_ok(), "by tenant");
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let rates = Arc::new(Rates::new());
        for tenant in 0..BUCKETS + 50 {
            let id = TenantId::from_stored(&tenant.to_string());
            rates.take_at(&id, RATE, 1, Duration::from_secs(60 * tenant as u64)).unwrap().keep();
        }
        assert!(rates.buckets().len() <= BUCKETS);
    }
}
