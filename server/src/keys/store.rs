//! Keys on disk: `<directory>/<owner>/<key id>` is the frame as it came, its time of change is that of its upload. Files on
//! their way in lie in `<directory>/incoming`, which a start empties.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tempfile::{NamedTempFile, TempDir};
use tiresias_keys::{BootstrapParameters, Digest, EvaluationKey, KeyId};

use super::upload::Upload;
use crate::{data, tenants::TenantId};

const INCOMING: &str = "incoming";

/// A tenant as it is named on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner(Digest);

impl Owner {
    pub(crate) fn of(tenant: &TenantId) -> Self {
        Self(Digest::of(tenant.as_str().as_bytes()))
    }
}

/// A key that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StoredKey {
    pub(crate) id: KeyId,
    pub(crate) parameters: &'static BootstrapParameters,
    pub(crate) uploaded: SystemTime,
    pub(crate) expires: SystemTime,
}

pub(super) struct Store {
    place: Place,
    expire_after: Duration,
    index: Mutex<HashMap<Owner, BTreeMap<KeyId, StoredKey>>>,
    /// Whoever changes what lies on the disk holds it.
    changes: Mutex<()>,
}

/// Where keys lie.
enum Place {
    /// In the data directory.
    Data(PathBuf),
    /// In a directory that goes with this, made for the first upload: a process that is killed leaves it behind.
    Temporary(Mutex<Option<TempDir>>),
}

impl Place {
    fn directory(&self) -> io::Result<PathBuf> {
        let temporary = match self {
            Self::Data(directory) => return Ok(directory.clone()),
            Self::Temporary(temporary) => temporary,
        };
        let mut temporary = temporary.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = &*temporary {
            return Ok(directory.path().to_owned());
        }
        let made = tempfile::Builder::new().prefix("tiresias-keys-").tempdir()?;
        make(&made.path().join(INCOMING))?;
        Ok(temporary.insert(made).path().to_owned())
    }
}

impl Store {
    /// Opens a directory, makes it where there is none, and deletes what never became a key.
    pub(super) fn open(directory: &Path, expire_after: Duration) -> Result<Self, data::Error> {
        let index = prepare(directory, expire_after)
            .map_err(|source| data::Error::Io { path: directory.to_owned(), source })?;
        let place = Place::Data(directory.to_owned());
        Ok(Self { place, expire_after, index: Mutex::new(index), changes: Mutex::default() })
    }

    /// A store whose keys go with it.
    pub(super) fn temporary(expire_after: Duration) -> Self {
        let place = Place::Temporary(Mutex::default());
        Self { place, expire_after, index: Mutex::default(), changes: Mutex::default() }
    }

    pub(super) fn find(&self, owner: &Owner, id: &KeyId) -> Option<StoredKey> {
        let now = SystemTime::now();
        self.index().get(owner)?.get(id).copied().filter(|key| key.expires > now)
    }

    pub(super) fn list(&self, owner: &Owner) -> Vec<StoredKey> {
        let now = SystemTime::now();
        let index = self.index();
        index
            .get(owner)
            .into_iter()
            .flat_map(BTreeMap::values)
            .copied()
            .filter(|key| key.expires > now)
            .collect()
    }

