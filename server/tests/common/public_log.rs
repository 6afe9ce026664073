//! Receipts, and the log that they are of, as its public files show it.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path};

use serde_json::Value;
use tiresias_evidence::{
    Checkpoint, Hash, NoteVerifier, Receipt,
    merkle::{Frontier, empty_root, leaf_hash, verify_inclusion},
    tile,
};

use crate::{
    common::{Gateway, http::Reply},
    probe::HEADER_LENGTH,
};

/// The JSON part of an inference response, and the elements of its binary part.
pub(crate) fn answer(reply: &Reply) -> (Value, Vec<Vec<u8>>) {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let length = reply.header(HEADER_LENGTH).unwrap().parse().unwrap();
    let elements = tiresias_client::oip::read_response(&reply.body, length, "scores").unwrap().elements;
    (serde_json::from_slice(&reply.body[..length]).unwrap(), elements)
}

pub(crate) fn receipt(form: &Value) -> Receipt {
    Receipt::parse(form["parameters"]["receipt"].as_str().unwrap()).unwrap()
}

pub(crate) fn key_of(gateway: &Gateway) -> NoteVerifier {
    NoteVerifier::parse(gateway.log_key.as_ref().unwrap()).unwrap()
}

/// A log as its public files show it.
pub(crate) struct PublicLog {
    pub(crate) entries: Vec<Hash>,
    /// The root at each size.
    roots: Vec<Hash>,
}

impl PublicLog {
    pub(crate) fn read(directory: &Path, key: &NoteVerifier) -> Self {
        let note = fs::read_to_string(directory.join("checkpoint")).unwrap();
        let checkpoint = Checkpoint::open(&note, key).unwrap();
        let mut log = Self { entries: Vec::new(), roots: vec![empty_root()] };
        let mut tree = Frontier::default();
        for index in 0..checkpoint.size.div_ceil(256) {
            let width = (checkpoint.size - 256 * index).min(256);
            let bundle = fs::read(directory.join(tile::entries_path(index, width)));
            // Of a gateway that runs, a partial one may have become a full one by now.
            let bundle =
                bundle.or_else(|_| fs::read(directory.join(tile::entries_path(index, 256)))).unwrap();
            for entry in tile::unbundle(&bundle).unwrap().into_iter().take(width as usize) {
                tree.append(leaf_hash(entry));
                log.entries.push(entry.try_into().unwrap());
                log.roots.push(tree.root());
            }
        }
        assert_eq!((tree.size(), tree.root()), (checkpoint.size, checkpoint.root));
        log
    }

    /// The log has the receipt's leaf, and its checkpoint is of this log's beginning: so all that pass here are consistent.
    pub(crate) fn has(&self, receipt: &Receipt, key: &NoteVerifier) {
        let entry = receipt.leaf.entry(&receipt.salt);
        assert_eq!(self.entries.get(receipt.index as usize), Some(&entry), "leaf {}", receipt.index);
        let seen = receipt.verify(key).unwrap();
        self.continues(&seen);
        verify_inclusion(receipt.index, seen.size, &leaf_hash(&entry), &seen.root, &receipt.proof).unwrap();
    }

    pub(crate) fn continues(&self, seen: &Checkpoint) {
        assert_eq!(self.roots.get(seen.size as usize), Some(&seen.root), "a fork at {}", seen.size);
    }
}
