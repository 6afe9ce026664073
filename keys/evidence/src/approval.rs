//! Approvals: what the members of a council sign before a model version is served, as a signed note of one canonical text.
//!
//! The note binds a version's circuit card, its weights (as a salted digest, so that they cannot be guessed at) and its model
//! card, the text that says what the model is for. Any program that signs notes can add a signature.

use crate::{Error, Hash, NoteVerifier, note::Note};

const MAGIC: &str = "tiresias/model-approval/v1";

const RULE: Error = Error::Malformed {
    what: "approval",
    rule: "the canonical text of a tiresias/model-approval/v1: name, version, config, model and card, a line each",
};

/// What is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The circuit card's id.
    pub config: Hash,
    /// The salted digest of the stored weights ([`commitment::model`](crate::commitment::model)).
    pub model: Hash,
    /// SHA-256 of the model card.
    pub card: Hash,
}

impl Approval {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{MAGIC}\nname {}\nversion {}\nconfig {}\nmodel {}\ncard {}\n",
            self.name,
            self.version,
            hex::encode(self.config),
            hex::encode(self.model),
            hex::encode(self.card)
        )
    }

    /// Reads a text. Only the canonical one is accepted.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let hash = |digits: &str| {
            let mut hash = [0; 32];
            hex::decode_to_slice(digits, &mut hash).map_err(|_| RULE).map(|()| hash)
        };
        let mut lines = text.lines().skip(1);
        let mut value = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.ok_or(RULE)
        };
        let approval = Self {
            name: value("name")?.to_owned(),
            version: value("version")?.parse().map_err(|_| RULE)?,
            config: hash(value("config")?)?,
            model: hash(value("model")?)?,
            card: hash(value("card")?)?,
        };
        // Another magic, case or spacing is another text.
        if approval.text() == text { Ok(approval) } else { Err(RULE) }
    }

    /// Reads an approval's note, and says which of `approvers` have signed it.
    pub fn open<'k>(
        note: &str,
        approvers: &'k [NoteVerifier],
    ) -> Result<(Self, Vec<&'k NoteVerifier>), Error> {
        let note = Note::parse(note)?;
        let approval = Self::parse(note.text())?;
        let signed = approvers.iter().filter(|key| note.verify(key).is_ok()).collect();
        Ok((approval, signed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogKey;

    fn approval() -> Approval {
        Approval { name: "chest".into(), version: 3, config: [1; 32], model: [2; 32], card: [3; 32] }
    }

    #[test]
    fn approvals_have_one_text_each() {
        let text = approval().text();
        assert_eq!(Approval::parse(&text), Ok(approval()));
        for bad in [
            String::new(),
            text.replace("/v1", "/v2"),
            text.replace("version 3", "version 03"),
            text.replace("version 3", "version 4294967296"),
            text.replace("0101", "01"),
            text.replace("0101", "010A"),
            text.clone() + "more\n",
            text.trim_end().to_owned(),
            text.replace("name chest\n", ""),
        ] {
            assert!(Approval::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn signatures_are_counted_by_key() {
        let keys: Vec<LogKey> = (1..=3_u8)
            .map(|number| LogKey::from_seed(&format!("council.example/{number}"), &[number; 32]).unwrap())
            .collect();
        let approvers: Vec<NoteVerifier> = keys.iter().map(LogKey::verifier).collect();
        let text = approval().text();
        let note = keys[0].sign(&text) + &keys[2].signature_line(&text);
        let (read, signed) = Approval::open(&note, &approvers).unwrap();
        assert_eq!((read, signed), (approval(), vec![&approvers[0], &approvers[2]]));
        // A line twice is one signature, and a signature of another text is none.
        let twice = note.clone() + &keys[0].signature_line(&text);
        assert_eq!(Approval::open(&twice, &approvers).unwrap().1.len(), 2);
        let other = text.clone() + "\n" + &keys[1].signature_line("another text\n");
        assert_eq!(Approval::open(&other, &approvers).unwrap().1, Vec::<&NoteVerifier>::new());
    }
}