    /// A file that is nobody's key yet.
    pub(super) fn incoming(&self) -> io::Result<NamedTempFile> {
        let directory = self.place.directory()?.join(INCOMING);
        match NamedTempFile::new_in(&directory) {
            // Temporary directories are cleaned by others too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&directory)?;
                NamedTempFile::new_in(&directory)
            }
            made => made,
        }
    }

    /// Makes a checked upload a key: synced, then there by one rename.
    pub(super) fn keep(
        &self,
        owner: &Owner,
        upload: Upload,
        parameters: &'static BootstrapParameters,
    ) -> io::Result<StoredKey> {
        let root = self.place.directory()?;
        let directory = root.join(owner.0.to_string());
        let (file, id) = upload.into_parts();
        let uploaded = SystemTime::now();
        let expires = uploaded.checked_add(self.expire_after).ok_or(io::ErrorKind::InvalidInput)?;
        file.as_file().set_modified(uploaded)?;
        file.as_file().sync_all()?;
        let _alone = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        make(&directory)?;
        let path = directory.join(id.to_string());
        file.persist(&path).map_err(|error| error.error)?;
        if let Err(error) = sync_directory(&directory).and_then(|()| sync_directory(&root)) {
            // What may not be there after a crash is not there now.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let key = StoredKey { id, parameters, uploaded, expires };
        // No one waits for the disk with the index in hand.
        self.index().entry(*owner).or_default().insert(id, key);
        Ok(key)
    }

    /// Reads a whole key of `length` bytes.
    pub(super) fn read(&self, owner: &Owner, id: &KeyId, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length + 1);
        File::open(self.path(owner, id)?)?.take(length as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Deletes a key. `false` where there is none, or its time is over.
    pub(super) fn remove(&self, owner: &Owner, id: &KeyId) -> io::Result<bool> {
        let _alone = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.index().get(owner).and_then(|keys| keys.get(id)).copied();
        let Some(key) = known else { return Ok(false) };
        self.unlink(owner, id)?;
        Ok(key.expires > SystemTime::now())
    }

    /// Forgets a key whose file is gone.
    pub(super) fn forget(&self, owner: &Owner, id: &KeyId) {
        let _alone = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gone = self.path(owner, id).is_ok_and(|path| !path.exists());
        if let Some(keys) = self.index().get_mut(owner).filter(|_| is_gone) {
            keys.remove(id);
        }
    }

    /// Deletes a file and what is known of it. The caller holds `changes`.
    fn unlink(&self, owner: &Owner, id: &KeyId) -> io::Result<()> {
        let path = self.path(owner, id)?;
        match fs::remove_file(&path) {
            // Someone else has deleted it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        match sync_directory(path.parent().unwrap_or(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced?,
        }
        if let Some(keys) = self.index().get_mut(owner) {
            keys.remove(id);
        }
        Ok(())
    }

    /// Deletes what has expired, and says what that was.
    pub(super) fn sweep(&self) -> Vec<(Owner, KeyId)> {
        let now = SystemTime::now();
        let expired = |(owner, keys): (&Owner, &BTreeMap<KeyId, StoredKey>)| {
            let expired = keys.values().filter(|key| key.expires <= now);
            expired.map(|key| (*owner, key.id)).collect::<Vec<_>>()
        };
        let expired: Vec<_> = self.index().iter().flat_map(expired).collect();
        let _alone = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        for (owner, id) in &expired {
            // It may have been sent again meanwhile.
            let is_expired = |key: &StoredKey| key.expires <= now;
            if !self.index().get(owner).and_then(|keys| keys.get(id)).is_some_and(is_expired) {
                continue;
            }
            if let Err(error) = self.unlink(owner, id) {
                tracing::error!(kind = ?error.kind(), "an expired evaluation key could not be deleted");
            }
        }
        expired
    }

    /// Keys and their bytes.
    pub(super) fn totals(&self) -> (usize, u64) {
        let index = self.index();
        let lengths =
            index.values().flat_map(BTreeMap::values).map(|key| EvaluationKey::encoded_len(key.parameters));
        lengths.fold((0, 0), |(keys, bytes), length| (keys + 1, bytes + length as u64))
    }

    fn path(&self, owner: &Owner, id: &KeyId) -> io::Result<PathBuf> {
        Ok(self.place.directory()?.join(owner.0.to_string()).join(id.to_string()))
    }

    fn index(&self) -> MutexGuard<'_, HashMap<Owner, BTreeMap<KeyId, StoredKey>>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredKey {
    /// Seconds since 1970.
    pub(crate) fn seconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// Makes the directory whole, and lists its keys.
fn prepare(
    directory: &Path,
    expire_after: Duration,
) -> io::Result<HashMap<Owner, BTreeMap<KeyId, StoredKey>>> {
    let incoming = directory.join(INCOMING);
    make(directory)?;
    make(&incoming)?;
    sync_directory(directory.parent().unwrap_or(directory))?;
    for entry in fs::read_dir(&incoming)? {
        let entry = entry?;
        if let Err(error) = fs::remove_file(entry.path()) {
            tracing::warn!(kind = ?error.kind(), "something in the directory of incoming keys is no file of ours");
        }
    }
    let mut index: HashMap<Owner, BTreeMap<KeyId, StoredKey>> = HashMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let owner = entry.file_name().to_str().and_then(|name| Digest::from_hex(name).ok()).map(Owner);
        let Some(owner) = owner.filter(|_| entry.path().is_dir()) else { continue };
        for file in fs::read_dir(entry.path())? {
            if let Some(key) = scan(&file?.path(), expire_after)? {
                index.entry(owner).or_default().insert(key.id, key);
            }
        }
    }
    Ok(index)
}

/// What a file is, by its name, header and length. Others are passed over; a damaged key shows when it is prepared.
fn scan(path: &Path, expire_after: Duration) -> io::Result<Option<StoredKey>> {
    let Some(id) =
        path.file_name().and_then(|name| name.to_str()).and_then(|name| KeyId::from_hex(name).ok())
    else {
        return Ok(None);
    };
    // A link or a pipe is not ours, and may not be opened.
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut file = File::open(path)?;
    let mut header = [0; 8];
    if file.read_exact(&mut header).is_err() {
        return Ok(None);
    }
    let parameters = EvaluationKey::expected(&header).ok();
    let whole = parameters.filter(|known| EvaluationKey::encoded_len(known) as u64 == metadata.len());
    let uploaded = metadata.modified()?;
    let Some(expires) = uploaded.checked_add(expire_after) else { return Ok(None) };
    Ok(whole.map(|parameters| StoredKey { id, parameters, uploaded, expires }))
}

/// Makes a directory of its owner alone, where there is none.
fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    // Directories can be synced on Unix alone.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
