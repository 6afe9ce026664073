//! What is logged of an event. A leaf has hashes and a coarse time; a salt hides it from all but those who are given both.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tiresias_evidence::{Event, Hash, Leaf, commitment, joint::List, leaf::coarse};
use tiresias_keys::{ConfigId, Digest, KeyId};
use zeroize::Zeroizing;

use super::{
    Error,
    keys::{read_own, write_own},
};
use crate::error::ApiError;

/// The file's name in the log's directory.
const FILE: &str = "secret";

/// What all leaves of this process have in common, and the secret that salts come from.
pub(crate) struct Facts {
    build: Hash,
    secret: Zeroizing<[u8; 32]>,
}

/// What an answer's leaf commits to.
pub(crate) struct AnswerFacts<'a> {
    /// The digests of the request's elements.
    pub(crate) request: &'a [Digest],
    /// [`commitment::elements`] of the response's.
    pub(crate) response: Hash,
    pub(crate) config: &'a ConfigId,
    /// SHA-256 of the stored weights.
    pub(crate) weights: &'a Digest,
    pub(crate) key: Option<&'a KeyId>,
    /// [`commitment::randomness`] of the response's seed.
    pub(crate) randomness: Hash,
}

impl Facts {
    /// Makes the secret of a log that has none, and reads it.
    pub(super) fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        if !path.try_exists().map_err(Error::io(&path))? {
            let mut secret = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *secret).map_err(|_| Error::Entropy)?;
            write_own(&path, Zeroizing::new(hex::encode(secret.as_slice())).as_bytes())?;
        }
        Self::read(directory)
    }

    /// Reads the secret of a log that has one; hashes this program.
    pub(super) fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let text = read_own(&path)?;
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim_end(), &mut *secret).map_err(|_| Error::Key {
            path,
            rule: "not 64 hexadecimal digits: restore the file from a backup",
        })?;
        Ok(Self { build: build()?, secret })
    }

    /// A key of 32 bytes for one purpose.
    fn derive(&self, purpose: &str, of: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.secret).expect("HMAC takes keys of any length");
        mac.update(purpose.as_bytes());
        mac.update(of);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// SHA-256 of this program.
    pub(super) fn build(&self) -> Hash {
        self.build
    }

    /// What the keys of seeds are made of.
    pub(super) fn seed_secret(&self) -> Zeroizing<[u8; 32]> {
        self.derive("tiresias/seeds/v1", &[])
    }

    /// A model's salted digest. The salt is of the card and this log, so leaves of one model can be told to be that
    /// by those who are given them, and its weights cannot be guessed at.
    pub(super) fn model(&self, config: &ConfigId, weights: &Digest) -> Hash {
        let salt = self.derive("tiresias/model-salt/v1", config.as_bytes());
        commitment::model(&salt, weights.as_bytes())
    }

    fn leaf(&self, event: Event) -> Leaf {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Leaf {
            event,
            request: None,
            response: None,
            model: None,
            config: None,
            key: None,
            build: self.build,
            randomness: None,
            approval: None,
            time: coarse(now.as_secs()),
        }
    }

    pub(crate) fn answer(&self, facts: &AnswerFacts<'_>) -> Leaf {
        Leaf {
            request: Some(commitment::elements(facts.request.iter().map(Digest::as_bytes))),
            response: Some(facts.response),
            model: Some(self.model(facts.config, facts.weights)),
            config: Some(*facts.config.as_bytes()),
            key: facts.key.map(|key| *key.as_bytes()),
            randomness: Some(facts.randomness),
            ..self.leaf(Event::Answer)
        }
    }

    /// Of a key that came or went.
    pub(crate) fn key(&self, event: Event, key: &KeyId) -> Leaf {
        Leaf { key: Some(*key.as_bytes()), ..self.leaf(event) }
    }

    /// Of a model that was loaded or retired.
    pub(crate) fn served(&self, event: Event, config: &ConfigId, weights: &Digest) -> Leaf {
        let model = Some(self.model(config, weights));
        Leaf { model, config: Some(*config.as_bytes()), ..self.leaf(event) }
    }

    /// Of a model whose approval is this note.
    pub(crate) fn approved(&self, config: &ConfigId, weights: &Digest, note: &str) -> Leaf {
        let served = self.served(Event::ModelApproved, config, weights);
        Leaf { approval: Some(Sha256::digest(note).into()), ..served }
    }

    /// Of a clinic's message of a joint sum, by the hash of its text.
    pub(crate) fn joint_message(&self, message: Hash) -> Leaf {
        Leaf { request: Some(message), ..self.leaf(Event::JointMessage) }
    }

    /// Of the list of a joint sum, and of what it adds up to.
    pub(crate) fn joint_list(&self, list: &List) -> Leaf {
        Leaf { request: Some(list.hash()), response: Some(list.sum), ..self.leaf(Event::JointList) }
    }

    /// Of the log's next key, whose verifier's text this is.
    pub(super) fn log_key(&self, verifier: &str) -> Leaf {
        Leaf { key: Some(Sha256::digest(verifier).into()), ..self.leaf(Event::LogKey) }
    }
}

/// What hides a leaf in the log.
pub(super) fn salt() -> Result<[u8; 32], ApiError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|_| ApiError::Internal)?;
    Ok(salt)
}

/// SHA-256 of this program.
fn build() -> Result<Hash, Error> {
    // The file that runs, even where another has taken its name.
    let running = Path::new("/proc/self/exe");
    let path = match running.try_exists() {
        Ok(true) => running.to_owned(),
        _ => std::env::current_exe().map_err(Error::io(running))?,
    };
    hash_file(&path).map_err(Error::io(&path))
}

fn hash_file(path: &Path) -> io::Result<Hash> {
    let mut file = File::open(path)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&chunk[..read]),
        }
    }
}
