//! What a log and its witness say to each other (c2sp.org/tlog-witness, `add-checkpoint`).
//!
//! The log sends a checkpoint, and the proof that it continues the one which the witness cosigned last, whose size it names. The
//! witness answers with its cosignature; or, where it knows another size, with that one. So a witness that keeps what it
//! cosigned has never cosigned two histories of one log.

#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Checkpoint, Error, Hash,
    merkle::{empty_root, verify_consistency},
    note::{MAXIMUM_NOTE_BYTES, Note, NoteVerifier},
};

/// What is behind a witness's address.
pub const PATH: &str = "/add-checkpoint";

/// The media type of the size that comes with 409.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// The most hashes of a proof.
const MAXIMUM_PROOF: usize = 63;

/// The largest request that is read: a hash is a line of 45 bytes.
pub const MAXIMUM_REQUEST_BYTES: usize = MAXIMUM_NOTE_BYTES + 45 * (MAXIMUM_PROOF + 1);

/// The largest answer that is read.
pub const MAXIMUM_ANSWER_BYTES: usize = 16 << 10;

/// A checkpoint on its way to a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    old: u64,
    proof: Vec<Hash>,
    note: String,
    checkpoint: Checkpoint,
}

impl Submission {
    /// The checkpoint's note, and the proof that it continues the tree of `old` leaves: empty where `old` is 0, or the
    /// checkpoint's own size.
    pub fn new(old: u64, proof: Vec<Hash>, note: String) -> Result<Self, Error> {
        const RULE: fn(&'static str) -> Error = |rule| Error::Malformed { what: "add-checkpoint", rule };
        let text = Note::parse(&note)?.text();
        if text.contains("\n\n") {
            return Err(RULE("no line of a checkpoint is empty"));
        }
        let checkpoint = Checkpoint::parse(text)?;
        if old > checkpoint.size {
            return Err(RULE("the old size is at most the checkpoint's"));
        }
        if proof.len() > MAXIMUM_PROOF {
            return Err(RULE("at most 63 hashes"));
        }
        Ok(Self { old, proof, note, checkpoint })
    }

    /// What is sent: the body of a POST to [`PATH`].
    #[must_use]
    pub fn to_text(&self) -> String {
        let hashes: String = self.proof.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
        format!("old {}\n{hashes}\n{}", self.old, self.note)
    }

    /// Reads what was sent. Only the one text of a submission is accepted.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        const RULE: Error = Error::Malformed {
            what: "add-checkpoint",
            rule: "a line `old N`, hashes in base64, an empty line and a checkpoint",
        };
        if body.len() > MAXIMUM_REQUEST_BYTES {
            return Err(RULE);
        }
        let text = std::str::from_utf8(body).map_err(|_| RULE)?;
        let (head, note) = text.split_once("\n\n").ok_or(RULE)?;
        let mut lines = head.lines();
        let old = lines.next().and_then(|line| line.strip_prefix("old ")?.parse().ok()).ok_or(RULE)?;
        let hash = |line: &str| STANDARD.decode(line).ok()?.try_into().ok();
        let proof: Option<Vec<Hash>> = lines.take(MAXIMUM_PROOF + 1).map(hash).collect();
        let submission = Self::new(old, proof.ok_or(RULE)?, note.to_owned())?;
        // Another spelling of a number or a hash is another text.
        if submission.to_text() == text { Ok(submission) } else { Err(RULE) }
    }

    /// What it says the log is.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Whether a witness may cosign it that trusts these keys, of this log and of others, and cosigned `latest` last. Gives the
    /// checkpoint's note with the signatures of known keys alone.
    pub fn judge(&self, known: &[NoteVerifier], latest: Option<&Checkpoint>) -> Result<String, Refusal> {
        let Checkpoint { origin, size, root } = &self.checkpoint;
        let keys: Vec<NoteVerifier> = known.iter().filter(|key| key.name() == origin).cloned().collect();
        if keys.is_empty() {
            return Err(Refusal::UnknownLog);
        }
        let note = Note::parse(&self.note).map_err(|_| Refusal::Signature)?;
        let signatures = note.signatures_of(&keys).map_err(|_| Refusal::Signature)?;
        let none = empty_root();
        let (old, old_root) = latest.map_or((0, &none), |latest| (latest.size, &latest.root));
        if self.old != old {
            return Err(Refusal::OtherSize { size: old });
        }
        let continues = verify_consistency((old, old_root), (*size, root), &self.proof);
        if continues.is_err() || (*size == 0 && *root != none) {
            return Err(Refusal::NotConsistent);
        }
        Ok(format!("{}\n{signatures}", note.text()))
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It knows no key of this log.
    #[error("no key of this log is known here: its operator hands it to the witness's")]
    UnknownLog,
    /// No known key signed, or a signature of one is false.
    #[error("no key that is known for this log signed the checkpoint, or its signature is false")]
    Signature,
    /// The last checkpoint that it cosigned has another size than the one named.
    #[error("the checkpoint that was cosigned last has another size")]
    OtherSize {
        /// The size; 0 where there is none.
        size: u64,
    },
    /// The checkpoint does not continue the last one.
    #[error("the proof does not lead from the checkpoint that was cosigned last to this one")]
    NotConsistent,
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::UnknownLog => 404,
            Self::Signature => 403,
            Self::OtherSize { .. } => 409,
            Self::NotConsistent => 422,
        }
    }

    /// A stable code, for scripts.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownLog => "unknown_log",
            Self::Signature => "bad_signature",
            Self::OtherSize { .. } => "other_size",
            Self::NotConsistent => "not_consistent",
        }
    }
}

/// A size as the body of a 409.
#[must_use]
pub fn size_text(size: u64) -> String {
    format!("{size}\n")
}

/// Reads the body of a 409.
pub fn read_size(body: &[u8]) -> Result<u64, Error> {
    const RULE: Error = Error::Malformed { what: "size of a tree", rule: "a decimal number and a line feed" };
    let text = std::str::from_utf8(body).map_err(|_| RULE)?;
    let size = text.strip_suffix('\n').and_then(|digits| digits.parse().ok()).ok_or(RULE)?;
    if size_text(size) == text { Ok(size) } else { Err(RULE) }
}

/// Reads a witness's answer to a checkpoint's text: its signature line, verified. Lines of other keys are passed over.
pub fn read_cosignature(body: &[u8], text: &str, witness: &NoteVerifier) -> Result<String, Error> {
    const RULE: Error = Error::Malformed { what: "cosignature", rule: "signature lines, one with a time" };
    let lines = std::str::from_utf8(body).ok().filter(|_| body.len() <= MAXIMUM_ANSWER_BYTES).ok_or(RULE)?;
    let note = format!("{text}\n{lines}");
    let note = Note::parse(&note)?;
    // An empty line in the answer would move the border between text and signatures.
    match note.verify(witness)? {
        Some(time) if time > 0 && note.text() == text => note.signatures_of(std::slice::from_ref(witness)),
        _ => Err(RULE),
    }
}
