//! Cards, heads, features and the model repository.

use std::sync::LazyLock;

use tiresias_circuits::{Card, Features, card::check_name};
use tiresias_evidence::ModelCard;
use tiresias_keys::ConfigId;
use tiresias_server::{import, repository::Repository};

use crate::{choice, scratch};

pub(crate) fn card(data: &[u8]) {
    let Ok((card, config)) = Card::from_json(data) else { return };
    assert_eq!(config, ConfigId::of_card(data));
    assert!(check_name(card.name()).is_ok() && card.version() > 0);
    let plan = card.plan();
    assert!(plan.request_shape().encoded_len() > 0 && plan.response_shape().encoded_len() > 0);
    // What the card says is what its own text says, read again.
    let again = Card::from_json(&card.to_json());
    assert!(again.is_ok_and(|(again, _)| again.to_json() == card.to_json()), "a card's text is a card");
}

/// The card's length in four bytes, the card, and `model.bin`, which is bound to the card here.
pub(crate) fn repository(data: &[u8]) {
    static ROOT: LazyLock<std::path::PathBuf> = LazyLock::new(|| scratch::directory("models"));
    let Some((length, rest)) = data.split_first_chunk::<4>() else { return };
    let Some((card, record)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { return };
    let Ok((parsed, config)) = Card::from_json(card) else { return };
    let mut record = record.to_vec();
    if let Some(bound) = record.get_mut(1..33) {
        bound.copy_from_slice(config.as_bytes());
    }
    // The directory's name is the card's; all cards have one place here.
    let root = ROOT.join(format!("{:?}", std::thread::current().id()));
    let version = root.join(parsed.name()).join(parsed.version().to_string());
    scratch::write(&version.join("card.json"), card);
    scratch::write(&version.join("model.bin"), &record);
    if let Ok(model) = Repository::new(&root).load(parsed.name(), Some(parsed.version())) {
        let row = vec![0; model.card.plan().shape().features];
        model.head.scores(&row).expect("a head scores a row of its own length");
    }
    // Names that fuzzers make up would fill the disk.
    let _ = std::fs::remove_dir_all(root.join(parsed.name()));
}

pub(crate) fn onnx(data: &[u8]) {
    if let Ok(imported) = import::read_head("head.onnx", data) {
        use_head(&imported);
    }
}

pub(crate) fn safetensors(data: &[u8]) {
    if let Ok(imported) = import::read_head("head.safetensors", data) {
        use_head(&imported);
    }
}

fn use_head(imported: &import::Imported) {
    let features = imported.head.features();
    assert!(features > 0);
    let scores = imported.head.scores(&vec![0.5; features]);
    assert!(!scores.is_empty());
}

pub(crate) fn model_card(data: &[u8]) {
    let (_, input) = choice(data);
    if let Ok(card) = ModelCard::parse(input) {
        let _ = (card.owner(), card.intended_use(), card.limits(), card.data(), card.metrics());
    }
}

pub(crate) fn features(data: &[u8]) {
    let (choice, input) = choice(data);
    let name = if choice & 1 == 0 { "features.npy" } else { "features.csv" };
    if let Ok(features) = Features::from_named(name, input) {
        assert_eq!(features.iter().count(), features.rows());
        assert!(features.iter().flatten().all(|value| value.is_finite()), "features are finite");
    }
}
