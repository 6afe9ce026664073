//! What clinics sign for joint sums: one canonical text a message, which commits to its payload, to its place, and to all
//! messages that it rests on.

use sha2::{Digest as _, Sha256};

use super::Roster;
use crate::{Error, Hash, LogKey, note::Note};

const MAGIC: &str = "tiresias/joint-message/v1";
const LIST_MAGIC: &str = "tiresias/joint-list/v1";

/// The most bytes of a message's note.
pub(super) const MAXIMUM_NOTE_BYTES: usize = 4 << 10;

const fn malformed(rule: &'static str) -> Error {
    Error::Malformed { what: "joint message", rule }
}

const RULE: Error = malformed(
    "the canonical text of a tiresias/joint-message/v1: roster, ceremony, round, step, clinic, before, payload, a line each",
);

/// The steps of a ceremony, round 0, and of a sum, the rounds after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A random seed, which the common mask is made of, and the key that shares are sealed to.
    Seed,
    /// The hash of what the next step opens.
    Commit,
    /// The share of the joint key, with its proof.
    Open,
    /// That all of this was checked: the signature of the whole ceremony.
    Agree,
    /// An encrypted vector.
    Submit,
    /// A share of the opening, sealed to the clinics.
    Share,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Seed, Self::Commit, Self::Open, Self::Agree, Self::Submit, Self::Share];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Commit => "commit",
            Self::Open => "open",
            Self::Agree => "agree",
            Self::Submit => "submit",
            Self::Share => "share",
        }
    }

    /// The step of a word.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// Whether it is one of a ceremony.
    #[must_use]
    pub fn is_of_ceremony(self) -> bool {
        self < Self::Submit
    }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The roster's id.
    pub roster: Hash,
    /// Which ceremony of that roster.
    pub ceremony: u32,
    /// Which sum under its key, from 1; 0 in a ceremony.
    pub round: u32,
    /// The step.
    pub step: Step,
}

impl Place {
    /// Whether there is such a place: ceremonies have round 0, and sums the others.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.step.is_of_ceremony() == (self.round == 0)
    }
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it stands.
    pub place: Place,
    /// The name of the clinic whose it is.
    pub clinic: String,
    /// The hash of what it rests on.
    pub before: Hash,
    /// SHA-256 of its payload.
    pub payload: Hash,
}

impl Message {
    /// The canonical text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}payload {}\n", self.head(), hex::encode(self.payload))
    }

    fn head(&self) -> String {
        format!(
            "{MAGIC}\nroster {}\nceremony {}\nround {}\nstep {}\nclinic {}\nbefore {}\n",
            hex::encode(self.place.roster),
            self.place.ceremony,
            self.place.round,
            self.place.step.name(),
            self.clinic,
            hex::encode(self.before),
        )
    }

    /// What proofs in the payload are bound to: the hash of everything but the payload.
    #[must_use]
    pub fn context(&self) -> Hash {
        Sha256::new_with_prefix("tiresias/joint-context/v1\n").chain_update(self.head()).finalize().into()
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
        let roster = hash(value("roster")?)?;
        let ceremony = value("ceremony")?.parse().map_err(|_| RULE)?;
        let round = value("round")?.parse().map_err(|_| RULE)?;
        let step = Step::of(value("step")?).ok_or(RULE)?;
        let message = Self {
            place: Place { roster, ceremony, round, step },
            clinic: value("clinic")?.to_owned(),
            before: hash(value("before")?)?,
            payload: hash(value("payload")?)?,
        };
        if message.place.exists() && message.text() == text { Ok(message) } else { Err(RULE) }
    }
}

/// A signed message with its payload, as it is sent: the note's length in 4 bytes, little-endian, the note, the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What is signed.
    pub message: Message,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Signed {
    /// The bytes of a message with this payload, signed. `place`, `clinic` and `before` are of `message`; its hash of the payload is
    /// computed here.
    #[must_use]
    pub fn sign(key: &LogKey, mut message: Message, payload: &[u8]) -> Vec<u8> {
        message.payload = Sha256::digest(payload).into();
        let note = key.sign(&message.text());
        [&(note.len() as u32).to_le_bytes(), note.as_bytes(), payload].concat()
    }

    /// Reads a message that a clinic of the roster must have signed for this place.
    pub fn open(bytes: &[u8], roster: &Roster, place: &Place, clinic: usize) -> Result<Self, Error> {
        const FORM: Error = malformed("a note's length, the note, and the payload");
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(FORM)?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAXIMUM_NOTE_BYTES {
            return Err(FORM);
        }
        let (note, payload) = rest.split_at_checked(length).ok_or(FORM)?;
        let note = Note::parse(std::str::from_utf8(note).map_err(|_| FORM)?)?;
        let key = roster.clinics().get(clinic).ok_or(malformed("there is no such clinic"))?;
        note.verify(key)?;
        let message = Message::parse(note.text())?;
        if message.place != *place || message.clinic != key.name() {
            return Err(malformed("it is of another roster, ceremony, round, step or clinic"));
        }
        if <Hash>::from(Sha256::digest(payload)) != message.payload {
            return Err(malformed("its payload is not the one that was signed"));
        }
        Ok(Self { message, payload: payload.to_vec() })
    }
}

