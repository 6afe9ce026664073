//! Receipts (c2sp.org/tlog-proof): a leaf, its salt, and the proof that the log has it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Error, Hash, Leaf,
    checkpoint::Checkpoint,
    leaf::MAXIMUM_LEAF_BYTES,
    merkle::{leaf_hash, verify_inclusion},
    note::{MAXIMUM_NOTE_BYTES, NoteVerifier},
};

const MAGIC: &str = "c2sp.org/tlog-proof@v1";

/// The most hashes of a proof: those of a tree of 2^63 leaves.
const MAXIMUM_PROOF: usize = 63;

/// The largest receipt that is read.
pub const MAXIMUM_RECEIPT_BYTES: usize = MAXIMUM_NOTE_BYTES + 8192;

const RULE: Error = Error::Malformed {
    what: "receipt",
    rule: "a tlog-proof@v1 with the leaf and its salt in the extra line, an index, hashes and a checkpoint",
};

/// The evidence of one event. `Debug` shows the index alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The leaf.
    pub leaf: Leaf,
    /// What hides it in the log.
    pub salt: [u8; 32],
    /// Its place in the log.
    pub index: u64,
    /// The hashes from the leaf to the root, the leaf's sibling first.
    pub proof: Vec<Hash>,
    /// The checkpoint's note.
    pub checkpoint: String,
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Receipt {
    /// The receipt's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let extra = STANDARD.encode([self.salt.as_slice(), self.leaf.to_text().as_bytes()].concat());
        let hashes: String = self.proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
        format!("{MAGIC}\nextra {extra}\nindex {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    /// Reads a receipt.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAXIMUM_RECEIPT_BYTES {
            return Err(RULE);
        }
        let (head, checkpoint) = text.split_once("\n\n").ok_or(RULE)?;
        let mut lines = head.lines();
        if lines.next() != Some(MAGIC) {
            return Err(RULE);
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(RULE)?;
        if extra.len() > 2 * MAXIMUM_LEAF_BYTES {
            return Err(RULE);
        }
        let extra = STANDARD.decode(extra).map_err(|_| RULE)?;
        let (salt, leaf) = extra.split_first_chunk::<32>().ok_or(RULE)?;
        let leaf = Leaf::parse(std::str::from_utf8(leaf).map_err(|_| RULE)?)?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")?.parse().ok()).ok_or(RULE)?;
        let hash = |line: &str| STANDARD.decode(line).ok()?.try_into().ok();
        let proof: Option<Vec<Hash>> = lines.take(MAXIMUM_PROOF + 1).map(hash).collect();
        let proof = proof.filter(|proof| proof.len() <= MAXIMUM_PROOF).ok_or(RULE)?;
        let receipt = Self { leaf, salt: *salt, index, proof, checkpoint: checkpoint.to_owned() };
        if receipt.to_text() == text { Ok(receipt) } else { Err(RULE) }
    }

    /// Checks that the log whose key this is has the leaf. Gives the checkpoint that says so.
    pub fn verify(&self, log: &NoteVerifier) -> Result<Checkpoint, Error> {
        let checkpoint = Checkpoint::open(&self.checkpoint, log)?;
        self.is_under(&checkpoint)?;
        Ok(checkpoint)
    }

    /// Checks that the leaf is in the tree of its checkpoint, whose signature was checked elsewhere.
    pub fn is_under(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let leaf = leaf_hash(&self.leaf.entry(&self.salt));
        verify_inclusion(self.index, checkpoint.size, &leaf, &checkpoint.root, &self.proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        LogKey,
        leaf::tests::leaf,
        merkle::{Frontier, node_hash},
    };

    fn receipt(key: &LogKey) -> Receipt {
        let (leaf, salt) = (leaf(), [9; 32]);
        let (first, third) = (leaf_hash(b"first"), leaf_hash(b"third"));
        let mut tree = Frontier::default();
        for hash in [first, leaf_hash(&leaf.entry(&salt)), third] {
            tree.append(hash);
        }
        let checkpoint = Checkpoint { origin: "gateway.example/log".into(), size: 3, root: tree.root() };
        assert_eq!(tree.root(), node_hash(&node_hash(&first, &leaf_hash(&leaf.entry(&salt))), &third));
        let checkpoint = key.sign(&checkpoint.text());
        Receipt { leaf, salt, index: 1, proof: vec![first, third], checkpoint }
    }

    #[test]
    fn receipts_verify_and_any_change_is_refused() {
        let key = LogKey::from_seed("gateway.example/log", &[1; 32]).unwrap();
        let receipt = receipt(&key);
        let text = receipt.to_text();
        assert_eq!(Receipt::parse(&text), Ok(receipt.clone()));
        assert_eq!(receipt.verify(&key.verifier()).unwrap().size, 3);
        let other = LogKey::from_seed("gateway.example/log", &[2; 32]).unwrap();
        assert_eq!(receipt.verify(&other.verifier()), Err(Error::Signature));

        let changed = |change: fn(&mut Receipt)| {
            let mut receipt = receipt.clone();
            change(&mut receipt);
            receipt.verify(&key.verifier())
        };
        assert_eq!(changed(|receipt| receipt.leaf.response = Some([0; 32])), Err(Error::Inclusion));
        assert_eq!(changed(|receipt| receipt.leaf.time += 600), Err(Error::Inclusion));
        assert_eq!(changed(|receipt| receipt.salt[0] ^= 1), Err(Error::Inclusion));
        assert_eq!(changed(|receipt| receipt.index = 0), Err(Error::Inclusion));
        assert_eq!(changed(|receipt| receipt.proof.truncate(1)), Err(Error::Inclusion));
        assert_eq!(
            changed(|receipt| receipt.checkpoint = receipt.checkpoint.replace("\n3\n", "\n4\n")),
            Err(Error::Signature)
        );
    }

    #[test]
    fn no_flipped_bit_is_accepted() {
        let key = LogKey::from_seed("gateway.example/log", &[1; 32]).unwrap();
        let text = receipt(&key).to_text();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            let verdict = Receipt::parse(&flipped).and_then(|receipt| receipt.verify(&key.verifier()));
            assert!(verdict.is_err(), "byte {at}");
        }
    }
}
