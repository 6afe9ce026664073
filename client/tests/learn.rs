//! `tiresias learn`: heads that a gateway takes and serves, cards that a council signs, ledgers that refuse, and what goes wrong.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Ended, tiresias, with_features};
use gateway::{Setup, gateway_command};
use serde_json::Value;
use tempfile::TempDir;
use tiresias_evidence::ModelCard;

/// The demo's rows, by their part.
fn demo(set: &str) -> Vec<Vec<String>> {
    let read = |name: &str| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(name)).unwrap();
        text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let (rows, split) = (read("wdbc.csv"), read("wdbc_split.csv"));
    rows.into_iter().zip(split).skip(1).filter(|(_, split)| split[1] == set).map(|(row, _)| row).collect()
}

/// A clinic's files: a table with everything, and features, labels and groups of their own.
struct Clinic(TempDir);

impl Clinic {
    fn new() -> Self {
        let clinic = Self(tempfile::tempdir().unwrap());
        let rows = demo("train");
        let size = |row: &[String]| if row[1].parse::<f64>().unwrap() > 14.0 { "large" } else { "small" };
        let names: Vec<String> = (1..=30).map(|at| format!("f{at}")).collect();
        let lines = rows.iter().map(|row| format!("{},{},{}\n", row[0], size(row), row[1..].join(",")));
        clinic
            .write("all.csv", &format!("diagnosis,size,{}\n{}", names.join(","), lines.collect::<String>()));
        let features = rows.iter().map(|row| row[1..].join(",") + "\n");
        clinic.write("features.csv", &format!("{}\n{}", names.join(","), features.collect::<String>()));
        clinic.write("labels.csv", &rows.iter().map(|row| row[0].clone() + "\n").collect::<String>());
        clinic.write("groups.csv", &rows.iter().map(|row| size(row).to_owned() + "\n").collect::<String>());
        clinic
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.text(name)
    }

    /// Learns from the table with everything.
    fn learn(&self, out: &str, more: &[&str]) -> Ended {
        let (table, out) = (self.text("all.csv"), self.text(out));
        let usual = ["learn", "--features", &table, "--label-column", "diagnosis", "--group-column", "size"];
        tiresias(&[&usual[..], &["--out", &out], more].concat())
    }
}

