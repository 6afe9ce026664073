//! What is served at one moment, and what was.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tiresias_keys::ConfigId;

use super::ServedModel;
use crate::{error::ApiError, governance::Approved, history::History, repository::version_of};

pub(super) type Versions = BTreeMap<u32, Arc<ServedModel>>;

/// Everything served at one moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// No entry is without a version.
    pub(super) models: BTreeMap<String, Versions>,
    /// Versions in the repository that are not served, and why.
    pub(super) unavailable: BTreeMap<(String, u32), &'static str>,
    pub(super) unloaded: BTreeSet<String>,
    pub(super) history: Arc<History>,
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

    pub(super) fn serves(&self, config: &ConfigId) -> bool {
        self.served(config).is_some()
    }

    pub(super) fn served(&self, config: &ConfigId) -> Option<&ServedModel> {
        self.models.values().flat_map(BTreeMap::values).map(Arc::as_ref).find(|model| model.config == *config)
    }

    /// How a served card is approved.
    pub(super) fn approval(&self, config: &ConfigId) -> Option<&Approved> {
        self.served(config)?.approved.as_ref()
    }

    pub(super) fn insert(&mut self, model: Arc<ServedModel>) {
        self.models.entry(model.card.name().to_owned()).or_default().insert(model.card.version(), model);
    }

    /// A copy without one model, and without its being unloaded.
    pub(super) fn without(&self, name: &str) -> Self {
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
    pub(super) fn keep(&mut self, name: &str, old: &Self) {
        self.models.extend(old.models.get_key_value(name).map(clone_entry));
        let unavailable = old.unavailable.iter().filter(|((key, _), _)| key == name);
        self.unavailable.extend(unavailable.map(clone_entry));
    }
}

fn clone_entry<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}
