//! One receipt under examination: what it says, and the first thing that is wrong with it.

use std::collections::HashSet;

use tiresias_evidence::{Hash, Receipt, receipt::MAXIMUM_RECEIPT_BYTES};

use super::{Expected, Fault, Judgement, LogTrust, Signed, Verdict};

/// A receipt that was looked at.
#[derive(Debug, Clone)]
pub struct Examined {
    /// What could be read of it.
    receipt: Option<Receipt>,
    /// The checkpoint that it is under, where a trusted key has signed it.
    signed: Option<Signed>,
    /// What is wrong.
    fault: Option<Fault>,
    /// The hash of its request, where that is known.
    request: Option<Hash>,
}

impl Examined {
    /// Reads a receipt, checks it against the trusted keys and against what its leaf must say.
    #[must_use]
    pub fn new(text: Option<&str>, trust: &LogTrust, expected: &Expected) -> Self {
        let mut examined = Self { receipt: None, signed: None, fault: None, request: expected.request };
        examined.fault = examined.look(text, trust, expected).err();
        examined
    }

    fn look(&mut self, text: Option<&str>, trust: &LogTrust, expected: &Expected) -> Result<(), Fault> {
        let text = text.ok_or(Fault::Missing)?;
        if text.len() > MAXIMUM_RECEIPT_BYTES {
            return Err(Fault::TooLong);
        }
        let receipt = self.receipt.insert(Receipt::parse(text)?);
        let signed = self.signed.insert(trust.open(&receipt.checkpoint)?);
        receipt.is_under(&signed.checkpoint)?;
        expected.check(&receipt.leaf)
    }

    /// What could be read.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// The receipt and the checkpoint that it is under, as long as nothing is wrong.
    #[must_use]
    pub fn good(&self) -> Option<(&Receipt, &Signed)> {
        if self.fault.is_some() {
            return None;
        }
        self.receipt.as_ref().zip(self.signed.as_ref())
    }

    /// Says that something is wrong. What was found first stands.
    pub fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// The verdict. `current` is the log's own checkpoint, where it was read and continues the receipt's.
    #[must_use]
    pub fn judge(&self, trust: &LogTrust, current: Option<&Signed>) -> Judgement {
        let index = self.receipt.as_ref().map(|receipt| receipt.index);
        let (verdict, reason, code) = match &self.fault {
            Some(fault) => (Verdict::Invalid, fault.to_string(), Some(fault.code())),
            None => {
                let covering = current.filter(|current| index < Some(current.checkpoint.size));
                let checkpoints = [covering, self.signed.as_ref()];
                let witnesses =
                    checkpoints.iter().flatten().map(|signed| signed.witnesses).max().unwrap_or(0);
                let verdict =
                    if trust.is_quorum(witnesses) { Verdict::Verified } else { Verdict::Unwitnessed };
                (verdict, trust.explain(witnesses), None)
            }
        };
        Judgement {
            verdict,
            reason,
            code,
            index,
            log: self.signed.as_ref().map(|signed| signed.checkpoint.origin.clone()),
            time: self.receipt.as_ref().map(|receipt| receipt.leaf.time),
            request: self.request.map(hex::encode),
        }
    }
}

/// Leaves and randomness that were seen: an honest log gives each of them once.
#[derive(Debug, Clone, Default)]
pub struct Repeats {
    leaves: HashSet<(String, u64)>,
    randomness: HashSet<Hash>,
}

impl Repeats {
    /// Takes a receipt in. Errors where its leaf or its randomness was there before.
    pub fn add(&mut self, receipt: &Receipt) -> Result<(), Fault> {
        let origin = receipt.checkpoint.lines().next().unwrap_or_default().to_owned();
        if !self.leaves.insert((origin, receipt.index)) {
            return Err(Fault::IndexRepeated);
        }
        let is_new = receipt.leaf.randomness.is_none_or(|randomness| self.randomness.insert(randomness));
        if is_new { Ok(()) } else { Err(Fault::RandomnessRepeated) }
    }
}

#[cfg(test)]
mod tests {
    use tiresias_evidence::{
        Checkpoint, Leaf, LogKey,
        merkle::{leaf_hash, node_hash},
    };

    use super::{super::exchange, *};

    fn key() -> LogKey {
        LogKey::from_seed("log.example", &[1; 32]).unwrap()
    }

    /// The receipt of the second of two leaves.
    fn receipt(leaf: Leaf, cosigner: Option<&LogKey>) -> Receipt {
        let (salt, first) = ([9; 32], leaf_hash(b"first"));
        let root = node_hash(&first, &leaf_hash(&leaf.entry(&salt)));
        let text = Checkpoint { origin: "log.example".into(), size: 2, root }.text();
        let cosigned = cosigner.map(|witness| witness.cosign(&text, 1)).unwrap_or_default();
        let checkpoint = key().sign(&text) + &cosigned;
        Receipt { leaf, salt, index: 1, proof: vec![first], checkpoint }
    }

