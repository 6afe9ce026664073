use proptest::prelude::*;

use super::*;
use crate::{
    LogKey,
    merkle::{Frontier, Hashes, leaf_hash, prove_consistency},
};

const ORIGIN: &str = "gateway.example/log";

fn key(seed: u8) -> LogKey {
    LogKey::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

/// A log whose leaves are numbers, from some number on other ones than in the honest log.
struct Log {
    fork: u64,
}

impl Log {
    fn leaf(&self, index: u64) -> Hash {
        leaf_hash(&(if index < self.fork { index } else { !index }).to_be_bytes())
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let mut tree = Frontier::default();
        (0..size).for_each(|index| drop(tree.append(self.leaf(index))));
        Checkpoint { origin: ORIGIN.into(), size, root: tree.root() }
    }

    fn submission(&self, old: u64, size: u64) -> Submission {
        let proof = if old == 0 { vec![] } else { prove_consistency(self, old, size).unwrap() };
        Submission::new(old, proof, key(1).sign(&self.checkpoint(size).text())).unwrap()
    }
}

impl Hashes for Log {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        if level == 0 {
            return Ok(self.leaf(index));
        }
        let [left, right] = [2 * index, 2 * index + 1].map(|child| self.node(level - 1, child));
        Ok(crate::merkle::node_hash(&left?, &right?))
    }
}

const HONEST: Log = Log { fork: u64::MAX };

/// The example of c2sp.org/tlog-witness.
const EXAMPLE: &str = "old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u{2014} example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";

#[test]
fn the_example_of_the_specification_is_read() {
    let read = Submission::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!((read.old, read.proof.len(), read.checkpoint.size), (20_852_014, 4, 20_852_163));
    assert_eq!(read.to_text(), EXAMPLE);
    assert_eq!(read.judge(&[key(1).verifier()], None), Err(Refusal::UnknownLog));
}

