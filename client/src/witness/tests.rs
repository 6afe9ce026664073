use std::{fs, thread};

use tiresias_evidence::{
    Hash,
    merkle::{Frontier, Hashes, leaf_hash, node_hash, prove_consistency},
};
use tiresias_keys::Digest;

use super::*;

const ORIGIN: &str = "gateway.example/log";
const NAME: Option<&str> = Some("witness.example/w1");

fn log_key(seed: u8) -> LogKey {
    LogKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

/// A history: leaves up to `fork` are everyone's, those behind it its own.
struct History {
    fork: u64,
    own: u64,
}

impl History {
    fn checkpoint(&self, size: u64) -> Checkpoint {
        let mut tree = Frontier::default();
        (0..size).for_each(|index| drop(tree.append(self.node(0, index).unwrap())));
        Checkpoint { origin: ORIGIN.into(), size, root: tree.root() }
    }

    fn submission(&self, old: u64, size: u64) -> Vec<u8> {
        let proof = if old == 0 { vec![] } else { prove_consistency(self, old, size).unwrap() };
        let note = log_key(1).sign(&self.checkpoint(size).text());
        Submission::new(old, proof, note).unwrap().to_text().into_bytes()
    }
}

impl Hashes for History {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        if level == 0 {
            let own = if index < self.fork { 0 } else { self.own };
            return Ok(leaf_hash(&[index.to_be_bytes(), own.to_be_bytes()].concat()));
        }
        let [left, right] = [2 * index, 2 * index + 1].map(|child| self.node(level - 1, child));
        Ok(node_hash(&left?, &right?))
    }
}

const HONEST: History = History { fork: u64::MAX, own: 0 };

fn open(path: &Path) -> Result<Witness, Error> {
    Witness::open(path, NAME, &[log_key(1).verifier()])
}

fn is_cosigned(witness: &Witness, answer: &Answer, checkpoint: &Checkpoint) {
    let Answer::Cosigned(line) = answer else { unreachable!("{answer:?}") };
    let note = format!("{}\n{line}", checkpoint.text());
    assert!(Note::parse(&note).unwrap().verify(&witness.verifier()).unwrap().unwrap() > 0);
}

fn record(path: &Path) -> PathBuf {
    path.join(format!("{}.checkpoint", Digest::of(ORIGIN.as_bytes())))
}

#[test]
fn a_log_is_followed_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let key = open(directory.path()).unwrap().verifier();
    for (old, size) in [(0, 0), (0, 3), (3, 3), (3, 8), (8, 300), (300, 301)] {
        let witness = open(directory.path()).unwrap();
        assert_eq!(
            (witness.verifier(), Witness::key_of(directory.path()).unwrap()),
            (key.clone(), key.clone())
        );
        let answer = witness.add_checkpoint(&HONEST.submission(old, size));
        is_cosigned(&witness, &answer, &HONEST.checkpoint(size));
        let kept = fs::read_to_string(record(directory.path())).unwrap();
        let kept = Note::parse(&kept).unwrap();
        assert!(kept.verify(&key).is_ok() && kept.verify(&log_key(1).verifier()).is_ok());
        let answer = witness.add_checkpoint(&HONEST.submission(size + 1, size + 2));
        assert_eq!(answer, Answer::Refused(Refusal::OtherSize { size }));
    }
    let witness = open(directory.path()).unwrap();
    let forked = History { fork: 300, own: 1 };
    for _ in 0..2 {
        let answer = witness.add_checkpoint(&forked.submission(301, 302));
        assert_eq!(answer, Answer::Refused(Refusal::NotConsistent));
        let evidence = record(directory.path()).with_extension("refused");
        assert_eq!(fs::read(evidence).unwrap(), forked.submission(301, 302));
    }
    assert!(matches!(witness.add_checkpoint(b"old 5\n"), Answer::Malformed(_)));
    let other = Witness::open(&directory.path().join("other"), NAME, &[]).unwrap();
    assert_ne!(other.verifier(), key);
    assert_eq!(other.add_checkpoint(&HONEST.submission(0, 3)), Answer::Refused(Refusal::UnknownLog));
    is_cosigned(&witness, &witness.add_checkpoint(&HONEST.submission(301, 302)), &HONEST.checkpoint(302));
}

