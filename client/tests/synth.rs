//! `tiresias synth`: tables in, patients out, and what goes wrong.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use common::{Ended, tiresias};
use tempfile::TempDir;
use tiresias_circuits::Features;

struct Clinic(TempDir);

impl Clinic {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Bounds of the breast-cancer features: from zero to a round number far above.
    fn bounds(&self) -> String {
        let largest = column_maxima(&demo());
        let text = largest.iter().fold("lower,upper\n".to_owned(), |mut text, most| {
            let _ = writeln!(text, "0,{}", 10f64.powf(most.log10().ceil()));
            text
        });
        self.write("bounds.csv", text)
    }

    fn synth(&self, out: &str, more: &[&str]) -> Ended {
        let (demo, out) = (demo(), self.path(out));
        let usual = ["synth", "--features", demo.to_str().unwrap(), "--label-column", "diagnosis"];
        let usual = [&usual[..], &["--rows", "200", "--out", out.to_str().unwrap()]].concat();
        tiresias(&[&usual, more].concat())
    }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/wdbc.csv")
}

fn column_maxima(path: &Path) -> Vec<f64> {
    let text = fs::read_to_string(path).unwrap();
    let rows =
        text.lines().skip(1).map(|line| line.split(',').skip(1).map(|field| field.parse::<f64>().unwrap()));
    rows.fold(vec![0.0; 30], |most, row| most.iter().zip(row).map(|(most, value)| value.max(*most)).collect())
}

