use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use tiresias_keys::{
    Seed,
    bootstrap_parameters::{INSECURE_N64_N256_Q50, N918_N2048_Q50, N918_N2048_Q50_L2},
};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn policy(per_tenant: usize) -> KeyPolicy {
    KeyPolicy { per_tenant, expire_after: DAY, cache_bytes: 300 << 20 }
}

/// A key of uniform residues: here it is as good as one that encrypts something.
fn frame(parameters: &'static BootstrapParameters, seed: u8) -> Vec<u8> {
    let seed = Seed::from_bytes([seed; 32]);
    // One uniform polynomial in all rows: what matters is that residues are below the prime.
    let body = EvaluationKey::rotation_mask(parameters, &seed, 0);
    let rotation = body.repeat(parameters.rotation_rows());
    let keyswitch = (0..parameters.keyswitch_rows() as u32).collect();
    EvaluationKey::new(parameters, seed, rotation, keyswitch).to_bytes()
}

fn tenant(name: &str) -> TenantId {
    TenantId::from_stored(name)
}

/// Takes a frame through all steps of an upload.
async fn store(keys: &Keys, name: &str, bytes: &[u8], id: KeyId) -> Result<StoredKey, ApiError> {
    let turn = keys.turn(&tenant(name))?;
    let mut upload = keys.upload(id, bytes.len())?;
    for chunk in bytes.chunks(100_000) {
        upload.take(chunk)?;
    }
    keys.finish(turn, upload).await
}

fn files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

fn open(directory: &Path, policy: KeyPolicy) -> Keys {
    let mut keys = Keys::open(policy, None).unwrap();
    keys.store = Arc::new(Store::open(directory, policy.expire_after).unwrap());
    keys
}

#[tokio::test]
async fn keys_are_their_tenants_and_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&bytes);
    let keys = open(directory.path(), policy(1));
    let stored = store(&keys, "a", &bytes, id).await.unwrap();
    assert_eq!((stored.id, stored.parameters), (id, &N918_N2048_Q50));
    assert_eq!(stored.expires, stored.uploaded + DAY);
    assert_eq!(keys.facts().0, 1);
    assert!(keys.find(&tenant("b"), &id).is_none() && keys.list(&tenant("b")).is_empty());
    assert_eq!(keys.remove(&tenant("b"), &id), Err(ApiError::KeyUnknown));
    assert!(matches!(keys.turn(&tenant("a")), Err(ApiError::KeyLimit { limit: 1 })));
    // The same key of another tenant is another key.
    store(&keys, "b", &bytes, id).await.unwrap();

    drop(keys);
    fs::write(directory.path().join("incoming/left over"), "half a key").unwrap();
    let keys = open(directory.path(), policy(1));
    assert_eq!(files(directory.path()), 2, "what never became a key is gone");
    assert_eq!(keys.list(&tenant("a")).len(), 1);
    keys.remove(&tenant("a"), &id).unwrap();
    assert_eq!(keys.remove(&tenant("a"), &id), Err(ApiError::KeyUnknown));
    assert!(keys.find(&tenant("b"), &id).is_some());
    assert_eq!(files(directory.path()), 1);
}

#[tokio::test]
async fn keys_end_when_their_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&bytes);
    let keys = open(directory.path(), KeyPolicy { expire_after: Duration::ZERO, ..policy(4) });
    store(&keys, "a", &bytes, id).await.unwrap();
    assert!(keys.find(&tenant("a"), &id).is_none() && keys.list(&tenant("a")).is_empty());
    let prepared = keys.prepared(&tenant("a"), &id, &N918_N2048_Q50).await;
    assert!(matches!(prepared, Err(ApiError::KeyUnknown)));
    assert_eq!(files(directory.path()), 1);
    keys.sweep();
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test]
async fn what_is_no_key_of_its_name_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let keys = open(directory.path(), policy(4));
    let good = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&good);
    assert_eq!(store(&keys, "a", &good, KeyId::from_bytes([7; 32])).await, Err(ApiError::WrongKeyId));
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= value;
        bytes
    };
    for bad in [changed(0, 1), changed(5, 2), changed(5, 0x40), changed(6, 1)] {
        let id = KeyId::of_evaluation_key(&bad);
        assert!(matches!(store(&keys, "a", &bad, id).await, Err(ApiError::MalformedKey(_))));
    }
    for at in [40, 23_500_000, good.len() - 20, good.len() - 1] {
        let bad = changed(at, 0x80);
        let renamed = KeyId::of_evaluation_key(&bad);
        assert_eq!(store(&keys, "a", &bad, id).await, Err(ApiError::WrongKeyId));
        assert!(matches!(store(&keys, "a", &bad, renamed).await, Err(ApiError::MalformedKey(_))));
    }
    let turn = keys.turn(&tenant("a")).unwrap();
    let mut short = keys.upload(id, good.len()).unwrap();
    short.take(&good[1..]).unwrap_err();
    assert!(matches!(
        keys.finish(turn, short).await,
        Err(ApiError::MalformedKey(_) | ApiError::IncompleteBody)
    ));
    assert_eq!(files(directory.path()), 0);
    store(&keys, "a", &good, id).await.unwrap();
}