/// The hash of the messages of one step, all clinics' in order: what the next step rests on.
#[must_use]
pub fn chain<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Hash {
    let start = Sha256::new_with_prefix("tiresias/joint-step/v1\n");
    let hash = messages.into_iter().fold(start, |hash, message| hash.chain_update(message.text()));
    hash.finalize().into()
}

/// The frozen list of a sum: who submitted what, and what it adds up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The hash of the submissions ([`chain`]).
    pub submissions: Hash,
    /// SHA-256 of the sum's frame.
    pub sum: Hash,
}

impl List {
    /// The hash that shares rest on, and that is logged.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let text = format!(
            "{LIST_MAGIC}\nsubmissions {}\nsum {}\n",
            hex::encode(self.submissions),
            hex::encode(self.sum)
        );
        Sha256::digest(text).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joint::tests::{keys, roster};

    fn message() -> Message {
        Message {
            place: Place { roster: roster().id(), ceremony: 1, round: 7, step: Step::Submit },
            clinic: "clinic-2.example".into(),
            before: [1; 32],
            payload: Sha256::digest(b"payload").into(),
        }
    }

    #[test]
    fn messages_have_one_text_each() {
        let text = message().text();
        assert_eq!(Message::parse(&text), Ok(message()));
        for bad in [
            String::new(),
            text.replace("/v1", "/v2"),
            text.replace("round 7", "round 07"),
            text.replace("round 7", "round 0"),
            text.replace("step submit", "step seed"),
            text.replace("step submit", "step x"),
            text.replace("0101", "010A"),
            text.replace("clinic clinic-2.example\n", ""),
            text.clone() + "more\n",
            text.trim_end().to_owned(),
        ] {
            assert!(Message::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_message_is_of_one_clinic_one_place_and_one_payload() {
        let (roster, keys, message) = (roster(), keys(), message());
        let bytes = Signed::sign(&keys[1], message.clone(), b"payload");
        let open = |bytes: &[u8], place: &Place, clinic| Signed::open(bytes, &roster, place, clinic);
        let read = open(&bytes, &message.place, 1).unwrap();
        assert_eq!((read.message, read.payload.as_slice()), (message.clone(), b"payload".as_slice()));
        // Of another clinic, signed by another, of a clinic that there is none of.
        assert!(open(&bytes, &message.place, 0).is_err());
        assert!(open(&bytes, &message.place, 3).is_err());
        assert!(open(&Signed::sign(&keys[0], message.clone(), b"payload"), &message.place, 1).is_err());
        assert!(open(&Signed::sign(&keys[0], message.clone(), b"payload"), &message.place, 0).is_err());
        for other in [
            Place { round: 8, ..message.place },
            Place { ceremony: 2, ..message.place },
            Place { step: Step::Share, ..message.place },
            Place { roster: [0; 32], ..message.place },
        ] {
            assert!(open(&bytes, &other, 1).is_err(), "{other:?}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // The name of the note's key may stand for another key's line, which is passed over.
            assert!(open(&changed, &message.place, 1).is_err(), "byte {at}");
            assert!(open(&bytes[..at], &message.place, 1).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn hashes_tell_all_apart() {
        let other = Message { before: [2; 32], ..message() };
        let lists = [(1, 1), (1, 2), (2, 1)].map(|(a, b)| List { submissions: [a; 32], sum: [b; 32] }.hash());
        let hashes = [
            chain([]),
            chain([&message()]),
            chain([&message(), &message()]),
            chain([&other, &message()]),
            chain([&message(), &other]),
            message().context(),
            other.context(),
            lists[0],
            lists[1],
            lists[2],
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at}");
        }
        let payload = Message { payload: [0; 32], ..message() };
        assert_eq!(payload.context(), message().context());
    }
}
