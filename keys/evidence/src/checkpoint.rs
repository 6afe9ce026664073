//! Checkpoints (c2sp.org/tlog-checkpoint): a log's origin, size and root, as the text of a signed note.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Error, Hash,
    note::{Note, NoteVerifier},
};

/// What a log signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is its key's.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the text of a checkpoint. Extension lines are passed over.
    pub fn parse(text: &str) -> Result<Self, Error> {
        const RULE: Error = Error::Malformed {
            what: "checkpoint",
            rule: "an origin, a decimal size and a root in base64, a line each",
        };
        let mut lines = text.lines();
        let (Some(origin), Some(digits), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(RULE);
        };
        let size: u64 = digits.parse().map_err(|_| RULE)?;
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(RULE)?;
        if origin.is_empty() || size.to_string() != digits {
            return Err(RULE);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Reads a checkpoint's note and checks that the log has signed it.
    pub fn open(note: &str, log: &NoteVerifier) -> Result<Self, Error> {
        let note = Note::parse(note)?;
        note.verify(log)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != log.name() {
            return Err(Error::Malformed { what: "checkpoint", rule: "its origin is its key's name" });
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogKey;

    #[test]
    fn checkpoints_round_trip_and_are_refused_otherwise() {
        let key = LogKey::from_seed("gateway.example/log", &[1; 32]).unwrap();
        let checkpoint = Checkpoint { origin: "gateway.example/log".into(), size: 70_000, root: [7; 32] };
        let note = key.sign(&checkpoint.text());
        assert_eq!(Checkpoint::open(&note, &key.verifier()), Ok(checkpoint.clone()));
        let foreign = Checkpoint { origin: "other.example/log".into(), ..checkpoint };
        assert!(Checkpoint::open(&key.sign(&foreign.text()), &key.verifier()).is_err());
        for bad in [
            "",
            "a\n",
            "a\n1\n",
            "a\n01\nAAAA\n",
            "a\n-1\nAAAA\n",
            "a\n1\nAAAA\n",
            "a\n18446744073709551616\nAAAA\n",
        ] {
            assert!(Checkpoint::parse(bad).is_err(), "{bad:?}");
        }
        let extended = Checkpoint { origin: "a".into(), size: 0, root: [0; 32] }.text() + "more\n";
        assert!(Checkpoint::parse(&extended).is_ok());
    }
}