#[test]
fn other_texts_are_refused() {
    let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
    for bad in [
        String::new(),
        "\n".into(),
        "old 5\n".into(),
        "old 5\n\n".into(),
        EXAMPLE.replacen("old 20852014", "old 20852164", 1),
        EXAMPLE.replacen("old 2", "old 02", 1),
        EXAMPLE.replacen("old 2", "old +2", 1),
        EXAMPLE.replacen("old 2", "old -2", 1),
        EXAMPLE.replacen("old 2", "old  2", 1),
        EXAMPLE.replacen("old 2", "OLD 2", 1),
        EXAMPLE.replacen("old 20852014", "old 18446744073709551616", 1),
        EXAMPLE.replacen("old 20852014", "old 20852014\r", 1),
        EXAMPLE.replacen(hash, &hash[1..], 1),
        EXAMPLE.replacen(hash, &hash.replace("kaw=", "kax="), 1),
        EXAMPLE.replacen(hash, &hash.replace('=', ""), 1),
        EXAMPLE.replacen(hash, &hash.repeat(61), 1),
        EXAMPLE.replacen("\n\nexample", "\nexample", 1),
        EXAMPLE.replacen("\n\nexample", "\n\n\nexample", 1),
        EXAMPLE.replacen("20852163\n", "020852163\n", 1),
        EXAMPLE.replacen("jxq2I=\n\n", "jxq2I=\n\nextension\n\n", 1),
        EXAMPLE.replacen('\u{2014}', "-", 1),
        EXAMPLE.trim_end().into(),
        EXAMPLE.to_owned() + "\n",
        EXAMPLE.to_owned() + &EXAMPLE[EXAMPLE.find('\u{2014}').unwrap()..].repeat(51),
        EXAMPLE.to_owned() + &"x".repeat(MAXIMUM_REQUEST_BYTES),
    ] {
        assert!(Submission::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Submission::parse(&EXAMPLE.replacen(hash, &hash.repeat(60), 1).into_bytes()).is_ok());
    assert!(Submission::parse(&[EXAMPLE.as_bytes(), b"\xff"].concat()).is_err());
    // Extension lines are allowed, and cosigned with the rest.
    assert!(Submission::parse(EXAMPLE.replacen("jxq2I=\n", "jxq2I=\nextension\n", 1).as_bytes()).is_ok());
}

#[test]
fn what_continues_the_last_checkpoint_is_accepted_and_nothing_else() {
    let keys = [key(1).verifier()];
    let judge =
        |submission: &Submission, latest: Option<u64>| match latest.map(|size| HONEST.checkpoint(size)) {
            Some(latest) => submission.judge(&keys, Some(&latest)),
            None => submission.judge(&keys, None),
        };
    for size in 0..20 {
        for old in 0..=size {
            let submission = HONEST.submission(old, size);
            let again = Submission::parse(submission.to_text().as_bytes()).unwrap();
            assert_eq!(again, submission);
            assert_eq!(judge(&submission, Some(old)), Ok(submission.note.clone()));
            assert_eq!(judge(&submission, Some(old + 1)), Err(Refusal::OtherSize { size: old + 1 }));
            let first =
                if old == 0 { Ok(submission.note.clone()) } else { Err(Refusal::OtherSize { size: 0 }) };
            assert_eq!(judge(&submission, None), first);
            // The same proof with one hash more or less.
            let mut longer = submission.clone();
            longer.proof.push([0; 32]);
            assert_eq!(judge(&longer, Some(old)), Err(Refusal::NotConsistent));
            let mut shorter = submission.clone();
            if shorter.proof.pop().is_some() {
                assert_eq!(judge(&shorter, Some(old)), Err(Refusal::NotConsistent));
            }
            // A log that went another way before the last checkpoint, with its own best proof.
            for fork in 0..old {
                let forked = Log { fork }.submission(old, size);
                assert_eq!(judge(&forked, Some(old)), Err(Refusal::NotConsistent), "{fork} {old} {size}");
            }
        }
    }
    let nothing = Checkpoint { root: [0; 32], ..HONEST.checkpoint(0) };
    let nothing = Submission::new(0, vec![], key(1).sign(&nothing.text())).unwrap();
    assert_eq!(judge(&nothing, None), Err(Refusal::NotConsistent));
    assert!(Submission::new(6, vec![], key(1).sign(&HONEST.checkpoint(5).text())).is_err());
}

#[test]
fn only_signatures_of_the_logs_keys_count() {
    let submission = HONEST.submission(0, 5);
    let other = LogKey::from_seed("other.example/log", &[1; 32]).unwrap().verifier();
    let judge = |keys: &[NoteVerifier], note: &str| {
        Submission::new(0, vec![], note.to_owned()).unwrap().judge(keys, None)
    };
    assert_eq!(judge(std::slice::from_ref(&other), &submission.note), Err(Refusal::UnknownLog));
    assert_eq!(judge(&[other.clone(), key(2).verifier()], &submission.note), Err(Refusal::Signature));
    let text = HONEST.checkpoint(5).text();
    let second = key(2).sign(&text)[text.len() + 1..].to_owned();
    let both = submission.note.clone() + &second;
    assert_eq!(judge(&[key(1).verifier()], &both), Ok(submission.note.clone()));
    assert_eq!(judge(&[other, key(1).verifier(), key(2).verifier()], &both), Ok(both));
    // A true signature beside a false one of another known key.
    let text = HONEST.checkpoint(6).text();
    let false_line = &key(2).sign(&text)[text.len() + 1..];
    let mixed = submission.note + false_line;
    assert_eq!(judge(&[key(1).verifier(), key(2).verifier()], &mixed), Err(Refusal::Signature));
}

#[test]
fn answers_are_read_by_the_key_alone() {
    let witness = LogKey::from_seed("witness.example/w1", &[5; 32]).unwrap();
    let (text, verifier) = (HONEST.checkpoint(5).text(), witness.cosignature_verifier());
    let (line, other) = (witness.cosign(&text, 1_763_923_000), key(2).cosign(&text, 1_763_923_000));
    let read = |body: &str| read_cosignature(body.as_bytes(), &text, &verifier);
    assert_eq!(read(&line), Ok(line.clone()));
    assert_eq!(read(&format!("{other}{line}")), Ok(line.clone()));
    for bad in [
        String::new(),
        "\n".into(),
        other,
        line.trim_end().to_owned(),
        format!("more\n\n{line}"),
        format!("\n{line}"),
        format!("{line}\n"),
        witness.cosign(&HONEST.checkpoint(6).text(), 1_763_923_000),
        witness.cosign(&text, 0),
        witness.sign(&text)[text.len() + 1..].to_owned(),
        "x".repeat(MAXIMUM_ANSWER_BYTES + 1),
    ] {
        assert!(read(&bad).is_err(), "{bad}");
    }
    assert!(read_cosignature(b"\xff", &text, &verifier).is_err());
    // A key that signs notes is no witness's.
    let note_key = witness.verifier();
    let signature = &witness.sign(&text)[text.len() + 1..];
    assert!(read_cosignature(signature.as_bytes(), &text, &note_key).is_err());
    assert_eq!(read_size(b"20852014\n"), Ok(20_852_014));
    for bad in
        [&b""[..], b"\n", b"5", b"05\n", b"+5\n", b"5\n\n", b"5 \n", b"18446744073709551616\n", b"\xff\n"]
    {
        assert!(read_size(bad).is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_in_panics(body in proptest::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), byte: u8) {
        let _ = Submission::parse(&body);
        let _ = read_size(&body);
        let _ = read_cosignature(&body, "a\n5\nAAAA\n", &key(1).cosignature_verifier());
        let mut changed = EXAMPLE.as_bytes().to_vec();
        let at = at % changed.len();
        changed[at] = byte;
        if let Ok(read) = Submission::parse(&changed) {
            prop_assert_eq!(read.to_text().into_bytes(), changed);
        }
    }
}