#[test]
fn patients_are_made_and_measured() {
    let clinic = Clinic::new();
    let text = clinic.synth("made.csv", &["--seed", "3"]).done();
    for part in [
        "accuracy on held-out rows, trained on",
        "copies of a fitted row",
        "Kolmogorov-Smirnov",
        "not private: without --epsilon",
        "one split and one classifier",
        "200 patients, seed 3: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let made = fs::read(clinic.path("made.csv")).unwrap();
    let table = Features::from_csv(&made).unwrap();
    assert_eq!((table.rows(), table.columns()), (200, 30));
    assert!(made.starts_with(b"mean_radius,mean_texture,"));
    let labels = fs::read_to_string(clinic.path("made.labels.csv")).unwrap();
    let labels: Vec<&str> = labels.lines().collect();
    assert_eq!((labels.len(), labels[0]), (201, "label"));
    let ill = labels.iter().filter(|&&label| label == "malignant").count();
    assert!((65..85).contains(&ill), "{ill}");
    #[cfg(unix)]
    for name in ["made.csv", "made.labels.csv"] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(clinic.path(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Nothing is overwritten.
    clinic.synth("made.csv", &[]).failed("output_exists");
    clinic
        .synth("other.csv", &["--out-labels", clinic.path("made.labels.csv").to_str().unwrap()])
        .failed("output_exists");
    assert!(!clinic.path("other.csv").exists());
}

#[test]
fn what_was_made_can_be_read_again() {
    // .npy out, labels in a file, the same seed, the same patients.
    let clinic = Clinic::new();
    clinic.synth("first.csv", &["--skip-evaluation"]).done();
    let features = clinic.path("first.csv").to_str().unwrap().to_owned();
    let labels = clinic.path("first.labels.csv").to_str().unwrap().to_owned();
    let again = |out: &str| {
        let out = clinic.path(out);
        let arguments = ["synth", "--features", &features, "--labels", &labels, "--rows", "64", "--json"];
        tiresias(&[&arguments[..], &["--out", out.to_str().unwrap()]].concat()).json().remove(0)
    };
    let (one, two) = (again("second.npy"), again("third.csv"));
    assert_eq!(one["evaluation"], two["evaluation"]);
    assert_eq!(one["evaluation"]["distances"]["of_each"].as_array().unwrap().len(), 64);
    assert!(one["command"].as_str().unwrap().starts_with("tiresias synth --features "));
    assert_eq!((&one["rows"], &one["features"], &one["seed"]), (&64.into(), &30.into(), &1.into()));
    assert_eq!((one["privacy"].is_null(), one["limits"].as_array().unwrap().len()), (true, 3));
    let npy = Features::from_npy(&fs::read(clinic.path("second.npy")).unwrap()).unwrap();
    assert!(npy == Features::from_csv(&fs::read(clinic.path("third.csv")).unwrap()).unwrap());
}

#[test]
fn privacy_is_accounted_for() {
    let clinic = Clinic::new();
    let bounds = clinic.bounds();
    let private = ["--epsilon", "8", "--delta", "1e-5", "--bounds", &bounds];
    let found = clinic.synth("made.csv", &[&private[..], &["--json"]].concat()).json().remove(0);
    let privacy = &found["privacy"];
    assert_eq!(privacy["asked"]["epsilon"], 8.0);
    let spent = privacy["epsilon"].as_f64().unwrap();
    assert!(spent <= 8.0 && spent > 7.9, "{spent}");
    assert_eq!(privacy["questions"].as_array().unwrap().len(), 3);
    assert!(found["limits"][0].as_str().unwrap().starts_with("private: "));
    let made = Features::from_csv(&fs::read(clinic.path("made.csv")).unwrap()).unwrap();
    assert!(made.iter().flatten().all(|&value| (0.0..=10_000.0).contains(&value)));
    // The noise is fresh, whatever the seed.
    clinic.synth("other.csv", &[&private[..], &["--skip-evaluation"]].concat()).done();
    clinic.synth("third.csv", &[&private[..], &["--skip-evaluation"]].concat()).done();
    assert_ne!(fs::read(clinic.path("other.csv")).unwrap(), fs::read(clinic.path("third.csv")).unwrap());
}

#[test]
fn what_goes_wrong_has_a_code_and_quotes_nothing() {
    let clinic = Clinic::new();
    let out = clinic.path("made.csv");
    let rows = (0..60).map(|row| format!("{},{}\n", row * row % 17, row)).collect::<String>();
    let good = clinic.write("good.csv", format!("one,two\n{rows}"));
    let labels = (0..60).map(|row| ["ill\n", "well\n"][row % 2]).collect::<String>();
    let good_labels = clinic.write("labels.csv", &labels);
    let synth = |features: &str, labels: &str, more: &[&str]| {
        let usual = ["synth", "--features", features, "--labels", labels, "--out", out.to_str().unwrap()];
        tiresias(&[&usual[..], more].concat())
    };
    let ten = ["--rows", "10"];
    let private = |epsilon, bounds: &str| {
        ["--rows", "10", "--epsilon", epsilon, "--delta", "1e-5", "--bounds", bounds].map(str::to_owned)
    };
    let few = labels.replace("ill", "well").replacen("well", "secret", 3);
    for (features, labels, more, code, part) in [
        (good.clone(), clinic.write("few.csv", few), &ten[..], "too_few_rows", "class 1 "),
        (good.clone(), clinic.write("one.csv", "secret\n".repeat(60)), &ten, "classes", "between 2 and"),
        (good.clone(), clinic.write("less.csv", &labels[5..]), &ten, "bad_table", "as many labels"),
        (
            good.clone(),
            clinic.write("empty.csv", labels.replacen("ill", "\"\"", 1)),
            &ten,
            "bad_table",
            "line 1: the label is empty",
        ),
        (
            good.clone(),
            clinic.write("two.csv", labels.replacen("ill", "secret,x", 1)),
            &ten,
            "bad_table",
            "line 1: one label",
        ),
        (good.clone(), clinic.write("binary.csv", [0xff, 0xfe]), &ten, "bad_table", "UTF-8"),
        (
            clinic.write("text.csv", format!("one,two\n1,secret\n{rows}")),
            good_labels.clone(),
            &ten,
            "not_a_number",
            "line 2, field 2",
        ),
        (
            clinic.write("nan.csv", format!("one,two\n1,NaN\n{rows}")),
            good_labels.clone(),
            &ten,
            "not_finite",
            "column 1",
        ),
        (good.clone(), good_labels.clone(), &["--rows", "1"], "setting", "--rows"),
        (
            good.clone(),
            good_labels.clone(),
            &["--rows", "10", "--test-share", "0.95"],
            "setting",
            "--test-share",
        ),
        (clinic.write("none.txt", "1"), good_labels.clone(), &ten, "bad_features_file", ".npy or .csv"),
        ("/nonexistent.csv".to_owned(), good_labels.clone(), &ten, "io", "nonexistent"),
    ] {
        let ended = synth(&features, &labels, more);
        ended.failed(code);
        assert!(ended.err.contains(part) && !ended.err.contains("secret"), "{part}: {}", ended.err);
    }
    for (epsilon, bounds, code, part) in [
        ("1", "0,20\n", "bounds", "another number"),
        ("1", "0,20\n5,secret\n", "bad_table", "line 2"),
        ("1", "0,20\n5,9,secret\n", "bad_table", "line 2"),
        ("1", "lower,upper,kind\n0,20,integer\n9,5,continuous\n", "bounds", "feature 2"),
        ("1", "0,20\n0,5.5,integer\n", "bounds", "feature 2"),
        ("0", "0,20\n0,60\n", "budget", "--epsilon"),
        ("NaN", "0,20\n0,60\n", "budget", "--epsilon"),
    ] {
        let bounds = clinic.write("bounds.csv", bounds);
        let more = private(epsilon, &bounds);
        let ended = synth(&good, &good_labels, &more.each_ref().map(String::as_str));
        ended.failed(code);
        assert!(ended.err.contains(part) && !ended.err.contains("secret"), "{part}: {}", ended.err);
    }
    assert!(!out.exists());
    let column = |features: &str, name: &str| {
        let usual = ["synth", "--features", features, "--label-column", name, "--rows", "10"];
        tiresias(&[&usual[..], &["--out", out.to_str().unwrap()]].concat())
    };
    column(&good, "three").failed("bad_table");
    column(&clinic.write("twice.csv", "a,a\n1,2\n"), "a").failed("bad_table");
    column(&clinic.write("lone.csv", "a\nx\n"), "a").failed("bad_table");
    column(&clinic.write("gap.csv", "a,b\nx,1\n,2\n"), "a").failed("bad_table");
    column(&clinic.write("ragged.csv", "a,b\nx,1\ny\n"), "a").failed("bad_features_file");
    let ended = column(&clinic.write("word.csv", "a,b\nx,1\ny,secret\n"), "a");
    ended.failed("not_a_number");
    assert!(ended.err.contains("line 3, field 2"), "{}", ended.err);
    column(&clinic.write("word.npy", ""), "a").wrong_usage();
    clinic.synth("made.txt", &[]).wrong_usage();
    clinic.synth("same.csv", &["--out-labels", clinic.path("same.csv").to_str().unwrap()]).wrong_usage();
    clinic.synth("made.csv", &["--epsilon", "1"]).wrong_usage();
    clinic.synth("made.csv", &["--delta", "1"]).wrong_usage();
    clinic.synth("made.csv", &["--bounds", "b.csv"]).wrong_usage();
    clinic.synth("made.csv", &["--labels", &good_labels]).wrong_usage();
    clinic.synth("made.csv", &["--skip-evaluation", "--test-share", "0.2"]).wrong_usage();
}