    fn expected() -> Expected {
        let leaf = exchange::tests::leaf();
        Expected { request: leaf.request, received: leaf.time, ..Expected::default() }
    }

    #[test]
    fn verdicts_follow_faults_and_witnesses() {
        let witness = LogKey::from_seed("w.example", &[2; 32]).unwrap();
        let alone = LogTrust::new(vec![key().verifier()], vec![], None).unwrap();
        let witnessed =
            LogTrust::new(vec![key().verifier()], vec![witness.cosignature_verifier()], None).unwrap();
        let bare = receipt(exchange::tests::leaf(), None).to_text();
        let cosigned = receipt(exchange::tests::leaf(), Some(&witness)).to_text();
        let judge = |text: &str, trust: &LogTrust, current: Option<&Signed>| {
            Examined::new(Some(text), trust, &expected()).judge(trust, current)
        };
        let judgement = judge(&bare, &alone, None);
        assert_eq!((judgement.verdict, judgement.code), (Verdict::Unwitnessed, None));
        assert_eq!((judgement.index, judgement.log.as_deref()), (Some(1), Some("log.example")));
        assert_eq!((judgement.time, judgement.request), (Some(1_763_923_200), Some("01".repeat(32))));
        assert_eq!(judge(&cosigned, &alone, None).verdict, Verdict::Unwitnessed);
        assert_eq!(judge(&bare, &witnessed, None).verdict, Verdict::Unwitnessed);
        assert_eq!(judge(&cosigned, &witnessed, None).verdict, Verdict::Verified);
        // A later checkpoint that witnesses have signed counts, if it covers the leaf.
        let current = |size, witnesses| Signed {
            checkpoint: Checkpoint { origin: "log.example".into(), size, root: [0; 32] },
            note: String::new(),
            witnesses,
        };
        assert_eq!(judge(&bare, &witnessed, Some(&current(2, 1))).verdict, Verdict::Verified);
        assert_eq!(judge(&bare, &witnessed, Some(&current(1, 1))).verdict, Verdict::Unwitnessed);
        assert_eq!(judge(&bare, &witnessed, Some(&current(2, 0))).verdict, Verdict::Unwitnessed);
    }

    #[test]
    fn the_first_fault_stands() {
        let trust = LogTrust::new(vec![key().verifier()], vec![], None).unwrap();
        let good = receipt(exchange::tests::leaf(), None);
        let judge = |text: Option<&str>| {
            let mut examined = Examined::new(text, &trust, &expected());
            examined.fail(Fault::Replayed);
            examined.judge(&trust, None)
        };
        let other_leaf = Leaf { request: Some([8; 32]), ..exchange::tests::leaf() };
        let (mut moved, mut unsigned) = (good.clone(), good.clone());
        moved.index = 0;
        unsigned.checkpoint = unsigned.checkpoint.replacen("\n2\n", "\n3\n", 1);
        for (text, code) in [
            (None, "no_receipt"),
            (Some("x".repeat(MAXIMUM_RECEIPT_BYTES + 1)), "malformed"),
            (Some("x".to_owned()), "malformed"),
            (Some(unsigned.to_text()), "bad_signature"),
            (Some(moved.to_text()), "not_included"),
            (Some(receipt(other_leaf, None).to_text()), "other_request"),
            (Some(good.to_text()), "replayed"),
        ] {
            let judgement = judge(text.as_deref());
            assert_eq!((judgement.verdict, judgement.code), (Verdict::Invalid, Some(code)));
            // The log is named where it is sure which one it is.
            let is_signed = matches!(code, "not_included" | "other_request" | "replayed");
            assert_eq!(judgement.log.as_deref(), is_signed.then_some("log.example"));
        }
    }

    #[test]
    fn leaves_and_randomness_come_once() {
        let mut repeats = Repeats::default();
        let first = receipt(exchange::tests::leaf(), None);
        assert_eq!(repeats.add(&first), Ok(()));
        assert_eq!(repeats.add(&first), Err(Fault::IndexRepeated));
        let next = Receipt { index: 2, ..first.clone() };
        assert_eq!(repeats.add(&next), Err(Fault::RandomnessRepeated));
        let leaf = Leaf { randomness: Some([7; 32]), ..first.leaf.clone() };
        assert_eq!(repeats.add(&Receipt { index: 3, leaf, ..first.clone() }), Ok(()));
        // Another log counts its leaves anew.
        let leaf = Leaf { randomness: None, ..first.leaf.clone() };
        let checkpoint = first.checkpoint.replace("log.example\n", "other.example\n");
        assert_eq!(repeats.add(&Receipt { leaf, checkpoint, ..first }), Ok(()));
    }
}
