use std::{fs, path::Path};

use tiresias_keys::{
    Digest, Seed,
    bootstrap_parameters::{INSECURE_N64_N256_Q50, N918_N2048_Q50, N918_N2048_Q50_L2},
};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn policy(per_tenant: usize) -> KeyPolicy {
    KeyPolicy {
        per_tenant,
        total_bytes: 1 << 30,
        expire_after: DAY,
        cache_bytes: 300 << 20,
        device_bytes: None,
    }
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
fn store(keys: &Keys, name: &str, bytes: &[u8], id: KeyId) -> Result<StoredKey, ApiError> {
    let turn = keys.turn(&tenant(name), bytes.len())?;
    let mut upload = keys.upload(id, bytes.len())?;
    for chunk in bytes.chunks(100_000) {
        upload.take(chunk)?;
    }
    keys.finish(&turn, upload)
}

fn files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

fn open(directory: &Path, policy: KeyPolicy) -> Keys {
    let mut keys = Keys::open(policy, None).unwrap();
    keys.store = Store::open(directory, policy.expire_after).unwrap();
    keys
}

#[test]
fn keys_are_their_tenants_and_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&bytes);
    let keys = open(directory.path(), policy(1));
    let stored = store(&keys, "a", &bytes, id).unwrap();
    assert_eq!((stored.id, stored.parameters), (id, &N918_N2048_Q50));
    assert_eq!(stored.expires, stored.uploaded + DAY);
    assert_eq!(keys.facts().0, 1);
    assert!(keys.find(&tenant("b"), &id).is_none() && keys.list(&tenant("b")).is_empty());
    assert_eq!(keys.remove(&tenant("b"), &id), Err(ApiError::KeyUnknown));
    assert!(matches!(keys.turn(&tenant("a"), 0), Err(ApiError::KeyLimit { limit: 1 })));
    // The same key of another tenant is another key.
    store(&keys, "b", &bytes, id).unwrap();

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

#[test]
fn keys_end_when_their_time_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&bytes);
    let keys = open(directory.path(), KeyPolicy { expire_after: Duration::ZERO, ..policy(4) });
    store(&keys, "a", &bytes, id).unwrap();
    assert!(keys.find(&tenant("a"), &id).is_none() && keys.list(&tenant("a")).is_empty());
    let prepared = keys.prepared(&tenant("a"), &id, &N918_N2048_Q50);
    assert!(matches!(prepared, Err(ApiError::KeyUnknown)));
    assert_eq!(files(directory.path()), 1);
    keys.sweep();
    assert_eq!(files(directory.path()), 0);
}

#[test]
fn what_is_no_key_of_its_name_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let keys = open(directory.path(), policy(4));
    let good = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&good);
    assert_eq!(store(&keys, "a", &good, KeyId::from_bytes([7; 32])), Err(ApiError::WrongKeyId));
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= value;
        bytes
    };
    for bad in [changed(0, 1), changed(5, 2), changed(5, 0x40), changed(6, 1)] {
        let id = KeyId::of_evaluation_key(&bad);
        assert!(matches!(store(&keys, "a", &bad, id), Err(ApiError::MalformedKey(_))));
    }
    for at in [40, 23_500_000, good.len() - 20, good.len() - 1] {
        let bad = changed(at, 0x80);
        let renamed = KeyId::of_evaluation_key(&bad);
        assert_eq!(store(&keys, "a", &bad, id), Err(ApiError::WrongKeyId));
        assert!(matches!(store(&keys, "a", &bad, renamed), Err(ApiError::MalformedKey(_))));
    }
    let turn = keys.turn(&tenant("a"), 0).unwrap();
    let mut short = keys.upload(id, good.len()).unwrap();
    short.take(&good[1..]).unwrap_err();
    assert!(matches!(keys.finish(&turn, short), Err(ApiError::MalformedKey(_) | ApiError::IncompleteBody)));
    drop(turn);
    assert_eq!(files(directory.path()), 0);
    store(&keys, "a", &good, id).unwrap();
}

#[test]
fn a_tenant_uploads_one_key_at_a_time_and_all_together_so_many() {
    let keys = Keys::open(policy(4), None).unwrap();
    let first = keys.turn(&tenant("0"), 0).unwrap();
    assert!(matches!(keys.turn(&tenant("0"), 0), Err(ApiError::QueueFull)));
    let others: Vec<_> = (1..UPLOADS).map(|name| keys.turn(&tenant(&name.to_string()), 0).unwrap()).collect();
    assert!(matches!(keys.turn(&tenant("one more"), 0), Err(ApiError::QueueFull)));
    drop(first);
    keys.turn(&tenant("0"), 0).unwrap();
    drop(others);
}

#[test]
fn a_key_is_prepared_once_checked_again_and_of_the_models_parameters() {
    let directory = tempfile::tempdir().unwrap();
    let keys = open(directory.path(), policy(4));
    let bytes = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&bytes);
    store(&keys, "a", &bytes, id).unwrap();
    let a = tenant("a");
    let prepare = || keys.prepared(&a, &id, &N918_N2048_Q50).unwrap();
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(prepare);
        (prepare(), other.join().unwrap())
    });
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(keys.facts().2, [1, 1, 0]);
    let other = keys.prepared(&a, &id, &N918_N2048_Q50_L2);
    assert!(matches!(other, Err(ApiError::KeyParameters { .. })));
    let foreign = keys.prepared(&tenant("b"), &id, &N918_N2048_Q50);
    assert!(matches!(foreign, Err(ApiError::KeyUnknown)));

    // Damaged on this disk: it is gone, and the client is asked for it again.
    keys.cache.remove(&(Owner::of(&a), id));
    let path = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let owner = path.into_iter().find(|path| !path.ends_with("incoming")).unwrap();
    let mut damaged = bytes.clone();
    damaged[1 << 20] ^= 1;
    fs::write(owner.join(id.to_string()), damaged).unwrap();
    assert!(matches!(keys.prepared(&a, &id, &N918_N2048_Q50), Err(ApiError::KeyUnknown)));
    assert!(keys.find(&a, &id).is_none());
}

