//! Prepared keys in memory, within a number of bytes. The one used longest ago goes first; whoever holds it keeps it alive.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tiresias_circuits::bootstrap::PreparedKey;
use tiresias_keys::KeyId;
use tokio::sync::OnceCell;

use super::Owner;
use crate::error::ApiError;

type Name = (Owner, KeyId);

pub(super) struct Cache {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Name, Entry>,
    clock: u64,
    hits: u64,
    misses: u64,
    evictions: u64,
}

struct Entry {
    /// Filled by the first request that needs the key; others wait for it.
    key: Arc<OnceCell<Arc<PreparedKey>>>,
    bytes: usize,
    used: u64,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    /// The key, made by `prepare` where it is not here. Its `bytes` count from now on. A failed preparation leaves
    /// nothing.
    pub(super) async fn get(
        &self,
        name: Name,
        bytes: usize,
        prepare: impl Future<Output = Result<Arc<PreparedKey>, ApiError>>,
    ) -> Result<Arc<PreparedKey>, ApiError> {
        let cell = self.entry(name, bytes);
        let key = cell.get_or_try_init(|| prepare).await.map(Arc::clone);
        if key.is_err() {
            self.forget(&name, &cell);
        }
        key
    }

    fn entry(&self, name: Name, bytes: usize) -> Arc<OnceCell<Arc<PreparedKey>>> {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        if let Some(entry) = state.entries.get_mut(&name) {
            entry.used = now;
            let key = Arc::clone(&entry.key);
            state.hits += 1;
            return key;
        }
        state.misses += 1;
        while state.entries.values().map(|entry| entry.bytes).sum::<usize>() + bytes > self.capacity {
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(name, _)| *name);
            let Some(oldest) = oldest else { break };
            state.entries.remove(&oldest);
            state.evictions += 1;
        }
        let key = Arc::new(OnceCell::new());
        state.entries.insert(name, Entry { key: Arc::clone(&key), bytes, used: now });
        key
    }

    /// Drops an entry, unless another one has taken its place.
    fn forget(&self, name: &Name, cell: &Arc<OnceCell<Arc<PreparedKey>>>) {
        let mut state = self.state();
        if state.entries.get(name).is_some_and(|entry| Arc::ptr_eq(&entry.key, cell)) {
            state.entries.remove(name);
        }
    }

    pub(super) fn remove(&self, name: &Name) {
        self.state().entries.remove(name);
    }

    /// Hits, misses, evictions.
    pub(super) fn counts(&self) -> [u64; 3] {
        let state = self.state();
        [state.hits, state.misses, state.evictions]
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.state().entries.values().map(|entry| entry.bytes).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
