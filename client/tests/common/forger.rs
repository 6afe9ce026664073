//! A gateway that cheats with its log: a relay in front of an honest one, which gives receipts of a log of its own. That log
//! signs whatever it is told to, forgets what it likes, and shows what it wants to be seen.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    convert::Infallible,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tiresias_client::oip;
use tiresias_evidence::{
    Checkpoint, Hash, Leaf, LogKey, Receipt,
    merkle::{Frontier, Hashes, leaf_hash, prove_inclusion},
    tile,
};

use super::relay::{Act, Backend, Requests, Seen, raw};
use crate::gateway::{Gateway, http::Reply};

/// A log in the hands of a cheat.
pub(crate) struct Forger {
    key: LogKey,
    entries: Mutex<Vec<Hash>>,
    /// Who cosigns the checkpoints that it shows.
    witnesses: Vec<LogKey>,
}

/// The nodes of a tree by their definition.
struct Nodes<'a>(&'a [Hash]);

impl Hashes for Nodes<'_> {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let begin = (index << level) as usize;
        Ok(tree(&self.0[begin..begin + (1 << level)]).root())
    }
}

fn tree(entries: &[Hash]) -> Frontier {
    let mut tree = Frontier::default();
    for entry in entries {
        tree.append(leaf_hash(entry));
    }
    tree
}

impl Forger {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            key: LogKey::from_seed(name, &[7; 32]).unwrap(),
            entries: Mutex::default(),
            witnesses: Vec::new(),
        }
    }

    /// Has a witness cosign whatever it shows.
    pub(crate) fn witnessed_by(mut self, witness: LogKey) -> Self {
        self.witnesses.push(witness);
        self
    }

    /// What verifies it.
    pub(crate) fn verifier(&self) -> String {
        self.key.verifier().to_string()
    }

    /// Appends entries that mean nothing, numbered from `first`.
    pub(crate) fn fill(&self, first: u64, count: u64) {
        let entry = |number: u64| {
            let mut entry = [0; 32];
            entry[..8].copy_from_slice(&number.to_be_bytes());
            entry
        };
        self.entries.lock().unwrap().extend((first..first + count).map(entry));
    }

    /// Forgets all but its first entries.
    pub(crate) fn forget(&self, keep: usize) {
        self.entries.lock().unwrap().truncate(keep);
    }

    pub(crate) fn size(&self) -> usize {
        self.entries.lock().unwrap().len()
    }

    /// Appends a leaf and proves it.
    pub(crate) fn receipt(&self, leaf: Leaf) -> Receipt {
        let mut entries = self.entries.lock().unwrap();
        let (salt, index) = ([entries.len() as u8; 32], entries.len() as u64);
        entries.push(leaf.entry(&salt));
        let Ok(proof) = prove_inclusion(&Nodes(&entries), index, index + 1);
        let checkpoint = self.key.sign(&self.text(&entries));
        Receipt { leaf, salt, index, proof, checkpoint }
    }

    fn text(&self, entries: &[Hash]) -> String {
        let tree = tree(entries);
        let origin = self.key.verifier().name().to_owned();
        Checkpoint { origin, size: tree.size(), root: tree.root() }.text()
    }

    /// The checkpoint that it shows.
    pub(crate) fn checkpoint(&self) -> String {
        let text = self.text(&self.entries.lock().unwrap());
        let cosigned: String =
            self.witnesses.iter().map(|witness| witness.cosign(&text, 1_763_923_000)).collect();
        self.key.sign(&text) + &cosigned
    }

    /// All files of its log.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let entries = self.entries.lock().unwrap().clone();
        let mut files = vec![("checkpoint".to_owned(), self.checkpoint().into_bytes())];
        let mut nodes: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        for (index, entries) in entries.chunks(256).enumerate() {
            let bundle = tile::bundle(entries.iter().map(Hash::as_slice)).unwrap();
            files.push((tile::entries_path(index as u64, entries.len() as u64), bundle));
        }
        for level in 0.. {
            for (index, tile) in nodes.chunks(256).enumerate() {
                files.push((tile::path(level, index as u64, tile.len() as u64), tile.concat()));
            }
            let full = nodes.as_chunks::<256>().0;
            nodes = full.iter().map(|tile| tile::root(tile).unwrap()).collect();
            if nodes.is_empty() {
                break;
            }
        }
        files
    }

    /// Writes its log as a directory of public files.
    pub(crate) fn write(&self, directory: &Path) {
        for (path, bytes) in self.files() {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// What it answers to a request for its public files; `None` to any other request.
    pub(crate) fn reply(&self, target: &str) -> Option<Vec<u8>> {
        let path = target.strip_prefix("GET /")?;
        if path != "checkpoint" && !path.starts_with("tile/") {
            return None;
        }
        let found = self.files().into_iter().find(|(name, _)| name == path);
        let (status, bytes) = found.map_or((404, Vec::new()), |(_, bytes)| (200, bytes));
        Some(raw(&Reply {
            status,
            headers: vec![("content-length".into(), bytes.len().to_string())],
            body: bytes,
        }))
    }

    /// A relay in front of an honest gateway: it answers for the log itself, and gives each answer, by its number, the receipt
    /// that `forge` makes of the honest one.
    pub(crate) fn relay(
        self: &Arc<Self>,
        gateway: &Gateway,
        forge: impl Fn(&Self, usize, Receipt) -> Option<String> + Send + Sync + 'static,
    ) -> Requests {
        let (backend, forger) = (Backend::of(gateway), Arc::clone(self));
        Requests::start(gateway, move |seen, count| {
            if let Some(reply) = forger.reply(&seen.target) {
                return Act::Reply(reply);
            }
            if !seen.target.ends_with("/infer") {
                return Act::Forward(backend.clone());
            }
            let mut reply = backend.answer(&seen.whole());
            change_receipt(&mut reply, |honest| forge(&forger, count, honest));
            Act::Reply(raw(&reply))
        })
    }
}

/// Changes the receipt in an inference response, or takes it out.
pub(crate) fn change_receipt(reply: &mut Reply, change: impl FnOnce(Receipt) -> Option<String>) {
    let length = oip::find_header_length(&reply.body).unwrap();
    let mut form: Value = serde_json::from_slice(&reply.body[..length]).unwrap();
    let parameters = form["parameters"].as_object_mut().unwrap();
    let honest = Receipt::parse(parameters["receipt"].as_str().unwrap()).unwrap();
    match change(honest) {
        Some(receipt) => parameters.insert("receipt".into(), receipt.into()),
        None => parameters.remove("receipt"),
    };
    let json = form.to_string().into_bytes();
    let body = [json.as_slice(), &reply.body[length..]].concat();
    for (name, value) in &mut reply.headers {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => *value = body.len().to_string(),
            oip::HEADER_LENGTH => *value = json.len().to_string(),
            _ => {}
        }
    }
    reply.body = body;
}

/// Whether a request is one for inference.
pub(crate) fn is_inference(seen: &Seen) -> bool {
    seen.target.ends_with("/infer")
}
