//! What is served: models and their versions, as one snapshot that requests read and a reload replaces whole. A
//! request in flight keeps its model and finishes on it, whatever happens to the repository.
//!
//! A version that cannot be loaded is logged and listed as unavailable; where it was being served, it still is. Only
//! a version whose directory is gone is retired, and a model that an operator unloads, until it is loaded again or
//! the gateway restarts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hyper::body::Bytes;
use tiresias_circuits::{
    Card, card::check_name, evaluate::PreparedHead, label::PreparedLabel, mlp::PreparedMlp, plan::Policy,
};
use tiresias_evidence::Event;
use tiresias_keys::{ConfigId, Digest};

use crate::{
    data::{self, DataDirectory},
    error::ApiError,
    history::{History, Record, Served},
    log::Log,
    repository::{self, Repository, StoredHead, StoredModel, version_of},
    swap::Swap,
};

#[cfg(test)]
mod tests;

/// A model as served.
pub(crate) struct ServedModel {
    pub(crate) name: Arc<str>,
    pub(crate) card: Card,
    pub(crate) card_bytes: Bytes,
    pub(crate) config: ConfigId,
    pub(crate) head: ServedHead,
    /// SHA-256 of the stored weights.
    pub(crate) weights: Digest,
}

/// A head, ready to be evaluated.
pub(crate) enum ServedHead {
    Scores(Box<PreparedHead>),
    Label(Box<PreparedLabel>),
    Mlp(Box<PreparedMlp>),
}

impl ServedModel {
    /// Errors where a label's stages or zone, or hidden layers, are not those of its weights.
    pub(crate) fn new(stored: StoredModel) -> Result<Self, repository::Error> {
        let StoredModel { card, card_bytes, config, head, weights } = stored;
        let (plan, seed) = (*card.plan(), *card.gateway_seed());
        let refused = |source| repository::Error::Card {
            path: format!("{}/{}", card.name(), card.version()).into(),
            source,
        };
        let head = match (&head, plan.policy()) {
            (StoredHead::Linear(head), Policy::Scores) => {
                ServedHead::Scores(Box::new(PreparedHead::new(head, plan, config, seed)))
            }
            (StoredHead::Linear(head), Policy::Label(_)) => {
                ServedHead::Label(Box::new(PreparedLabel::new(head, plan, config, seed).map_err(refused)?))
            }
            (StoredHead::Mlp(head), _) => {
                ServedHead::Mlp(Box::new(PreparedMlp::new(head, plan, config, seed).map_err(refused)?))
            }
        };
        Ok(Self { name: card.name().into(), card, card_bytes: card_bytes.into(), config, head, weights })
    }
}

type Versions = BTreeMap<u32, Arc<ServedModel>>;

/// Everything served at one moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// No entry is without a version.
    models: BTreeMap<String, Versions>,
    /// Versions in the repository that are not served, and why.
    unavailable: BTreeMap<(String, u32), &'static str>,
    unloaded: BTreeSet<String>,
    history: Arc<History>,
}

/// Why a gateway has nothing to serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model or the repository could not be read.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// The data directory could not be used.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// The repository is empty.
    #[error("the model repository holds no model: import one first")]
    NoModels,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Data(error) => error.code(),
            Self::NoModels => "no_models",
        }
    }
}

pub(crate) struct Registry {
    repository: Repository,
    current: Swap<Snapshot>,
    /// Held by whoever makes the next snapshot.
    record: Mutex<Record>,
    /// Where what is loaded and retired is logged.
    log: Option<Arc<Log>>,
}

impl Registry {
    /// Loads the whole repository. At a start, a model that is broken is an error.
    pub(crate) fn open(
        repository: Repository,
        data: Option<&DataDirectory>,
        log: Option<Arc<Log>>,
    ) -> Result<Self, Error> {
        let mut models: BTreeMap<String, Versions> = BTreeMap::new();
        for stored in repository.load_all()? {
            let model = Arc::new(ServedModel::new(stored)?);
            models.entry(model.card.name().to_owned()).or_default().insert(model.card.version(), model);
        }
        if models.is_empty() {
            return Err(Error::NoModels);
        }
        let record = Record::open(data)?;
        let registry =
            Self { repository, current: Swap::new(Snapshot::default()), record: Mutex::new(record), log };
        registry.publish(&mut registry.record(), Snapshot { models, ..Snapshot::default() });
        Ok(registry)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load()
    }

