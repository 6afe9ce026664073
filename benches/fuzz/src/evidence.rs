//! Receipts, notes, tiles and what witnesses are sent. Each thing has one text.

use std::{cell::Cell, convert::Infallible};

use tiresias_evidence::{
    Approval, Checkpoint, Leaf, LogKey, NoteVerifier, Receipt, TileReader,
    merkle::{prove_consistency, prove_inclusion, verify_consistency, verify_inclusion},
    note::Note,
    tile,
    witness::{Submission, read_cosignature, read_size},
};

use crate::choice;

fn key() -> LogKey {
    LogKey::from_seed("fuzz.example/log", &[7; 32]).expect("a good name")
}

pub(crate) fn receipt(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(leaf) = Leaf::parse(text) {
        assert_eq!(leaf.to_text(), text, "a leaf has one text");
    }
    if let Ok(receipt) = Receipt::parse(text) {
        assert_eq!(receipt.to_text(), text, "a receipt has one text");
        let _ = receipt.verify(&key().verifier());
    }
}

pub(crate) fn note(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = NoteVerifier::parse(text) {
        let _ = (key.name(), key.is_cosigner(), key.to_string());
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert!(
            text.starts_with(&checkpoint.text()),
            "a checkpoint has one text, and perhaps more lines behind it"
        );
    }
    if let Ok(approval) = Approval::parse(text) {
        assert_eq!(approval.text(), text, "an approval has one text");
    }
    let keys = [key().verifier(), key().cosignature_verifier()];
    if let Ok(note) = Note::parse(text) {
        let _ = (note.text(), note.signature_lines().count(), note.signatures_of(&keys));
        let _ = keys.iter().filter(|key| note.verify(key).is_ok()).count();
        // Signed, any text is a note.
        let signed = key().sign(note.text());
        assert!(Note::parse(&signed).is_ok_and(|signed| signed.verify(&keys[0]).is_ok()));
        let _ = Checkpoint::open(&signed, &keys[0]);
    }
    let _ = Approval::open(text, &keys);
}

/// A log whose tiles are the input, whatever is asked for.
pub(crate) fn tiles(data: &[u8]) {
    if let Some(entries) = tile::unbundle(data) {
        assert_eq!(tile::bundle(entries.into_iter()).as_deref(), Some(data), "a bundle has one form");
    }
    let (first, input) = choice(data);
    let (second, input) = choice(input);
    let size = u64::from(first) << (second % 25) | u64::from(second);
    let asked = Cell::new(0);
    let fetch = |path: &str| {
        asked.set(asked.get() + 1);
        assert!(asked.get() < 4096, "a proof asks for few tiles");
        let width = path.rsplit_once(".p/").map_or(256, |(_, width)| width.parse().unwrap_or(256));
        let filler = input.iter().copied().cycle().take(32 * width);
        Ok::<_, Infallible>(if input.is_empty() { vec![0; 32 * width] } else { filler.collect() })
    };
    let reader = TileReader::new(size, fetch);
    let (old, index) = (size / 2, size.saturating_sub(1));
    let (Ok(root), Ok(before)) = (reader.root(size), reader.root(old)) else { return };
    if let Ok(proof) = prove_inclusion(&reader, index, size) {
        let _ = verify_inclusion(index, size, &[0; 32], &root, &proof);
    }
    if let Ok(proof) = prove_consistency(&reader, old, size) {
        let _ = verify_consistency((old, &before), (size, &root), &proof);
    }
    if size > 0 {
        let _ = reader.entries(0);
    }
}

pub(crate) fn submission(data: &[u8]) {
    let _ = read_size(data);
    let _ = read_cosignature(data, "fuzz.example/log\n0\n", &key().cosignature_verifier());
    if let Ok(submission) = Submission::parse(data) {
        assert_eq!(submission.to_text().as_bytes(), data, "a submission has one text");
        let _ = submission.judge(&[key().verifier()], Some(submission.checkpoint()));
    }
}
