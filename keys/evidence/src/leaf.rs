//! Leaves: what is logged of an event, as text of one canonical form. It holds hashes and a coarse time: no value, no
//! patient, no address, no name.
//!
//! The log shows H(salt || leaf) alone. Leaf and salt are given to whom the event concerns, so outsiders learn the number of
//! events and nothing else.

use sha2::{Digest as _, Sha256};

use crate::{Error, Hash};

const MAGIC: &str = "tiresias/receipt/v1";

/// Times are rounded down to so many seconds.
pub const COARSE_SECONDS: u64 = 600;

/// The most bytes of a leaf.
pub const MAXIMUM_LEAF_BYTES: usize = 2048;

/// The names of a leaf's hashes, in order.
const NAMES: [&str; 8] = ["request", "response", "model", "config", "key", "build", "randomness", "approval"];

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An encrypted request was answered.
    Answer,
    /// An evaluation key was taken.
    KeyUploaded,
    /// An evaluation key was deleted, or expired.
    KeyRemoved,
    /// A model version was found to be approved.
    ModelApproved,
    /// A model version began to be served.
    ModelLoaded,
    /// A model version is no longer served.
    ModelRetired,
    /// The log's next key.
    LogKey,
    /// A clinic's message of a joint sum was taken.
    JointMessage,
    /// The submissions to a joint sum were complete, and added.
    JointList,
}

impl Event {
    const ALL: [Self; 9] = [
        Self::Answer,
        Self::KeyUploaded,
        Self::KeyRemoved,
        Self::ModelApproved,
        Self::ModelLoaded,
        Self::ModelRetired,
        Self::LogKey,
        Self::JointMessage,
        Self::JointList,
    ];

    /// The word in a leaf.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::KeyUploaded => "key-uploaded",
            Self::KeyRemoved => "key-removed",
            Self::ModelApproved => "model-approved",
            Self::ModelLoaded => "model-loaded",
            Self::ModelRetired => "model-retired",
            Self::LogKey => "log-key",
            Self::JointMessage => "joint-message",
            Self::JointList => "joint-list",
        }
    }
}

/// What is logged of an event. Hashes that it does not have are absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// What happened.
    pub event: Event,
    /// SHA-256 of the elements of a request.
    pub request: Option<Hash>,
    /// SHA-256 of the elements of its response.
    pub response: Option<Hash>,
    /// The salted digest of the model's weights.
    pub model: Option<Hash>,
    /// The circuit card's id.
    pub config: Option<Hash>,
    /// The evaluation key's id.
    pub key: Option<Hash>,
    /// SHA-256 of the gateway's program.
    pub build: Hash,
    /// The commitment to the response's randomness.
    pub randomness: Option<Hash>,
    /// SHA-256 of the note by which a model is approved.
    pub approval: Option<Hash>,
    /// Seconds since 1970, a multiple of [`COARSE_SECONDS`].
    pub time: u64,
}

impl Leaf {
    /// The canonical text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{MAGIC}\nevent {}\ntime {}\n", self.event.name(), self.time);
        for (name, hash) in self.fields() {
            let mut digits = [0; 64];
            let Some(Ok(())) = hash.map(|hash| hex::encode_to_slice(hash, &mut digits)) else { continue };
            let digits = std::str::from_utf8(&digits).unwrap_or_default();
            [name, " ", digits, "\n"].into_iter().for_each(|part| text.push_str(part));
        }
        text
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, Option<Hash>)> {
        let build = Some(self.build);
        let hashes = [
            self.request,
            self.response,
            self.model,
            self.config,
            self.key,
            build,
            self.randomness,
            self.approval,
        ];
        NAMES.into_iter().zip(hashes)
    }

    /// Reads a leaf. Only the canonical text of one is accepted.
    pub fn parse(text: &str) -> Result<Self, Error> {
        const RULE: Error =
            Error::Malformed { what: "leaf", rule: "the canonical text of a tiresias/receipt/v1" };
        if text.len() > MAXIMUM_LEAF_BYTES {
            return Err(RULE);
        }
        let mut lines = text.lines();
        if lines.next() != Some(MAGIC) {
            return Err(RULE);
        }
        let (mut event, mut time, mut hashes) = (None, None, [None; 8]);
        for line in lines {
            let (name, value) = line.split_once(' ').ok_or(RULE)?;
            match name {
                "event" => event = Event::ALL.into_iter().find(|event| event.name() == value),
                "time" => time = value.parse().ok(),
                _ => {
                    let at = NAMES.iter().position(|known| *known == name).ok_or(RULE)?;
                    let mut hash = [0; 32];
                    hex::decode_to_slice(value, &mut hash).map_err(|_| RULE)?;
                    hashes[at] = Some(hash);
                }
            }
        }
        let [request, response, model, config, key, build, randomness, approval] = hashes;
        let leaf = Self {
            event: event.ok_or(RULE)?,
            request,
            response,
            model,
            config,
            key,
            build: build.ok_or(RULE)?,
            randomness,
            approval,
            time: time.ok_or(RULE)?,
        };
        // Another order, case or repetition is another text.
        if leaf.to_text() == text { Ok(leaf) } else { Err(RULE) }
    }

    /// The log's entry: SHA-256 of the salt and the leaf's text.
    #[must_use]
    pub fn entry(&self, salt: &[u8; 32]) -> Hash {
        Sha256::new().chain_update(salt).chain_update(self.to_text()).finalize().into()
    }
}

/// A time as leaves have it.
#[must_use]
pub fn coarse(seconds: u64) -> u64 {
    seconds / COARSE_SECONDS * COARSE_SECONDS
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn leaf() -> Leaf {
        Leaf {
            event: Event::Answer,
            request: Some([1; 32]),
            response: Some([2; 32]),
            model: Some([3; 32]),
            config: Some([4; 32]),
            key: None,
            build: [5; 32],
            randomness: Some([6; 32]),
            approval: None,
            time: coarse(1_763_923_456),
        }
    }

    #[test]
    fn leaves_have_one_text_each() {
        let text = leaf().to_text();
        assert!(text.starts_with("tiresias/receipt/v1\nevent answer\ntime 1763923200\nrequest 0101"));
        assert_eq!(Leaf::parse(&text), Ok(leaf()));
        assert_ne!(leaf().entry(&[0; 32]), leaf().entry(&[1; 32]));
        let swapped = text.replace("request", "x").replace("response", "request").replace("x ", "response ");
        for bad in [
            String::new(),
            text.replace("/v1", "/v2"),
            text.replace("answer", "other"),
            text.replace("0101", "01"),
            text.replace("0303", "0303 "),
            text.replace("0505", "05Ff"),
            text.replace("time 1", "time 01"),
            text.clone() + "key\n",
            text.clone() + &text,
            text.trim_end().to_owned(),
            swapped,
        ] {
            assert!(Leaf::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_event_has_a_name_of_its_own() {
        for event in Event::ALL {
            let text = Leaf { event, ..leaf() }.to_text();
            assert_eq!(Leaf::parse(&text).unwrap().event, event);
        }
    }
}