#[test]
fn of_many_histories_at_once_one_is_cosigned() {
    let directory = tempfile::tempdir().unwrap();
    let witness = open(directory.path()).unwrap();
    is_cosigned(&witness, &witness.add_checkpoint(&HONEST.submission(0, 7)), &HONEST.checkpoint(7));
    let histories: Vec<History> = (1..=8).map(|own| History { fork: 7, own }).collect();
    let (mut at, mut followed) = (7, None);
    for _ in 0..10 {
        let answers: Vec<Answer> = thread::scope(|scope| {
            let ask = |history: &History| {
                let body = history.submission(at, at + 2);
                scope.spawn(|| witness.add_checkpoint(&{ body }))
            };
            let asking: Vec<_> = histories.iter().map(ask).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let cosigned: Vec<usize> =
            (0..8).filter(|&history| matches!(answers[history], Answer::Cosigned(_))).collect();
        let [one] = cosigned[..] else { unreachable!("{answers:?}") };
        assert!(followed.is_none_or(|before| before == one), "{answers:?}");
        (at, followed) = (at + 2, Some(one));
    }
}

#[test]
fn a_checkpoint_that_is_not_as_it_was_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let witness = open(directory.path()).unwrap();
    is_cosigned(&witness, &witness.add_checkpoint(&HONEST.submission(0, 7)), &HONEST.checkpoint(7));
    drop(witness);
    let path = record(directory.path());
    let good = fs::read(&path).unwrap();
    let refusal = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let code = open(directory.path()).err().map(|error| error.code());
        // That holds for logs that are no longer cosigned too.
        assert_eq!(Witness::open(directory.path(), None, &[]).err().map(|error| error.code()), code);
        assert_eq!(fs::read(&path).unwrap(), bytes, "it is left as it is");
        code
    };
    assert_eq!(refusal(&good), None);
    // The log's own signature is not what counts, and lies behind the text.
    let text = HONEST.checkpoint(7).text().len();
    let cosignature = good.len() - 3;
    for at in (0..text).chain([cosignature]) {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        assert_eq!(refusal(&flipped), Some("witness_damaged"), "byte {at}");
    }
    for cut in [0, 1, text, good.len() - 1] {
        assert_eq!(refusal(&good[..cut]), Some("witness_damaged"), "{cut}");
    }
    let by_the_log = log_key(1).sign(&HONEST.checkpoint(7).text());
    assert_eq!(refusal(by_the_log.as_bytes()), Some("witness_damaged"));
    assert_eq!(refusal(&vec![b'x'; 65 << 10]), Some("witness_damaged"));

    // Another log's, and another witness's.
    fs::write(&path, &good).unwrap();
    let renamed = directory.path().join(format!("{}.checkpoint", Digest::of(b"other.example/log")));
    fs::rename(&path, &renamed).unwrap();
    assert_eq!(open(directory.path()).unwrap_err().code(), "witness_damaged");
    fs::rename(&renamed, &path).unwrap();
    let key = directory.path().join("key");
    fs::remove_file(&key).unwrap();
    assert_eq!(open(directory.path()).unwrap_err().code(), "witness_damaged");
}

#[test]
fn a_directory_has_one_witness_and_one_name() {
    let directory = tempfile::tempdir().unwrap();
    let code = |opened: Result<Witness, Error>| opened.err().map(|error| error.code());
    assert_eq!(code(Witness::open(directory.path(), None, &[])), Some("bad_witness_key"));
    for bad in ["", "a b", "a+b"] {
        assert_eq!(code(Witness::open(directory.path(), Some(bad), &[])), Some("bad_witness_key"), "{bad}");
    }
    assert_eq!(Witness::key_of(directory.path()).unwrap_err().code(), "io");
    let first = open(directory.path()).unwrap();
    assert_eq!(code(open(directory.path())), Some("witness_in_use"));
    let verifier = Witness::key_of(directory.path()).unwrap();
    assert_eq!((&verifier, verifier.is_cosigner()), (&first.verifier(), true));
    drop(first);
    assert_eq!(code(Witness::open(directory.path(), Some("other"), &[])), Some("bad_witness_key"));

    // What a crash left of a write.
    let unfinished = directory.path().join(".tiresias-abc");
    fs::write(&unfinished, "half").unwrap();
    Witness::open(directory.path(), None, &[]).unwrap();
    assert!(!unfinished.exists());

    let key = directory.path().join("key");
    let good = fs::read_to_string(&key).unwrap();
    for bad in ["", "\n", &good.repeat(2), &good.replace("w1", "w2"), &good[1..]] {
        fs::write(&key, bad).unwrap();
        assert_eq!(code(open(directory.path())), Some("bad_witness_key"), "{bad}");
    }
    fs::write(&key, good).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(code(open(directory.path())), Some("bad_witness_key"));
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_stored_is_not_cosigned() {
    let directory = tempfile::tempdir().unwrap();
    let witness = open(directory.path()).unwrap();
    is_cosigned(&witness, &witness.add_checkpoint(&HONEST.submission(0, 7)), &HONEST.checkpoint(7));
    // A directory in the file's place: the last step of the write fails.
    let path = record(directory.path());
    let good = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir_all(path.join("in the way")).unwrap();
    assert_eq!(witness.add_checkpoint(&HONEST.submission(7, 9)), Answer::Failed);
    fs::remove_dir_all(&path).unwrap();
    fs::write(&path, good).unwrap();
    let answer = witness.add_checkpoint(&HONEST.submission(9, 10));
    assert_eq!(answer, Answer::Refused(Refusal::OtherSize { size: 7 }));
    is_cosigned(&witness, &witness.add_checkpoint(&HONEST.submission(7, 9)), &HONEST.checkpoint(9));
}
