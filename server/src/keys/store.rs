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
        fs::create_dir(made.path().join(INCOMING))?;
        Ok(temporary.insert(made).path().to_owned())
    }
}

impl Store {
    /// Opens a directory, makes it where there is none, and deletes what never became a key.
    pub(super) fn open(directory: &Path, expire_after: Duration) -> Result<Self, data::Error> {
        let index = prepare(directory, expire_after)
            .map_err(|source| data::Error::Io { path: directory.to_owned(), source })?;
        Ok(Self { place: Place::Data(directory.to_owned()), expire_after, index: Mutex::new(index) })
    }

    /// A store whose keys go with it.
    pub(super) fn temporary(expire_after: Duration) -> Self {
        Self { place: Place::Temporary(Mutex::default()), expire_after, index: Mutex::default() }
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
        NamedTempFile::new_in(self.place.directory()?.join(INCOMING))
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
        fs::create_dir_all(&directory)?;
        let (file, id) = upload.into_parts();
        let uploaded = SystemTime::now();
        file.as_file().set_modified(uploaded)?;
        file.as_file().sync_all()?;
        file.persist(directory.join(id.to_string())).map_err(|error| error.error)?;
        sync_directory(&directory)?;
        sync_directory(&root)?;
        let key = StoredKey { id, parameters, uploaded, expires: uploaded + self.expire_after };
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
        let known = self.index().get(owner).and_then(|keys| keys.get(id)).copied();
        let Some(key) = known else { return Ok(false) };
        let path = self.path(owner, id)?;
        match fs::remove_file(&path) {
            // Another request has deleted it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        sync_directory(path.parent().unwrap_or(&path))?;
        let removed = self.index().get_mut(owner).and_then(|keys| keys.remove(id));
        Ok(removed.is_some() && key.expires > SystemTime::now())
    }

    /// Deletes what has expired, and says what that was.
    pub(super) fn sweep(&self) -> Vec<(Owner, KeyId)> {
        let now = SystemTime::now();
        let expired = |(owner, keys): (&Owner, &BTreeMap<KeyId, StoredKey>)| {
            let expired = keys.values().filter(|key| key.expires <= now);
            expired.map(|key| (*owner, key.id)).collect::<Vec<_>>()
        };
        let expired: Vec<_> = self.index().iter().flat_map(expired).collect();
        for (owner, id) in &expired {
            if let Err(error) = self.remove(owner, id) {
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
    fs::create_dir_all(&incoming)?;
    for entry in fs::read_dir(&incoming)? {
        fs::remove_file(entry?.path())?;
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
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut header = [0; 8];
    if file.read_exact(&mut header).is_err() {
        return Ok(None);
    }
    let parameters = EvaluationKey::expected(&header).ok();
    let whole = parameters.filter(|known| EvaluationKey::encoded_len(known) as u64 == metadata.len());
    let uploaded = metadata.modified()?;
    Ok(whole.map(|parameters| StoredKey { id, parameters, uploaded, expires: uploaded + expire_after }))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    // Directories can be synced on Unix alone.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
