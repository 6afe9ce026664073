//! Evaluation keys of tenants: kept on disk under their SHA-256, prepared in memory when a request needs one.
//!
//! A key of another tenant does not exist for you. A key is there whole or not at all, whenever the process ends: it
//! becomes visible by one rename, after it was checked and synced. Keys are prepared by the threads that compute, one at a
//! time, and stay in a cache of so many bytes; one that leaves it lives on for the requests that compute with it.
//!
//! In reading order: `store` (the disk), `upload` (a key on its way in), `cache` (prepared keys).

mod cache;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tiresias_circuits::bootstrap::PreparedKey;
use tiresias_keys::{BootstrapParameters, EvaluationKey, KeyId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    data::{self, DataDirectory},
    error::ApiError,
    tenants::TenantId,
};
use cache::Cache;
use store::Store;

pub(crate) use store::{Owner, StoredKey};
pub(crate) use upload::Upload;

/// Keys on their way in at once, over all tenants: they take disk, not memory.
const UPLOADS: usize = 16;

/// What the configuration says of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPolicy {
    /// Keys of one tenant.
    pub per_tenant: usize,
    /// Bytes on disk of all tenants' keys, those on their way in included.
    pub total_bytes: u64,
    /// Time from a key's upload until it is gone.
    pub expire_after: Duration,
    /// Memory for prepared keys.
    pub cache_bytes: usize,
    /// Bytes of a device's memory for keys; `None`: most of what it has free.
    pub device_bytes: Option<usize>,
}

/// All keys.
pub(crate) struct Keys {
    pub(crate) policy: KeyPolicy,
    store: Store,
    cache: Cache,
    uploads: Arc<Semaphore>,
    /// Tenants with a key on its way in, one each, and its bytes.
    uploading: Arc<Mutex<HashMap<Owner, u64>>>,
    /// Whoever decodes a whole key holds it: there is memory for one at a time.
    decoding: Mutex<()>,
}

/// The right to upload one key.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    uploading: Arc<Mutex<HashMap<Owner, u64>>>,
    owner: Owner,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.uploading.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.owner);
    }
}

impl Keys {
    /// Opens the keys of a data directory; without one, keys go when the gateway does.
    pub(crate) fn open(policy: KeyPolicy, data: Option<&DataDirectory>) -> Result<Self, data::Error> {
        let store = match data {
            Some(data) => Store::open(&data.file("keys"), policy.expire_after)?,
            None => Store::temporary(policy.expire_after),
        };
        Ok(Self {
            policy,
            store,
            cache: Cache::new(policy.cache_bytes),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            uploading: Arc::default(),
            decoding: Mutex::default(),
        })
    }

    /// A key of this tenant, if it has it.
    pub(crate) fn find(&self, tenant: &TenantId, id: &KeyId) -> Option<StoredKey> {
        self.store.find(&Owner::of(tenant), id)
    }

    /// The keys of this tenant.
    pub(crate) fn list(&self, tenant: &TenantId) -> Vec<StoredKey> {
        self.store.list(&Owner::of(tenant))
    }

    /// Deletes a key; [`ApiError::KeyUnknown`] where the tenant has none of this id.
    pub(crate) fn remove(&self, tenant: &TenantId, id: &KeyId) -> Result<(), ApiError> {
        let owner = Owner::of(tenant);
        let removed = self.store.remove(&owner, id);
        self.cache.remove(&(owner, *id));
        if removed.map_err(|error| storage(&error))? { Ok(()) } else { Err(ApiError::KeyUnknown) }
    }

    /// Deletes keys whose time is over, and says which.
    pub(crate) fn sweep(&self) -> Vec<KeyId> {
        let mut swept = self.store.sweep();
        swept.iter().for_each(|key| self.cache.remove(key));
        // One that was sent again meanwhile is not gone.
        swept.retain(|(owner, id)| self.store.find(owner, id).is_none());
        swept.into_iter().map(|(_, id)| id).collect()
    }

