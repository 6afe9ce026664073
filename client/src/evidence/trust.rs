//! Whose signatures count: the keys of logs, and witnesses.

use std::path::Path;

use tiresias_evidence::{
    Checkpoint, NoteVerifier,
    note::{MAXIMUM_NOTE_BYTES, Note},
};

use super::Fault;
use crate::{Error, cli::TrustArgs, files};

/// The keys that a clinic trusts.
///
/// Several keys of one log are those of a rotation: a checkpoint that any of them has signed is the log's.
#[derive(Debug, Clone)]
pub struct LogTrust {
    keys: Vec<NoteVerifier>,
    witnesses: Vec<NoteVerifier>,
    quorum: usize,
}

/// A checkpoint that a trusted key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The whole note.
    pub note: String,
    /// How many of the named witnesses have signed it too.
    pub witnesses: usize,
}

impl LogTrust {
    /// Trusts these log keys. `quorum` of the witnesses, all of them by default, stand for there being one log alone.
    pub fn new(
        keys: Vec<NoteVerifier>,
        witnesses: Vec<NoteVerifier>,
        quorum: Option<usize>,
    ) -> Result<Self, Error> {
        if keys.is_empty() || keys.iter().any(NoteVerifier::is_cosigner) {
            return Err(Error::Usage("--log-key: a log's key, as `tiresias-gateway log key` prints it"));
        }
        if !witnesses.iter().all(NoteVerifier::is_cosigner) {
            return Err(Error::Usage("--witness: the key of a witness, which cosigns (type 0x04)"));
        }
        let mut distinct: Vec<NoteVerifier> = Vec::with_capacity(witnesses.len());
        for witness in witnesses {
            // One that is named twice is still one.
            if !distinct.contains(&witness) {
                distinct.push(witness);
            }
        }
        let quorum = quorum.unwrap_or(distinct.len());
        if quorum > distinct.len() || (quorum == 0 && !distinct.is_empty()) {
            return Err(Error::Usage("--quorum: from 1 to the number of named witnesses"));
        }
        Ok(Self { keys, witnesses: distinct, quorum })
    }

    /// What the options name; `None` where they name no log key.
    pub fn read(args: &TrustArgs) -> Result<Option<Self>, Error> {
        if args.log_key.is_empty() {
            return Ok(None);
        }
        let read = |named: &[String]| {
            let keys = named.iter().map(|named| read_keys(named)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, Error>(keys.concat())
        };
        Self::new(read(&args.log_key)?, read(&args.witness)?, args.quorum).map(Some)
    }

    /// Checks that a trusted key has signed a checkpoint's note.
    pub fn open(&self, note: &str) -> Result<Signed, Fault> {
        let mut opened = Err(Fault::Signature);
        for key in &self.keys {
            opened = Checkpoint::open(note, key).map_err(Fault::from);
            if opened != Err(Fault::Signature) {
                break;
            }
        }
        let checkpoint = opened?;
        let lines = Note::parse(note)?;
        let witnesses = self.witnesses.iter().filter(|witness| lines.verify(witness).is_ok()).count();
        Ok(Signed { checkpoint, note: note.to_owned(), witnesses })
    }

    /// Whether so many witnesses are a quorum.
    #[must_use]
    pub fn is_quorum(&self, witnesses: usize) -> bool {
        !self.witnesses.is_empty() && witnesses >= self.quorum
    }

    /// How far so many witnesses go, in words.
    #[must_use]
    pub fn explain(&self, witnesses: usize) -> String {
        let (named, quorum) = (self.witnesses.len(), self.quorum);
        match (named, self.is_quorum(witnesses)) {
            (0, _) => "no witness was named: the log's operator could show others another log".to_owned(),
            (_, true) => format!("{witnesses} of {named} named witnesses have signed a checkpoint over it"),
            (_, false) => {
                format!("{witnesses} of {named} named witnesses have signed, and a quorum takes {quorum}")
            }
        }
    }

    /// The names of the logs whose keys are trusted.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(NoteVerifier::name)
    }
}

