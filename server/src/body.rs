//! Reads a body: never more than the model's limit, never longer than the time allowed, and never more bodies at once
//! than there is memory set aside for.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{Request, body::Incoming, header};

use crate::{error::ApiError, tenants::TenantId};

/// Memory for bodies that are read, decoded or evaluated. No tenant holds more than half of it, unless it is the
/// only one there can be; the largest body of a model takes at most that half.
pub(crate) struct BodyMemory {
    bytes: usize,
    alone: AtomicBool,
    held: Mutex<HashMap<TenantId, usize>>,
}

impl BodyMemory {
    pub(crate) fn new(mib: usize, alone: bool) -> Self {
        Self { bytes: mib << 20, alone: AtomicBool::new(alone), held: Mutex::default() }
    }

    /// Says whether there can be one tenant only.
    pub(crate) fn set_alone(&self, alone: bool) {
        self.alone.store(alone, Ordering::Relaxed);
    }

    /// Takes room for a body of `bytes` until the room is dropped; [`ApiError::QueueFull`] where there is none.
    pub(crate) fn take(self: &Arc<Self>, tenant: &TenantId, bytes: usize) -> Result<Room, ApiError> {
        let share = if self.alone.load(Ordering::Relaxed) { self.bytes } else { self.bytes / 2 };
        let mut held = self.held();
        let own = held.get(tenant).copied().unwrap_or_default();
        let all: usize = held.values().sum();
        if own.saturating_add(bytes) > share || all.saturating_add(bytes) > self.bytes {
            return Err(ApiError::QueueFull);
        }
        held.insert(tenant.clone(), own + bytes);
        drop(held);
        Ok(Room { memory: Arc::clone(self), tenant: tenant.clone(), bytes })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that goes back when this is dropped.
pub(crate) struct Room {
    memory: Arc<BodyMemory>,
    tenant: TenantId,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.memory.held();
        if let Some(own) = held.get_mut(&self.tenant) {
            *own -= self.bytes;
            if *own == 0 {
                held.remove(&self.tenant);
            }
        }
    }
}

/// The declared length of a body; without one, as long as can be.
pub(crate) fn declared(request: &Request<Incoming>) -> usize {
    let length = request.headers().get(header::CONTENT_LENGTH);
    length.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(usize::MAX)
}

/// Reads the whole body of `request`. A declared length over `limit` is refused before a byte is read.
pub(crate) async fn read(
    request: Request<Incoming>,
    limit: usize,
    timeout: Duration,
) -> Result<Vec<u8>, ApiError> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::UnsupportedEncoding);
    }
    if (limit + 1..usize::MAX).contains(&declared(&request)) {
        return Err(ApiError::TooLarge { limit });
    }
    match tokio::time::timeout(timeout, Limited::new(request.into_body(), limit).collect()).await {
        Err(_) => Err(ApiError::BodyTimeout),
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge { limit }),
        Ok(Err(_)) => Err(ApiError::IncompleteBody),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_holds_more_than_half_and_all_together_no_more_than_there_is() {
        let memory = Arc::new(BodyMemory::new(64, false));
        let [a, b, c] = ["a", "b", "c"].map(TenantId::from_stored);
        let first = memory.take(&a, 20 << 20).unwrap();
        assert!(memory.take(&a, 13 << 20).is_err(), "half is 32 MiB");
        let second = memory.take(&a, 12 << 20).unwrap();
        let third = memory.take(&b, 32 << 20).unwrap();
        assert!(memory.take(&c, 1).is_err(), "all is taken");
        drop((first, third));
        assert!(memory.take(&c, 1).is_ok() && memory.take(&a, 20 << 20).is_ok());
        drop(second);
        assert!(memory.held().is_empty());
        memory.set_alone(true);
        assert!(memory.take(&a, 64 << 20).is_ok());
        assert!(memory.take(&a, usize::MAX).is_err());
    }
}
