//! What is served: models and their versions, as one snapshot that requests read and a reload replaces whole. A
//! request in flight keeps its model and finishes on it, whatever happens to the repository.
//!
//! A version that cannot be loaded is logged and listed as unavailable; where it was being served, it still is. Only
//! a version whose directory is gone is retired, one that is no longer approved, and a model that an operator unloads, until it
//! is loaded again or the gateway restarts.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hyper::body::Bytes;
use tiresias_circuits::{
    Card, card::check_name, cohort::PreparedCohort, evaluate::PreparedHead, label::PreparedLabel,
    mlp::PreparedMlp, plan::Policy,
};
use tiresias_evidence::Event;
use tiresias_keys::{ConfigId, Digest};

use crate::{
    cohorts::Cohorts,
    data::{self, DataDirectory},
    error::ApiError,
    governance::{self, Approved, Governance},
    history::{Record, Served},
    log::Log,
    repository::{self, Repository, StoredHead, StoredModel},
    swap::Swap,
};

mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use snapshot::Snapshot;

/// A model as served.
pub(crate) struct ServedModel {
    pub(crate) name: Arc<str>,
    pub(crate) card: Card,
    pub(crate) card_bytes: Bytes,
    pub(crate) config: ConfigId,
    pub(crate) head: ServedHead,
    /// Where the model owner lets clients have cohorts scored.
    pub(crate) cohorts: Option<Cohorts>,
    /// SHA-256 of the stored weights.
    pub(crate) weights: Digest,
    /// Who approved it, and for what.
    pub(crate) approved: Option<Approved>,
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
        let cohorts = match (&head, card.cohort()) {
            (StoredHead::Linear(head), Some(plan)) => {
                Some(Cohorts::new(PreparedCohort::new(head, *plan, config, seed)))
            }
            _ => None,
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
        let (name, card_bytes) = (card.name().into(), card_bytes.into());
        Ok(Self { name, card, card_bytes, config, head, cohorts, weights, approved: None })
    }
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
    /// Nothing in the repository is approved.
    #[error("no model in the repository is approved as [governance] asks: {0}")]
    NoneApproved(governance::Error),
}

/// Why a version cannot be served.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Repository(#[from] repository::Error),
    #[error(transparent)]
    Governance(#[from] governance::Error),
}

impl LoadError {
    fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Governance(error) => error.code(),
        }
    }
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Data(error) => error.code(),
            Self::NoModels => "no_models",
            Self::NoneApproved(error) => error.code(),
        }
    }
}

pub(crate) struct Registry {
    repository: Repository,
    governance: Governance,
    current: Swap<Snapshot>,
    /// Held by whoever makes the next snapshot.
    record: Mutex<Record>,
    /// Where what is loaded and retired is logged.
    log: Option<Arc<Log>>,
}

impl Registry {
    /// Loads the whole repository. At a start, a model that is broken is an error, and so is one approved model too few.
    pub(crate) fn open(
        repository: Repository,
        governance: Governance,
        data: Option<&DataDirectory>,
        log: Option<Arc<Log>>,
    ) -> Result<Self, Error> {
        let (current, record) = (Swap::new(Snapshot::default()), Mutex::new(Record::open(data)?));
        let registry = Self { repository, governance, current, record, log };
        let (mut models, mut refused) = (Snapshot::default(), None);
        for name in registry.repository.names()? {
            for version in registry.repository.versions(&name)? {
                match registry.load_version(&name, version) {
                    Ok(model) => models.insert(Arc::new(model)),
                    Err(LoadError::Repository(error)) => return Err(error.into()),
                    Err(LoadError::Governance(error)) => {
                        tracing::error!(code = error.code(), %error, "a version of a model is not served");
                        models.unavailable.insert((name.clone(), version), error.code());
                        refused = Some(error);
                    }
                }
            }
        }
        if models.models.is_empty() {
            return Err(refused.map_or(Error::NoModels, Error::NoneApproved));
        }
        registry.publish(&mut registry.record(), models);
        Ok(registry)
    }

    fn load_version(&self, name: &str, version: u32) -> Result<ServedModel, LoadError> {
        let stored = self.repository.load(name, Some(version))?;
        let approved = self.governance.check(&stored, &self.repository.directory(name, version))?;
        Ok(ServedModel { approved, ..ServedModel::new(stored)? })
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
            match self.load_version(name, version) {
                Ok(model) => new.insert(Arc::new(model)),
                // It went between the listing and the reading.
                Err(LoadError::Repository(repository::Error::Missing { .. })) => {}
                // Where an approval was taken back, the version is retired.
                Err(LoadError::Governance(error)) => {
                    tracing::error!(code = error.code(), %error, "a version of a model is not served");
                    new.unavailable.insert(key, error.code());
                }
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
        if let Some(log) = &self.log {
            for model in new.models.values().flat_map(BTreeMap::values) {
                let Some(approved) = &model.approved else { continue };
                if old.approval(&model.config) != Some(approved) {
                    log.record(&log.facts().approved(&model.config, &model.weights, &approved.note));
                }
            }
        }
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
