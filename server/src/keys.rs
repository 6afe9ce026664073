//! Evaluation keys of tenants: kept on disk under their SHA-256, prepared in memory when a request needs one.
//!
//! A key of another tenant does not exist for you. A key is there whole or not at all, whenever the process ends: it
//! becomes visible by one rename, after it was checked and synced. Prepared keys stay in a cache of so many bytes;
//! one that leaves it lives on for the requests that use it.
//!
//! In reading order: `store` (the disk), `upload` (a key on its way in), `cache` (prepared keys).

mod cache;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
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
    /// Time from a key's upload until it is gone.
    pub expire_after: Duration,
    /// Memory for prepared keys.
    pub cache_bytes: usize,
}

/// All keys.
pub(crate) struct Keys {
    pub(crate) policy: KeyPolicy,
    store: Arc<Store>,
    cache: Cache,
    uploads: Arc<Semaphore>,
    /// Tenants with a key on its way in: one each.
    uploading: Arc<Mutex<HashSet<Owner>>>,
    /// Whoever decodes a whole key holds it: there is memory for one at a time.
    decoding: Arc<Semaphore>,
}

/// The right to upload one key.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    uploading: Arc<Mutex<HashSet<Owner>>>,
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
            store: Arc::new(store),
            cache: Cache::new(policy.cache_bytes),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            uploading: Arc::default(),
            decoding: Arc::new(Semaphore::new(1)),
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
        self.cache.remove(&(owner, *id));
        if self.store.remove(&owner, id).map_err(|error| storage(&error))? {
            Ok(())
        } else {
            Err(ApiError::KeyUnknown)
        }
    }

    /// Deletes keys whose time is over.
    pub(crate) fn sweep(&self) {
        for key in self.store.sweep() {
            self.cache.remove(&key);
        }
    }

    /// A place to upload a key; refused where the tenant has its number of keys, uploads one already, or all places are
    /// taken.
    pub(crate) fn turn(&self, tenant: &TenantId) -> Result<Turn, ApiError> {
        let owner = Owner::of(tenant);
        if self.store.list(&owner).len() >= self.policy.per_tenant {
            return Err(ApiError::KeyLimit { limit: self.policy.per_tenant });
        }
        let permit = Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| ApiError::QueueFull)?;
        if !self.uploading.lock().unwrap_or_else(PoisonError::into_inner).insert(owner) {
            return Err(ApiError::QueueFull);
        }
        Ok(Turn { _permit: permit, uploading: Arc::clone(&self.uploading), owner })
    }

    /// A file for the bytes of a key of this name.
    pub(crate) fn upload(&self, id: KeyId, parameters_of: usize) -> Result<Upload, ApiError> {
        Upload::new(&self.store, id, parameters_of).map_err(|error| storage(&error))
    }

    /// Checks a whole upload and makes it a key of this tenant. Idle until no other key is being decoded.
    pub(crate) async fn finish(&self, turn: Turn, upload: Upload) -> Result<StoredKey, ApiError> {
        let permit = self.decode_turn().await?;
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let key = upload.check()?;
            store.keep(&turn.owner, upload, key).map_err(|error| storage(&error))
        });
        done.await.map_err(|_| ApiError::Internal)?
    }

    /// A key ready for use. Errors with [`ApiError::KeyUnknown`] where the tenant has no such key, and with
    /// [`ApiError::KeyParameters`] where it is of other parameters than `expected`.
    pub(crate) async fn prepared(
        &self,
        tenant: &TenantId,
        id: &KeyId,
        expected: &'static BootstrapParameters,
    ) -> Result<Arc<PreparedKey>, ApiError> {
        let owner = Owner::of(tenant);
        let Some(stored) = self.store.find(&owner, id) else {
            self.cache.remove(&(owner, *id));
            return Err(ApiError::KeyUnknown);
        };
        if stored.parameters != expected {
            return Err(ApiError::KeyParameters { expected: expected.name() });
        }
        let prepare = async {
            let permit = self.decode_turn().await?;
            let (store, id) = (Arc::clone(&self.store), *id);
            let done = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let bytes = store
                    .read(&owner, &id, EvaluationKey::encoded_len(expected))
                    .map_err(|error| storage(&error))?;
                // What was whole when it came and is not now was damaged on this disk: the client has it still.
                let key = EvaluationKey::from_bytes(&bytes, expected).map_err(|error| {
                    tracing::error!(%error, "a stored evaluation key is damaged and was deleted");
                    let _ = store.remove(&owner, &id);
                    ApiError::KeyUnknown
                })?;
                drop(bytes);
                Ok(Arc::new(PreparedKey::new(&key)))
            });
            done.await.map_err(|_| ApiError::Internal)?
        };
        self.cache.get((owner, *id), PreparedKey::bytes(expected), prepare).await
    }

    async fn decode_turn(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.decoding).acquire_owned().await.map_err(|_| ApiError::Internal)
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