#[test]
fn all_tenants_together_have_so_many_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&bytes);
    let total_bytes = 2 * bytes.len() as u64;
    let keys = open(directory.path(), KeyPolicy { total_bytes, ..policy(4) });
    store(&keys, "a", &bytes, id).unwrap();
    // A key on its way in counts.
    let on_its_way = keys.turn(&tenant("b"), bytes.len()).unwrap();
    assert!(matches!(keys.turn(&tenant("c"), bytes.len()), Err(ApiError::Storage)));
    drop(on_its_way);
    store(&keys, "c", &bytes, id).unwrap();
    assert_eq!(store(&keys, "d", &bytes, id), Err(ApiError::Storage));
    keys.remove(&tenant("a"), &id).unwrap();
    store(&keys, "d", &bytes, id).unwrap();
}

#[test]
fn a_key_whose_file_is_gone_is_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let keys = open(directory.path(), policy(1));
    let bytes = frame(&N918_N2048_Q50, 1);
    let (a, id) = (tenant("a"), KeyId::of_evaluation_key(&bytes));
    store(&keys, "a", &bytes, id).unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    assert!(keys.find(&a, &id).is_some(), "nothing has looked yet");
    assert!(matches!(keys.prepared(&a, &id, &N918_N2048_Q50), Err(ApiError::KeyUnknown)));
    assert!(keys.find(&a, &id).is_none());
    // Its place is free, and the directories are made again.
    store(&keys, "a", &bytes, id).unwrap();
    assert!(keys.prepared(&a, &id, &N918_N2048_Q50).is_ok());
}

#[test]
fn a_key_under_another_name_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let keys = open(directory.path(), policy(2));
    let (bytes, other) = (frame(&N918_N2048_Q50, 1), frame(&N918_N2048_Q50, 2));
    let (id, other_id) = (KeyId::of_evaluation_key(&bytes), KeyId::of_evaluation_key(&other));
    store(&keys, "a", &bytes, id).unwrap();
    let owner = directory.path().join(Digest::of(tenant("a").as_str().as_bytes()).to_string());
    fs::write(owner.join(id.to_string()), &other).unwrap();
    assert!(matches!(keys.prepared(&tenant("a"), &id, &N918_N2048_Q50), Err(ApiError::KeyUnknown)));
    assert!(keys.find(&tenant("a"), &other_id).is_none());
}

#[cfg(unix)]
#[test]
fn what_is_no_file_of_ours_is_passed_over_and_directories_are_private() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let directory = tempfile::tempdir().unwrap();
    let bytes = frame(&N918_N2048_Q50, 1);
    let id = KeyId::of_evaluation_key(&bytes);
    store(&open(directory.path(), policy(4)), "a", &bytes, id).unwrap();
    let owner = directory.path().join(Digest::of(tenant("a").as_str().as_bytes()).to_string());
    for path in [directory.path().join("incoming"), owner.clone()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
    }
    fs::create_dir(directory.path().join("incoming/directory")).unwrap();
    symlink(owner.join(id.to_string()), owner.join(KeyId::from_bytes([1; 32]).to_string())).unwrap();
    let keys = open(directory.path(), policy(4));
    assert_eq!(keys.list(&tenant("a")).len(), 1);
}

#[test]
fn the_cache_keeps_to_its_bytes_and_lets_no_holder_down() {
    let parameters = &INSECURE_N64_N256_Q50;
    let key = EvaluationKey::from_bytes(&frame(parameters, 3), parameters).unwrap();
    let cache = Cache::new(250);
    let name = |owner: &str, byte| (Owner::of(&tenant(owner)), KeyId::from_bytes([byte; 32]));
    let prepared = || Arc::new(PreparedKey::new(&key));
    let first = prepared();
    assert!(cache.get(&name("a", 1)).is_none());
    cache.insert(name("a", 1), &first, 100);
    cache.insert(name("a", 2), &prepared(), 100);
    assert!(Arc::ptr_eq(&first, &cache.get(&name("a", 1)).unwrap()));
    // Number 2 was used longest ago.
    cache.insert(name("a", 3), &prepared(), 100);
    assert!(cache.get(&name("a", 2)).is_none());
    assert!(Arc::ptr_eq(&first, &cache.get(&name("a", 1)).unwrap()));
    cache.insert(name("a", 2), &prepared(), 240);
    assert_eq!((cache.bytes(), cache.counts()), (240, [2, 4, 3]));
    assert_eq!(first.parameters(), parameters, "its holder has it still");
    cache.insert(name("a", 2), &prepared(), 10);
    cache.remove(&name("a", 2));
    assert_eq!(cache.bytes(), 0);

    // A tenant that holds more than half makes room by itself.
    cache.insert(name("b", 1), &prepared(), 90);
    for byte in 1..9 {
        cache.insert(name("a", byte), &prepared(), 80);
    }
    assert!(cache.get(&name("b", 1)).is_some());
    // One that holds less takes from whoever was longest idle.
    cache.insert(name("c", 1), &prepared(), 100);
    assert!(cache.get(&name("b", 1)).is_some() && cache.bytes() <= 250);
}
