use std::fs;

use clap::Parser as _;
use tempfile::TempDir;
use tiresias_circuits::{
    Card, HeadShape, Plan, Privacy, QuantizedHead, Quantizer, card::CardParts, quantize::Scale,
};
use tiresias_keys::Seed;

use super::*;
use crate::{
    cli::{Cli, Command},
    repository::{Repository, StoredHead},
};

const MODEL_CARD: &str =
    "owner = 'a'\nintended_use = 'b'\nlimits = ['c']\n[data]\nprovenance = 'd'\nlicence = 'e'\n";

/// A repository with model `m`, and three approvers.
struct Council {
    directory: TempDir,
    approvers: Vec<NoteVerifier>,
}

impl Council {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut council = Self { directory, approvers: Vec::new() };
        council.store(1, &[1, -2, 3, 4, 5, -6]);
        fs::write(council.path("card.toml"), MODEL_CARD).unwrap();
        for name in ["one", "two", "three"] {
            let path = council.path(name);
            let key = log::keys::draw(Some(&format!("council.example/{name}")), &path).unwrap();
            log::keys::write_own(&path, key.as_bytes()).unwrap();
            council.approvers.push(log::keys::parse(key.trim_end()).unwrap().verifier());
        }
        council
    }

    fn store(&self, version: u32, weights: &[i8]) {
        let shape = HeadShape { features: 3, classes: 2, feature_bits: 8, weight_bits: 8 };
        let head = QuantizedHead::new(shape, weights.to_vec(), vec![7, -8]).unwrap();
        let quantizer = Quantizer::new(8, 3, Scale::PerTensor(0.5)).unwrap();
        let plan = Plan::new(shape, Privacy::Flooded).unwrap();
        let (labels, seed) = (vec!["a".into(), "b".into()], Seed::from_bytes([1; 32]));
        let card = Card::new(CardParts::new("m", version, labels, quantizer, 0.25, plan, seed)).unwrap();
        self.repository().store(&card, &StoredHead::Linear(head)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn repository(&self) -> Repository {
        Repository::new(&self.path("models"))
    }

    /// Runs `approve` with these further arguments.
    fn approve(&self, more: &[&str]) -> Result<String, ApproveError> {
        let repo = self.path("models");
        let arguments =
            ["tiresias-gateway", "approve", "--name", "m", "--json", "--repo", repo.to_str().unwrap()];
        let paths: Vec<String> = (more.iter())
            .map(|word| match *word {
                "one" | "two" | "three" | "four" | "card.toml" | "other.toml" | "note" => {
                    self.path(word).to_str().unwrap().to_owned()
                }
                word => word.to_owned(),
            })
            .collect();
        let words = arguments.into_iter().chain(paths.iter().map(String::as_str));
        let Command::Approve(args) = Cli::try_parse_from(words).unwrap().command else { unreachable!() };
        let mut out = Vec::new();
        approve(&args, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    fn check(&self, required: usize) -> Result<Option<Approved>, Error> {
        let stored = self.repository().load("m", Some(1)).unwrap();
        let governance = Governance::new(self.approvers.clone(), required).unwrap();
        governance.check(&stored, &self.repository().directory("m", 1))
    }

    /// The code of a check that fails.
    fn refused(&self, required: usize) -> &'static str {
        self.check(required).unwrap_err().code()
    }
}

#[test]
fn a_version_is_approved_by_enough_signatures_and_no_longer_when_one_is_taken_back() {
    let council = Council::new();
    assert_eq!(council.refused(1), "not_approved");
    assert!(matches!(council.approve(&["--key", "one"]), Err(ApproveError::NoCard)));
    council.approve(&["--key", "one", "--model-card", "card.toml"]).unwrap();
    assert_eq!(council.check(1).unwrap().unwrap().card, MODEL_CARD.as_bytes());
    assert_eq!(council.refused(2), "not_approved");
    // Who signs twice has signed once.
    council.approve(&["--key", "one"]).unwrap();
    assert_eq!(council.refused(2), "not_approved");
    let shown = council.approve(&["--key", "two"]).unwrap();
    assert!(shown.contains(r#""signers":["council.example/one","council.example/two"]"#), "{shown}");
    assert!(council.check(2).is_ok());
    // A key that no one named is not counted.
    council.approve(&["--key", "four", "--approver", "council.example/four"]).unwrap();
    assert_eq!(council.refused(3), "not_approved");
    council.approve(&["--key", "two", "--withdraw"]).unwrap();
    assert_eq!(council.refused(2), "not_approved");
    assert!(matches!(council.approve(&["--key", "two", "--withdraw"]), Err(ApproveError::NotSigned)));
    for key in ["one", "four"] {
        council.approve(&["--key", key, "--withdraw"]).unwrap();
    }
    assert!(!council.repository().directory("m", 1).join(NOTE_FILE).exists());
    assert_eq!(
        Governance::default()
            .check(&council.repository().load("m", None).unwrap(), &council.repository().directory("m", 1))
            .unwrap(),
        None
    );
}

#[test]
fn signatures_from_elsewhere_are_added_to_the_same_approval_alone() {
    let council = Council::new();
    council.approve(&["--key", "one", "--model-card", "card.toml"]).unwrap();
    let note = council.repository().directory("m", 1).join(NOTE_FILE);
    let text = fs::read_to_string(&note).unwrap();
    let (body, _) = text.split_once("\n\n").unwrap();
    let key = log::keys::parse(fs::read_to_string(council.path("two")).unwrap().trim_end()).unwrap();
    fs::write(council.path("note"), key.sign(&format!("{body}\n"))).unwrap();
    council.approve(&["--add", "note"]).unwrap();
    assert!(council.check(2).is_ok());
    fs::write(council.path("note"), key.sign(&format!("{}\n", body.replace("version 1", "version 2"))))
        .unwrap();
    assert!(matches!(council.approve(&["--add", "note"]), Err(ApproveError::OtherNote)));
}

#[test]
fn an_approval_of_other_weights_or_of_another_model_card_is_none() {
    let council = Council::new();
    council.approve(&["--key", "one", "--model-card", "card.toml"]).unwrap();
    let directory = council.repository().directory("m", 1);
    let changed = |file: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let path = directory.join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, change(good.clone())).unwrap();
        let code = council.refused(1);
        fs::write(&path, good).unwrap();
        code
    };
    let add = |mut bytes: Vec<u8>| {
        bytes.push(b'\n');
        bytes
    };
    assert_eq!(changed(CARD_FILE, &add), "bad_approval");
    assert_eq!(changed(CARD_FILE, &|_| b"owner = 'x'".to_vec()), "bad_approval");
    assert_eq!(changed(SALT_FILE, &|_| [b'0'; 64].to_vec()), "bad_approval");
    assert_eq!(changed(NOTE_FILE, &|_| Vec::new()), "bad_approval");
    let flip =
        |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("version 1", "version 2").into_bytes();
    assert_eq!(changed(NOTE_FILE, &flip), "bad_approval");
    assert!(council.check(1).is_ok());

    // The same card over other weights: as much as a change of the stored head can hide.
    let (card, note, salt) =
        (directory.join(CARD_FILE), directory.join(NOTE_FILE), directory.join(SALT_FILE));
    let kept = [&card, &note, &salt].map(|path| fs::read(path).unwrap());
    fs::remove_dir_all(&directory).unwrap();
    council.store(1, &[1, -2, 3, 4, 5, 6]);
    for (path, bytes) in [&card, &note, &salt].into_iter().zip(&kept) {
        log::keys::write_own(path, bytes).unwrap();
    }
    assert_eq!(council.refused(1), "bad_approval");
    fs::write(council.path("other.toml"), MODEL_CARD.replace("'b'", "'x'")).unwrap();
    assert!(council.approve(&["--key", "two", "--model-card", "other.toml"]).is_err());
}

#[test]
fn a_council_has_as_many_keys_as_it_asks_for_signatures() {
    let council = Council::new();
    let twice = [council.approvers.as_slice(), &council.approvers[..1]].concat();
    for (approvers, required) in
        [(council.approvers.clone(), 0), (council.approvers.clone(), 4), (Vec::new(), 1), (twice, 2)]
    {
        assert!(Governance::new(approvers, required).is_err());
    }
}
