//! Prepared keys in memory, within a number of bytes. The one used longest ago goes first, of a tenant that holds more than
//! half of the memory one of its own. Whoever holds a key keeps it alive: that is each thread that computes, for as
//! long as it does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tiresias_circuits::bootstrap::PreparedKey;
use tiresias_keys::KeyId;

use super::Owner;

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
    key: Arc<PreparedKey>,
    bytes: usize,
    used: u64,
}

impl State {
    fn bytes_of(&self, counts: impl Fn(&Name) -> bool) -> usize {
        let entries = self.entries.iter().filter(|(name, _)| counts(name));
        entries.map(|(_, entry)| entry.bytes).sum()
    }

    fn oldest_of(&self, counts: impl Fn(&Name) -> bool) -> Option<Name> {
        let entries = self.entries.iter().filter(|(name, _)| counts(name));
        entries.min_by_key(|(_, entry)| entry.used).map(|(name, _)| *name)
    }
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    /// The key, if it is here.
    pub(super) fn get(&self, name: &Name) -> Option<Arc<PreparedKey>> {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        let entry = state.entries.get_mut(name)?;
        entry.used = now;
        let key = Arc::clone(&entry.key);
        state.hits += 1;
        Some(key)
    }

    /// Keeps a key that was missing and is now prepared, and lets others go for it.
    pub(super) fn insert(&self, name: Name, key: &Arc<PreparedKey>, bytes: usize) {
        let mut state = self.state();
        state.misses += 1;
        state.entries.remove(&name);
        while state.bytes_of(|_| true) + bytes > self.capacity {
            let owner = name.0;
            let is_greedy = state.bytes_of(|other| other.0 == owner) + bytes > self.capacity / 2;
            let own = state.oldest_of(|other| other.0 == owner).filter(|_| is_greedy);
            let Some(oldest) = own.or_else(|| state.oldest_of(|_| true)) else { break };
            state.entries.remove(&oldest);
            state.evictions += 1;
        }
        state.clock += 1;
        let used = state.clock;
        state.entries.insert(name, Entry { key: Arc::clone(key), bytes, used });
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
        self.state().bytes_of(|_| true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
