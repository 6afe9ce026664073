//! Which circuit cards were ever served. A request that was made for one of them and comes too late is told so,
//! across restarts where there is a data directory.

use std::{collections::HashSet, path::Path};

use serde::{Deserialize, Serialize};
use tiresias_keys::ConfigId;

use crate::{
    data::{self, DataDirectory},
    journal::Journal,
};

/// The file's name in the data directory.
pub(crate) const FILE: &str = "served.jsonl";
/// More cards than this are not remembered; the oldest go first.
const MAXIMUM_CARDS: usize = 10_000;

/// A card that was served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) config: ConfigId,
    pub(crate) name: String,
    pub(crate) version: u32,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    config_id: String,
    name: String,
    version: u32,
}

/// The cards served so far, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    cards: Vec<Served>,
    ids: HashSet<ConfigId>,
}

impl History {
    /// Reads a file that may not exist.
    pub(crate) fn read(path: &Path) -> Result<Self, data::Error> {
        let cards = data::read(path, parse)?;
        let mut history = Self { ids: cards.iter().map(|card| card.config).collect(), cards };
        history.forget();
        Ok(history)
    }

    pub(crate) fn contains(&self, config: &ConfigId) -> bool {
        self.ids.contains(config)
    }

    /// Whether a model of this name, or this version of it, was served.
    pub(crate) fn names(&self, name: &str, version: Option<u32>) -> bool {
        self.cards
            .iter()
            .any(|card| card.name == name && version.is_none_or(|version| version == card.version))
    }

    /// Adds a card, unless it is there.
    fn add(&mut self, card: Served) -> bool {
        let new = self.ids.insert(card.config);
        if new {
            self.cards.push(card);
            self.forget();
        }
        new
    }

    fn forget(&mut self) {
        let superfluous = self.cards.len().saturating_sub(MAXIMUM_CARDS);
        for card in self.cards.drain(..superfluous) {
            self.ids.remove(&card.config);
        }
    }

    fn lines(&self) -> Vec<String> {
        self.cards.iter().map(line).collect()
    }
}

fn parse(text: &str) -> Option<Served> {
    let line: Line = serde_json::from_str(text).ok()?;
    let config = ConfigId::from_hex(&line.config_id).ok()?;
    Some(Served { config, name: line.name, version: line.version })
}

fn line(card: &Served) -> String {
    let line = Line { config_id: card.config.to_string(), name: card.name.clone(), version: card.version };
    serde_json::to_string(&line).unwrap_or_default()
}

/// A history and its file, where there is one.
pub(crate) struct Record {
    pub(crate) history: History,
    journal: Option<Journal>,
}

impl Record {
    pub(crate) fn open(directory: Option<&DataDirectory>) -> Result<Self, data::Error> {
        let Some(directory) = directory else {
            return Ok(Self { history: History::default(), journal: None });
        };
        let path = directory.file(FILE);
        let history = History::read(&path)?;
        let journal =
            Journal::create(&path, &history.lines()).map_err(|source| data::Error::Io { path, source })?;
        Ok(Self { history, journal: Some(journal) })
    }

    /// Remembers what is served now. Serving goes before remembering: a disk that fails is logged.
    pub(crate) fn add(&mut self, cards: impl IntoIterator<Item = Served>) {
        for card in cards {
            let text = line(&card);
            let Some(journal) = self.history.add(card).then_some(self.journal.as_mut()).flatten() else {
                continue;
            };
            let written = if journal.wants_replacement(self.history.cards.len()) {
                journal.replace(&self.history.lines())
            } else {
                journal.append(&text)
            };
            if let Err(error) = written {
                tracing::error!(kind = ?error.kind(), "the list of served cards could not be written");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(number: u32) -> Served {
        let config = ConfigId::of_card(&number.to_le_bytes());
        Served { config, name: format!("m{}", number % 3), version: number }
    }

    #[test]
    fn cards_are_remembered_across_processes_and_in_bounded_number() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DataDirectory::open(directory.path()).unwrap();
        let mut record = Record::open(Some(&lock)).unwrap();
        record.add([card(1), card(2), card(1)]);
        drop(record);
        let mut record = Record::open(Some(&lock)).unwrap();
        assert_eq!(record.history.cards, [card(1), card(2)]);
        assert!(record.history.names("m1", Some(1)) && record.history.names("m2", None));
        assert!(!record.history.names("m1", Some(2)) && !record.history.names("m0", None));

        record.journal = None; // Only the bound is of interest.
        record.add((3..=MAXIMUM_CARDS as u32 + 1).map(card));
        assert_eq!(record.history.cards.len(), MAXIMUM_CARDS);
        assert!(!record.history.contains(&card(1).config) && record.history.contains(&card(2).config));
    }

    #[test]
    fn without_a_directory_memory_serves() {
        let mut record = Record::open(None).unwrap();
        record.add([card(1)]);
        assert!(record.history.contains(&card(1).config));
    }
}