#[tokio::test]
async fn a_tenant_uploads_one_key_at_a_time_and_all_together_so_many() {
    let keys = Keys::open(policy(4), None).unwrap();
    let first = keys.turn(&tenant("0")).unwrap();
    assert!(matches!(keys.turn(&tenant("0")), Err(ApiError::QueueFull)));
    let others: Vec<_> = (1..UPLOADS).map(|name| keys.turn(&tenant(&name.to_string())).unwrap()).collect();
    assert!(matches!(keys.turn(&tenant("one more")), Err(ApiError::QueueFull)));
    drop(first);
    keys.turn(&tenant("0")).unwrap();
    drop(others);
}

#[tokio::test]
async fn a_key_is_prepared_once_checked_again_and_of_the_models_parameters() {
    let directory = tempfile::tempdir().unwrap();
    let keys = open(directory.path(), policy(4));
    let bytes = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&bytes);
    store(&keys, "a", &bytes, id).await.unwrap();
    let a = tenant("a");
    let (first, second) =
        tokio::join!(keys.prepared(&a, &id, &N918_N2048_Q50), keys.prepared(&a, &id, &N918_N2048_Q50));
    assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
    assert_eq!(keys.facts().2, [1, 1, 0]);
    let other = keys.prepared(&a, &id, &N918_N2048_Q50_L2).await;
    assert!(matches!(other, Err(ApiError::KeyParameters { .. })));
    let foreign = keys.prepared(&tenant("b"), &id, &N918_N2048_Q50).await;
    assert!(matches!(foreign, Err(ApiError::KeyUnknown)));

    // Damaged on this disk: it is gone, and the client is asked for it again.
    keys.cache.remove(&(Owner::of(&a), id));
    let path = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let owner = path.into_iter().find(|path| !path.ends_with("incoming")).unwrap();
    let mut damaged = bytes.clone();
    damaged[1 << 20] ^= 1;
    fs::write(owner.join(id.to_string()), damaged).unwrap();
    assert!(matches!(keys.prepared(&a, &id, &N918_N2048_Q50).await, Err(ApiError::KeyUnknown)));
    assert!(keys.find(&a, &id).is_none());
}

#[tokio::test]
async fn the_cache_keeps_to_its_bytes_and_lets_no_holder_down() {
    let parameters = &INSECURE_N64_N256_Q50;
    let key = EvaluationKey::from_bytes(&frame(parameters, 3), parameters).unwrap();
    let cache = Cache::new(250);
    let name = |byte| (Owner::of(&tenant("a")), KeyId::from_bytes([byte; 32]));
    let made = AtomicUsize::new(0);
    let prepare = || async {
        made.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(PreparedKey::new(&key)))
    };
    let first = cache.get(name(1), 100, prepare()).await.unwrap();
    cache.get(name(2), 100, prepare()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &cache.get(name(1), 100, prepare()).await.unwrap()));
    // Number 2 was used longest ago.
    cache.get(name(3), 100, prepare()).await.unwrap();
    assert_eq!((cache.bytes(), made.load(Ordering::Relaxed)), (200, 3));
    assert!(Arc::ptr_eq(&first, &cache.get(name(1), 100, prepare()).await.unwrap()));
    cache.get(name(2), 240, prepare()).await.unwrap();
    assert_eq!((cache.bytes(), cache.counts()), (240, [2, 4, 3]));
    assert_eq!(first.parameters(), parameters, "its holder has it still");

    let failed = cache.get(name(4), 10, async { Err(ApiError::Internal) }).await;
    assert!(matches!(failed, Err(ApiError::Internal)));
    assert_eq!(cache.bytes(), 240, "a failure leaves nothing");
    cache.get(name(4), 10, prepare()).await.unwrap();
    cache.remove(&name(4));
    assert_eq!(cache.bytes(), 240);
}