/// A key by its text, or the keys in a file, one a line. Empty lines and those that begin with # are passed over.
pub(crate) fn read_keys(named: &str) -> Result<Vec<NoteVerifier>, Error> {
    if let Ok(key) = NoteVerifier::parse(named) {
        return Ok(vec![key]);
    }
    let path = Path::new(named);
    let refused = || Error::VerifierKey { path: path.to_owned() };
    if !path.exists() {
        return Err(refused());
    }
    let text = String::from_utf8(files::read(path, MAXIMUM_NOTE_BYTES as u64)?).map_err(|_| refused())?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<NoteVerifier> =
        lines.map(|line| NoteVerifier::parse(line).map_err(|_| refused())).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(refused()) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use tiresias_evidence::LogKey;

    use super::*;

    fn key(name: &str, seed: u8) -> LogKey {
        LogKey::from_seed(name, &[seed; 32]).unwrap()
    }

    fn note(keys: &[&LogKey]) -> String {
        let checkpoint = Checkpoint { origin: "log.example".into(), size: 5, root: [7; 32] };
        let text = checkpoint.text();
        let lines = keys.iter().map(|key| key.sign(&text).strip_prefix(&text).unwrap()[1..].to_owned());
        format!("{text}\n{}", lines.collect::<String>())
    }

    #[test]
    fn any_of_the_named_keys_counts_and_no_other() {
        let (old, new, other) = (key("log.example", 1), key("log.example", 2), key("log.example", 3));
        let both = note(&[&new, &old]);
        for keys in [vec![&old], vec![&new], vec![&other, &old], vec![&old, &new]] {
            let trust = LogTrust::new(keys.iter().map(|key| key.verifier()).collect(), vec![], None).unwrap();
            assert_eq!(trust.open(&both).unwrap().checkpoint.size, 5);
        }
        let trust = LogTrust::new(vec![other.verifier()], vec![], None).unwrap();
        assert_eq!(trust.open(&both), Err(Fault::Signature));
        let foreign = key("other.example", 1);
        let trust = LogTrust::new(vec![foreign.verifier()], vec![], None).unwrap();
        assert_eq!(trust.open(&note(&[&foreign])).unwrap_err().code(), "malformed", "its origin is another");
        assert_eq!(trust.open("no note").unwrap_err().code(), "malformed");
    }

    #[test]
    fn witnesses_count_once_and_a_quorum_is_of_those_that_were_named() {
        let log = key("log.example", 1);
        let witness = |name: &str, seed: u8| key(name, seed).cosignature_verifier();
        let (one, two) = (witness("one.example", 2), witness("two.example", 3));
        let text = Note::parse(&note(&[&log])).unwrap().text().to_owned();
        let signed_by = |witnesses: &[LogKey]| {
            let lines: String = witnesses.iter().map(|key| key.cosign(&text, 1_763_923_000)).collect();
            note(&[&log]) + &lines
        };
        let trust = |witnesses: &[&NoteVerifier], quorum| {
            let witnesses = witnesses.iter().map(|&key| key.clone()).collect();
            LogTrust::new(vec![log.verifier()], witnesses, quorum)
        };
        let by_one = signed_by(&[key("one.example", 2), key("one.example", 2)]);
        for (witnesses, quorum, counted, is_quorum) in [
            (vec![], None, 0, false),
            (vec![&one], None, 1, true),
            (vec![&one, &one], None, 1, true),
            (vec![&one, &two], None, 1, false),
            (vec![&one, &two], Some(1), 1, true),
            (vec![&two], None, 0, false),
        ] {
            let trust = trust(&witnesses, quorum).unwrap();
            let opened = trust.open(&by_one).unwrap();
            assert_eq!((opened.witnesses, trust.is_quorum(opened.witnesses)), (counted, is_quorum));
        }
        // A key that signs logs does not cosign, nor the other way round; and there is no quorum of more than all.
        assert!(LogTrust::new(vec![log.verifier()], vec![log.verifier()], None).is_err());
        assert!(LogTrust::new(vec![one.clone()], vec![], None).is_err());
        assert!(trust(&[&one, &one], Some(2)).is_err() && trust(&[&one], Some(0)).is_err());
        assert!(trust(&[], Some(1)).is_err());
    }

    #[test]
    fn keys_come_as_text_or_in_files() {
        let (log, witness) = (key("log.example", 1).verifier(), key("w.example", 2).cosignature_verifier());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        std::fs::write(&path, format!("# ours\n\n{log}\r\n{}\n", key("log.example", 4).verifier())).unwrap();
        let named = path.to_str().unwrap().to_owned();
        let args = |log_key: &[String], witness: &[String]| TrustArgs {
            log_key: log_key.to_vec(),
            witness: witness.to_vec(),
            quorum: None,
        };
        let trust = LogTrust::read(&args(&[named.clone(), log.to_string()], &[witness.to_string()]));
        let trust = trust.unwrap().unwrap();
        assert_eq!((trust.keys.len(), trust.witnesses.len(), trust.quorum), (3, 1, 1));
        assert!(LogTrust::read(&args(&[], &[])).unwrap().is_none());
        for text in ["", "# nothing\n", "no key\n", "\u{fffd}"] {
            std::fs::write(&path, text).unwrap();
            let refused = LogTrust::read(&args(std::slice::from_ref(&named), &[])).unwrap_err();
            assert_eq!(refused.code(), "bad_verifier_key", "{text:?}");
        }
        assert_eq!(LogTrust::read(&args(&["no+file".into()], &[])).unwrap_err().code(), "bad_verifier_key");
    }
}
