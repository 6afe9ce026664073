use std::{fs, path::Path};

use tempfile::TempDir;
use tiresias_circuits::{
    HeadShape, Plan, Privacy, QuantizedHead, Quantizer, card::CardParts, quantize::Scale,
};
use tiresias_keys::Seed;

use super::*;

/// Stores version `version` of a model, with a seed of its own as an import would give it.
fn store(directory: &Path, name: &str, version: u32, seed: u8) {
    let shape = HeadShape { features: 3, classes: 2, feature_bits: 8, weight_bits: 8 };
    let head = QuantizedHead::new(shape, vec![1, -2, 3, 4, 5, -6], vec![7, -8]).unwrap();
    let quantizer = Quantizer::new(8, 3, Scale::PerTensor(0.5)).unwrap();
    let plan = Plan::new(shape, Privacy::Flooded).unwrap();
    let labels = vec!["a".into(), "b".into()];
    let seed = Seed::from_bytes([seed; 32]);
    let card = Card::new(CardParts::new(name, version, labels, quantizer, 0.25, plan, seed)).unwrap();
    Repository::new(directory).store(&card, &StoredHead::Linear(head)).unwrap();
}

struct Case {
    directory: TempDir,
    registry: Registry,
}

impl Case {
    /// Model `m` in versions 1 and 2, model `n` in version 1.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        store(directory.path(), "m", 1, 1);
        store(directory.path(), "m", 2, 2);
        store(directory.path(), "n", 1, 3);
        let registry =
            Registry::open(Repository::new(directory.path()), Governance::default(), None, None).unwrap();
        Self { directory, registry }
    }

    fn remove(&self, path: &str) {
        fs::remove_dir_all(self.directory.path().join(path)).unwrap();
    }

    fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<ServedModel>, ApiError> {
        self.registry.snapshot().find(name, version)
    }

    /// What is listed: name, version, and the reason where it is not served.
    fn index(&self) -> Vec<(String, u32, Option<&'static str>)> {
        let models = self.registry.snapshot();
        models.index().into_iter().map(|((name, version), why)| (name.to_owned(), version, why)).collect()
    }
}

fn entry(name: &str, version: u32, why: Option<&'static str>) -> (String, u32, Option<&'static str>) {
    (name.to_owned(), version, why)
}

#[test]
fn versions_come_and_go_and_requests_in_flight_keep_theirs() {
    let case = Case::new();
    let (first, second) = (case.find("m", Some("1")).unwrap(), case.find("m", None).unwrap());
    assert_eq!(second.card.version(), 2);
    case.remove("m/2");
    store(case.directory.path(), "m", 3, 4);
    assert!(case.find("m", Some("3")).is_err(), "not before the reload");
    assert!(case.registry.reload());
    let newest = case.find("m", None).unwrap();
    assert_eq!(newest.card.version(), 3);
    let retired = ApiError::ConfigRetired { newest: Some((newest.config.to_string(), 3)) };
    assert_eq!(case.find("m", Some("2")).err(), Some(retired));
    assert_eq!(case.find("m", Some("9")).err(), Some(ApiError::UnknownVersion));
    assert_eq!(case.find("m", Some("02")).err(), Some(ApiError::UnknownVersion));
    assert_eq!(case.find("x", None).err(), Some(ApiError::UnknownModel));
    assert_eq!(case.find("x", Some("1")).err(), Some(ApiError::UnknownModel));
    let models = case.registry.snapshot();
    assert!(models.is_retired(&second.config) && !models.is_retired(&first.config));
    assert_eq!(second.card.version(), 2, "who holds it has it");
}

#[test]
fn a_card_that_comes_back_is_not_retired() {
    let case = Case::new();
    let second = case.find("m", None).unwrap();
    let (there, aside) = (case.directory.path().join("m/2"), case.directory.path().join("aside"));
    fs::rename(&there, &aside).unwrap();
    assert!(case.registry.reload());
    assert!(case.registry.snapshot().is_retired(&second.config));
    fs::rename(&aside, &there).unwrap();
    assert!(case.registry.reload());
    assert!(!case.registry.snapshot().is_retired(&second.config));
    // The same version with another card: the old card is retired, the version is not.
    case.remove("m/2");
    store(case.directory.path(), "m", 2, 9);
    assert!(case.registry.reload());
    assert!(case.registry.snapshot().is_retired(&second.config));
    assert!(case.find("m", Some("2")).is_ok());
}