    /// A place to upload a key of so many bytes; refused where the tenant has its number of keys, uploads one already, or
    /// all places or all bytes are taken.
    pub(crate) fn turn(&self, tenant: &TenantId, bytes: usize) -> Result<Turn, ApiError> {
        let owner = Owner::of(tenant);
        let permit = Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| ApiError::QueueFull)?;
        {
            let mut uploading = self.uploading.lock().unwrap_or_else(PoisonError::into_inner);
            if uploading.contains_key(&owner) {
                return Err(ApiError::QueueFull);
            }
            uploading.insert(owner, bytes as u64);
        }
        let turn = Turn { _permit: permit, uploading: Arc::clone(&self.uploading), owner };
        // Counted with the place in hand: no other upload of this tenant can end in between.
        if self.store.list(&owner).len() >= self.policy.per_tenant {
            return Err(ApiError::KeyLimit { limit: self.policy.per_tenant });
        }
        let on_their_way: u64 = self.uploading.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
        if self.store.totals().1 + on_their_way > self.policy.total_bytes {
            tracing::error!("the evaluation keys of all tenants take all of `[keys] total_mib`");
            return Err(ApiError::Storage);
        }
        Ok(turn)
    }

    /// A file for the bytes of a key of this name.
    pub(crate) fn upload(&self, id: KeyId, parameters_of: usize) -> Result<Upload, ApiError> {
        Upload::new(&self.store, id, parameters_of).map_err(|error| storage(&error))
    }

    /// Checks a whole upload and makes it a key of this tenant. Blocks, until no other key is being decoded and for the
    /// disk.
    pub(crate) fn finish(&self, turn: &Turn, mut upload: Upload) -> Result<StoredKey, ApiError> {
        upload.check_name()?;
        let parameters = {
            let _alone = self.decode_turn();
            upload.decode()?
        };
        self.store.keep(&turn.owner, upload, parameters).map_err(|error| storage(&error))
    }

    /// Whether this tenant has such a key. Errors with [`ApiError::KeyUnknown`] where it has not, and with
    /// [`ApiError::KeyParameters`] where it is of other parameters than `expected`.
    pub(crate) fn check(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        expected: &'static BootstrapParameters,
    ) -> Result<(), ApiError> {
        let owner = Owner::of(tenant);
        match self.store.find(&owner, id) {
            Some(stored) if stored.parameters == expected => Ok(()),
            Some(_) => Err(ApiError::KeyParameters { expected: expected.name() }),
            None => {
                self.cache.remove(&(owner, *id));
                Err(ApiError::KeyUnknown)
            }
        }
    }

    /// A key ready for use, in the turn of the tenant that asks: so no more keys live outside of the cache than there are
    /// threads that compute. Blocks while another key is decoded. Errors as [`Keys::check`].
    pub(crate) fn prepared(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        expected: &'static BootstrapParameters,
    ) -> Result<Arc<PreparedKey>, ApiError> {
        self.check(tenant, id, expected)?;
        let name = (Owner::of(tenant), *id);
        if let Some(key) = self.cache.get(&name) {
            return Ok(key);
        }
        let _alone = self.decode_turn();
        // Another thread may have prepared it meanwhile.
        if let Some(key) = self.cache.get(&name) {
            return Ok(key);
        }
        let key = Arc::new(PreparedKey::new(&self.decode(&name.0, id, expected)?));
        self.cache.insert(name, &key, PreparedKey::bytes(expected));
        if self.store.find(&name.0, id).is_none() {
            // It was deleted meanwhile: this request finishes on it, and no other begins.
            self.cache.remove(&name);
        }
        Ok(key)
    }

    /// Reads and decodes a stored key. One that is gone or damaged is forgotten: the client has it still.
    fn decode(
        &self,
        owner: &Owner,
        id: &KeyId,
        expected: &'static BootstrapParameters,
    ) -> Result<EvaluationKey, ApiError> {
        let bytes = match self.store.read(owner, id, EvaluationKey::encoded_len(expected)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.store.forget(owner, id);
                return Err(ApiError::KeyUnknown);
            }
            read => read.map_err(|error| storage(&error))?,
        };
        let decoded = match KeyId::of_evaluation_key(&bytes) == *id {
            true => EvaluationKey::from_bytes(&bytes, expected).ok(),
            false => None,
        };
        decoded.ok_or_else(|| {
            tracing::error!("a stored evaluation key is damaged and was deleted");
            let _ = self.store.remove(owner, id);
            ApiError::KeyUnknown
        })
    }

    fn decode_turn(&self) -> MutexGuard<'_, ()> {
        self.decoding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys and their bytes on disk, and what the cache did: hits, misses, evictions.
    pub(crate) fn facts(&self) -> (usize, u64, [u64; 3]) {
        let (keys, bytes) = self.store.totals();
        (keys, bytes, self.cache.counts())
    }
}

/// A failure of the disk: the log says what, the peer that it was not its fault.
fn storage(error: &std::io::Error) -> ApiError {
    tracing::error!(kind = ?error.kind(), "evaluation keys could not be read or written");
    ApiError::Storage
}