#[test]
fn a_head_is_learned_imported_signed_and_served() {
    let clinic = Clinic::new();
    let card = clinic.text("card.toml");
    let stated =
        ["--owner", "Example Hospital", "--intended-use", "A test.", "--provenance", "Wisconsin, 1993"];
    let more = [&["--strength", "1", "--card", &card, "--licence", "CC BY 4.0"], &stated[..]].concat();
    let said =
        clinic.learn("head.safetensors", &[&more[..], &["--limit", "Not for patients."]].concat()).done();
    for part in [
        "sensitivity for malignant, size = large",
        "Learned without differential privacy",
        "5-fold cross-validation",
        "learned from 398 patients, strength 1, ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let read = ModelCard::parse(&fs::read(&card).unwrap()).unwrap();
    assert_eq!((read.owner(), read.limits()[0].as_str()), ("Example Hospital", "Not for patients."));
    let provenance = &read.data().provenance;
    assert!(provenance.starts_with("Wisconsin, 1993. Learned by tiresias "), "{provenance}");
    assert!(
        provenance.contains("398 patients (benign: 250, malignant: 148) with 30 features"),
        "{provenance}"
    );
    let accuracy = &read.metrics()[0];
    assert_eq!(
        (accuracy.name.as_str(), accuracy.samples, &accuracy.subgroup),
        ("accuracy", Some(398), &None)
    );
    assert!(accuracy.value > 0.96 && accuracy.value < 1.0, "{}", accuracy.value);
    assert!(read.metrics().iter().any(|metric| metric.subgroup.as_deref() == Some("size = small")));

    // The gateway takes the head, its labels and its card as they are.
    let setup = Setup::empty();
    let repo = setup.path("models").to_str().unwrap().to_owned();
    let (head, labels) = (clinic.text("head.safetensors"), clinic.text("head.labels.txt"));
    let features = clinic.text("features.csv");
    let import =
        ["import", &head, "--labels", &labels, "--calibration", &features, "--name", "m", "--repo", &repo];
    gateway_command(&import);
    let key = setup.path("ethics").to_str().unwrap().to_owned();
    let sign =
        ["approve", "--name", "m", "--repo", &repo, "--key", &key, "--approver", "council.example/one"];
    gateway_command(&[&sign[..], &["--model-card", &card]].concat());

    // Held-out patients, encrypted, over TLS: scikit-learn's head of the demo, with the same strength, is right on 169 of 171.
    let gateway = setup.start();
    let held_out = demo("test");
    let lines = held_out.iter().map(|row| row[1..].join(",") + "\n").collect::<String>();
    clinic.write("held_out.csv", &lines);
    let mut arguments = gateway.command("infer");
    arguments.push("--json".into());
    let found = with_features(&arguments, &clinic.path("held_out.csv")).json();
    let right = found.iter().zip(&held_out).filter(|(found, row)| found["label"] == *row[0]).count();
    assert_eq!(found.len(), 171);
    assert!((168..=170).contains(&right), "{right}");
}

#[test]
fn files_of_their_own_weights_and_chosen_strengths() {
    let clinic = Clinic::new();
    let weighed = ["--balanced", "--reweigh", "--folds", "4", "--json"];
    let one = clinic.learn("one.safetensors", &weighed).json().remove(0);
    let (features, labels) = (clinic.text("features.csv"), clinic.text("labels.csv"));
    let (groups, out) = (clinic.text("groups.csv"), clinic.text("two.safetensors"));
    let own = ["learn", "--features", &features, "--labels", &labels, "--groups", &groups, "--out", &out];
    let named = ["--classes", "benign,malignant", "--group-names", "large,small"];
    let two = tiresias(&[&own[..], &named, &weighed].concat()).json().remove(0);
    let read = |name: &str| fs::read(clinic.path(name)).unwrap();
    assert!(read("one.safetensors") == read("two.safetensors"));
    assert_eq!(read("one.labels.txt"), b"benign\nmalignant\n");
    assert_eq!(one["cross_validation"], two["cross_validation"]);
    assert_eq!((&one["is_converged"], &one["patients"]), (&Value::Bool(true), &398.into()));
    let losses = one["cross_validation"]["losses"].as_array().unwrap();
    let least =
        losses.iter().min_by(|a, b| a[1].as_f64().unwrap().total_cmp(&b[1].as_f64().unwrap())).unwrap();
    assert_eq!((losses.len(), &one["strength"]), (7, &least[0]));
    assert!(one["command"].as_str().unwrap().starts_with("tiresias learn --features "));
    // Without weights the head is another one; with another order of classes its rows change places.
    clinic.learn("plain.safetensors", &["--folds", "4"]).done();
    assert!(read("plain.safetensors") != read("one.safetensors"));
    clinic.learn("turned.safetensors", &[&["--classes", "malignant,benign"], &weighed[..]].concat()).done();
    assert_eq!(read("turned.labels.txt"), b"malignant\nbenign\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(clinic.path("one.safetensors")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn privacy_is_charged_and_refused_when_it_is_spent() {
    let clinic = Clinic::new();
    let bounds = clinic.write("bounds.csv", &"0,10\n".repeat(30));
    let (ledger, features, labels) =
        (clinic.text("ledger"), clinic.text("features.csv"), clinic.text("labels.csv"));
    let learn = |out: &str, more: &[&str]| {
        let out = clinic.text(out);
        let usual = ["learn", "--features", &features, "--labels", &labels, "--out", &out];
        let private = ["--epsilon", "2", "--delta", "1e-5", "--bounds", &bounds, "--ledger", &ledger];
        tiresias(&[&usual[..], &private, more].concat())
    };
    learn("none.safetensors", &[]).failed("privacy_ledger_budget");
    let in_all = ["--ledger-epsilon", "3", "--ledger-delta", "1e-5"];
    let found = learn("one.safetensors", &[&in_all[..], &["--json"]].concat()).json().remove(0);
    let privacy = &found["privacy"];
    assert_eq!((&privacy["asked"]["epsilon"], &found["ledger"]["entry"]), (&2.0.into(), &1.into()));
    assert!(
        privacy["epsilon"].as_f64().unwrap() <= 2.0 && privacy["questions"].as_array().unwrap().len() == 2
    );
    let left = found["ledger"]["epsilon"].as_f64().unwrap();
    assert!(left > 1.0 && left < 3.0, "{left}");
    assert!(found["cross_validation"].is_null() && found["metrics"].as_array().unwrap().is_empty());
    assert!(found["limits"][0].as_str().unwrap().starts_with("Learned with differential privacy: epsilon "));
    // A smaller one fits in once more, and has other noise.
    let again = learn("two.safetensors", &["--rounds", "5"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let refused = learn("three.safetensors", &[]);
    refused.failed("privacy_spent");
    assert!(
        refused.err.contains("is left") && refused.err.contains("a smaller --epsilon"),
        "{}",
        refused.err
    );
    assert!(!clinic.path("three.safetensors").exists());
    let text = fs::read_to_string(&ledger).unwrap();
    assert_eq!((text.lines().count(), text.matches("tiresias learn").count()), (3, 2), "{text}");
    learn("three.safetensors", &["--ledger-epsilon", "9", "--ledger-delta", "1e-5"])
        .failed("privacy_ledger_budget");
    fs::write(&ledger, text.replacen("\"entry\":1", "\"entry\":7", 1)).unwrap();
    learn("three.safetensors", &[]).failed("bad_privacy_ledger");
    clinic.learn("three.safetensors", &["--epsilon", "1"]).wrong_usage();
    clinic.learn("three.safetensors", &["--ledger", &ledger]).wrong_usage();
}

#[test]
fn what_goes_wrong_has_a_code_and_quotes_nothing() {
    let clinic = Clinic::new();
    let small = "d,g,x\nwell,f,1\nill,m,2\nwell,f,3\nill,secret,4\nwell,m,2.5\n";
    let learn = |table: &str, more: &[&str]| {
        let (table, out) = (clinic.write("small.csv", table), clinic.text("head.safetensors"));
        let usual = ["learn", "--features", &table, "--label-column", "d", "--out", &out];
        tiresias(&[&usual[..], more].concat())
    };
    let two = ["--folds", "2", "--group-column", "g"];
    let with = |more: &[&'static str]| [&two[..], more].concat();
    for (table, more, code, part) in [
        (small.to_owned(), vec!["--group-column", "g"], "too_few_rows", "--folds"),
        (small.to_owned(), with(&["--classes", "well,worse"]), "classes", "row 2"),
        (small.to_owned(), with(&["--group-names", "f,m"]), "groups", "one group for each row"),
        (small.to_owned(), with(&["--strength", "0"]), "setting", "--strength"),
        (small.to_owned(), with(&["--rounds", "1"]), "setting", "--rounds"),
        (small.to_owned(), vec!["--folds", "99", "--group-column", "g"], "setting", "--folds"),
        (small.to_owned(), with(&["--bounds", "narrow.csv"]), "overflow", "far too narrow"),
        (small.to_owned(), with(&["--bounds", "two.csv"]), "bounds", "another number of features"),
        (small.replace("ill,m", "ill,"), two.to_vec(), "bad_table", "line 3: the group is empty"),
        (small.replace("ill,m", ",m"), two.to_vec(), "bad_table", "line 3: the label is empty"),
        (small.replace("d,g,x", "d,d,x"), vec![], "bad_table", "twice"),
        (
            small.replace("d,g,x", "d,h,x"),
            two.to_vec(),
            "bad_table",
            "--group-column names a column that the header",
        ),
        (small.to_owned(), vec!["--group-column", "d"], "bad_table", "another column"),
        (small.replace("ill", "well"), two.to_vec(), "classes", "between 2"),
        (small.to_owned(), vec!["--folds", "2"], "not_a_number", "line 2, field 2"),
        (
            "d,x\nwell,1\nill,2\nwell,1\nill,2\n".to_owned(),
            vec!["--folds", "2", "--reweigh"],
            "setting",
            "--reweigh",
        ),
    ] {
        let bounds = [("narrow.csv", "0,1e-9\n"), ("two.csv", "0,1\n0,1\n")]
            .map(|(name, text)| (name, clinic.write(name, text)));
        let place = |word: &&str| {
            bounds.iter().find(|(name, _)| name == word).map_or((*word).to_owned(), |(_, path)| path.clone())
        };
        let more: Vec<String> = more.iter().map(place).collect();
        let ended = learn(&table, &more.iter().map(String::as_str).collect::<Vec<_>>());
        ended.failed(code);
        assert!(ended.err.contains(part) && !ended.err.contains("secret"), "{part}: {}", ended.err);
        assert!(!clinic.path("head.safetensors").exists());
    }
    clinic.learn("head.onnx", &[]).wrong_usage();
    clinic.learn("head.safetensors", &["--card", "c.toml"]).wrong_usage();
    clinic.learn("head.safetensors", &["--limit", "none"]).wrong_usage();
    clinic.learn("head.safetensors", &["--out-labels", &clinic.text("head.safetensors")]).wrong_usage();
    clinic.write("kept.labels.txt", "kept");
    clinic.learn("kept.safetensors", &[]).failed("output_exists");
    let card =
        ["--card", &clinic.text("card.toml"), "--owner", " ", "--intended-use", "u", "--provenance", "p"];
    clinic.learn("head.safetensors", &[&card[..], &["--licence", "l"]].concat()).failed("bad_model_card");
    assert!(!clinic.path("head.safetensors").exists() && !clinic.path("card.toml").exists());
}