#[test]
fn what_is_broken_is_listed_and_takes_nothing_down() {
    let case = Case::new();
    let served = case.find("m", Some("1")).unwrap();
    for path in ["m/1/model.bin", "n/1/card.json"] {
        fs::write(case.directory.path().join(path), b"broken").unwrap();
    }
    store(case.directory.path(), "m", 3, 4);
    fs::remove_file(case.directory.path().join("m/3/model.bin")).unwrap();
    // An import that was interrupted, and what other tools leave.
    fs::create_dir(case.directory.path().join("m/.import-x")).unwrap();
    fs::write(case.directory.path().join("m/config.pbtxt"), b"name: \"m\"").unwrap();
    fs::create_dir(case.directory.path().join("m/4x")).unwrap();
    assert!(!case.registry.reload());
    assert_eq!(case.find("m", Some("1")).unwrap().config, served.config);
    assert!(case.find("n", None).is_ok());
    let all = [entry("m", 1, None), entry("m", 2, None), entry("m", 3, Some("io")), entry("n", 1, None)];
    assert_eq!(case.index(), all);
    assert_eq!(case.find("m", Some("3")).err(), Some(ApiError::UnknownVersion));
    assert_eq!(case.registry.load("m"), Err(ApiError::LoadFailed));
    assert_eq!(case.index(), all);
    // Gone from the disk, the broken version is retired as any other.
    case.remove("m/1");
    case.remove("m/3");
    assert_eq!(case.registry.load("m"), Ok(()));
    assert_eq!(case.index(), [entry("m", 2, None), entry("n", 1, None)]);
}

#[test]
fn a_reload_that_would_leave_nothing_changes_nothing() {
    let case = Case::new();
    case.remove("m");
    case.remove("n");
    assert!(!case.registry.reload());
    assert_eq!(case.index().len(), 3);
    fs::remove_dir(case.directory.path()).unwrap();
    assert!(!case.registry.reload());
    assert!(case.find("m", None).is_ok() && case.find("n", None).is_ok());
}

#[test]
fn an_unloaded_model_stays_so_through_reloads_until_it_is_loaded() {
    let case = Case::new();
    let newest = case.find("m", None).unwrap();
    assert_eq!(case.registry.unload("m"), Ok(()));
    assert_eq!(case.registry.unload("m"), Ok(()));
    let retired = Some(ApiError::ConfigRetired { newest: None });
    for _ in 0..2 {
        assert_eq!(case.find("m", None).err(), retired);
        assert_eq!(case.find("m", Some("1")).err(), retired);
        assert_eq!(case.find("m", Some("7")).err(), Some(ApiError::UnknownModel));
        assert!(case.registry.snapshot().is_retired(&newest.config));
        let unloaded = Some("unloaded");
        let expected = [entry("m", 1, unloaded), entry("m", 2, unloaded), entry("n", 1, None)];
        assert_eq!(case.index(), expected);
        assert!(case.registry.reload());
    }
    assert_eq!(case.registry.load("m"), Ok(()));
    assert_eq!(case.find("m", None).unwrap().config, newest.config);
    assert_eq!(case.registry.unload("x"), Err(ApiError::UnknownModel));
    for name in ["x", "..", "", "m/1", "."] {
        assert_eq!(case.registry.load(name), Err(ApiError::UnknownModel), "{name}");
    }
    assert_eq!(case.index().len(), 3);
}

#[test]
fn the_last_model_can_be_unloaded_and_comes_back() {
    let case = Case::new();
    case.remove("n");
    assert!(case.registry.reload());
    assert_eq!(case.registry.unload("m"), Ok(()));
    assert!(case.registry.reload());
    assert!(case.find("m", None).is_err());
    assert_eq!(case.registry.load("m"), Ok(()));
    assert!(case.find("m", None).is_ok());
}