    /// Reads the repository again. `false` where something in it is broken; the log says what.
    pub(crate) fn reload(&self) -> bool {
        let mut record = self.record();
        let old = self.snapshot();
        let names = match self.repository.names() {
            Ok(names) => names,
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the model repository stays as it was");
                return false;
            }
        };
        let mut new = Snapshot { unloaded: old.unloaded.clone(), ..Snapshot::default() };
        let mut whole = true;
        for name in names {
            whole &= self.scan(&name, &old, &mut new);
        }
        if new.models.is_empty() && !old.models.is_empty() {
            tracing::error!("the model repository holds no model: it stays as it was");
            return false;
        }
        self.publish(&mut record, new);
        whole
    }

    /// Reads one model again and ends its unloading.
    pub(crate) fn load(&self, name: &str) -> Result<(), ApiError> {
        check_name(name).map_err(|_| ApiError::UnknownModel)?;
        let mut record = self.record();
        let old = self.snapshot();
        let mut new = old.without(name);
        let whole = self.scan(name, &old, &mut new);
        let found = new.models.contains_key(name);
        if new.models.is_empty() && !old.models.is_empty() {
            tracing::error!("the model repository holds no model: it stays as it was");
            return Err(ApiError::UnknownModel);
        }
        self.publish(&mut record, new);
        match (whole, found) {
            (false, _) => Err(ApiError::LoadFailed),
            (true, false) => Err(ApiError::UnknownModel),
            (true, true) => Ok(()),
        }
    }

    /// Stops serving a model, until it is loaded again or the gateway restarts.
    pub(crate) fn unload(&self, name: &str) -> Result<(), ApiError> {
        let mut record = self.record();
        let old = self.snapshot();
        if old.unloaded.contains(name) {
            return Ok(());
        }
        let versions = old.models.get(name).ok_or(ApiError::UnknownModel)?;
        let mut new = old.without(name);
        new.unloaded.insert(name.to_owned());
        new.unavailable.extend(versions.keys().map(|version| ((name.to_owned(), *version), "unloaded")));
        self.publish(&mut record, new);
        Ok(())
    }

    /// Puts a model as it lies in the repository into `new`. `false` where a version is broken.
    fn scan(&self, name: &str, old: &Snapshot, new: &mut Snapshot) -> bool {
        let versions = match self.repository.versions(name) {
            Ok(versions) => versions,
            Err(error) => {
                tracing::error!(code = error.code(), %error, "a model stays as it was");
                new.keep(name, old);
                return false;
            }
        };
        let mut whole = true;
        for version in versions {
            let key = (name.to_owned(), version);
            if new.unloaded.contains(name) {
                new.unavailable.insert(key, "unloaded");
                continue;
            }
            match self.repository.load(name, Some(version)).and_then(ServedModel::new) {
                Ok(model) => new.insert(Arc::new(model)),
                // It went between the listing and the reading.
                Err(repository::Error::Missing { .. }) => {}
                Err(error) => {
                    whole = false;
                    tracing::error!(code = error.code(), %error, "a version of a model could not be loaded");
                    match old.models.get(name).and_then(|versions| versions.get(&version)) {
                        Some(served) => new.insert(Arc::clone(served)),
                        None => drop(new.unavailable.insert(key, error.code())),
                    }
                }
            }
        }
        whole
    }

    /// Replaces the snapshot, and says what became of the models.
    fn publish(&self, record: &mut Record, mut new: Snapshot) {
        let old = self.snapshot();
        record.add(new.models.values().flat_map(BTreeMap::values).map(|model| Served {
            config: model.config,
            name: model.card.name().to_owned(),
            version: model.card.version(),
        }));
        new.history = Arc::new(record.history.clone());
        for (one, other, event, what) in [
            (&new, &*old, Event::ModelLoaded, "a version is served"),
            (&*old, &new, Event::ModelRetired, "a version is retired"),
        ] {
            for model in one.models.values().flat_map(BTreeMap::values) {
                if !other.serves(&model.config) {
                    let (name, version) = (model.card.name(), model.card.version());
                    tracing::info!(model = name, version, "{what}");
                    if let Some(log) = &self.log {
                        log.record(&log.facts().served(event, &model.config, &model.weights));
                    }
                }
            }
        }
        self.current.store(new);
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// A model by name and version, the newest version where none is given.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<ServedModel>, ApiError> {
        let versions = self.models.get(name);
        let number = version.map(|version| version_of(version).ok_or(ApiError::UnknownVersion)).transpose();
        let model = match (&number, versions) {
            (Ok(None), Some(versions)) => versions.last_key_value().map(|(_, model)| model),
            (Ok(Some(number)), Some(versions)) => versions.get(number),
            _ => None,
        };
        if let Some(model) = model {
            return Ok(Arc::clone(model));
        }
        match number {
            Ok(number) if self.history.names(name, number) => Err(self.retired(name)),
            _ if versions.is_none() => Err(ApiError::UnknownModel),
            _ => Err(ApiError::UnknownVersion),
        }
    }

    /// Whether a card was served once and is no longer.
    pub(crate) fn is_retired(&self, config: &ConfigId) -> bool {
        self.history.contains(config) && !self.serves(config)
    }

    /// What a request is told that names a retired card of a model.
    pub(crate) fn retired(&self, name: &str) -> ApiError {
        let newest = self.models.get(name).and_then(BTreeMap::last_key_value);
        ApiError::ConfigRetired {
            newest: newest.map(|(version, model)| (model.config.to_string(), *version)),
        }
    }

    /// Versions of a model that are served.
    pub(crate) fn versions(&self, name: &str) -> impl Iterator<Item = u32> + '_ {
        self.models.get(name).into_iter().flat_map(BTreeMap::keys).copied()
    }

    /// Every version in the repository, with the reason why it is not served, if it is not.
    pub(crate) fn index(&self) -> BTreeMap<(&str, u32), Option<&'static str>> {
        let served = self.models.iter().flat_map(|(name, versions)| {
            versions.keys().map(move |version| ((name.as_str(), *version), None))
        });
        let others = self.unavailable.iter();
        others
            .map(|((name, version), reason)| ((name.as_str(), *version), Some(*reason)))
            .chain(served)
            .collect()
    }

    /// The newest version of each model.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Arc<ServedModel>> {
        self.models.values().filter_map(|versions| versions.last_key_value()).map(|(_, model)| model)
    }

    fn serves(&self, config: &ConfigId) -> bool {
        self.models.values().flat_map(BTreeMap::values).any(|model| model.config == *config)
    }

    fn insert(&mut self, model: Arc<ServedModel>) {
        self.models.entry(model.card.name().to_owned()).or_default().insert(model.card.version(), model);
    }

    /// A copy without one model, and without its being unloaded.
    fn without(&self, name: &str) -> Self {
        let others = |key: &str| key != name;
        Self {
            models: self.models.iter().filter(|(key, _)| others(key)).map(clone_entry).collect(),
            unavailable: self
                .unavailable
                .iter()
                .filter(|((key, _), _)| others(key))
                .map(clone_entry)
                .collect(),
            unloaded: self.unloaded.iter().filter(|key| others(key)).cloned().collect(),
            history: Arc::clone(&self.history),
        }
    }

    /// Takes one model over as it was.
    fn keep(&mut self, name: &str, old: &Self) {
        self.models.extend(old.models.get_key_value(name).map(clone_entry));
        let unavailable = old.unavailable.iter().filter(|((key, _), _)| key == name);
        self.unavailable.extend(unavailable.map(clone_entry));
    }
}

fn clone_entry<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}
