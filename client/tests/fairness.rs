//! `tiresias fairness`: tables, pages, alarms and errors; and the same figures from Fairlearn, scikit-learn, statsmodels and
//! scikit-bio, which needs Python 3 with venv and a package index: says SKIPPED where there is none.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{
    Ended,
    programs::{environment, python},
    tiresias,
};
use tempfile::TempDir;

/// One release of each, so that a new one does not break the test.
const PACKAGES: [&str; 8] = [
    "--only-binary",
    ":all:",
    "fairlearn==0.15.0",
    "scikit-learn==1.9.1",
    "scikit-bio==0.7.4",
    "statsmodels==0.15.0",
    "numpy==2.4.6",
    "pandas==3.1.1",
];

struct Table {
    directory: TempDir,
    path: PathBuf,
}

impl Table {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("decisions.csv");
        fs::write(&path, text).unwrap();
        Self { directory, path }
    }

    /// Women's cancers are missed more often.
    fn usual() -> String {
        let mut text = "truth,said,score,sex,age,when\n".to_owned();
        for at in 0..240 {
            let (sex, is_ill) = (["f", "m"][at % 2], at / 2 % 2 == 0);
            let is_found = is_ill && (sex == "m" || at % 8 < 4);
            let word = |is| if is { "cancer" } else { "healthy" };
            let (age, month) = (20 + at % 60, at / 120 + 1);
            let score = if is_found { 0.8 } else { 0.3 };
            let _ =
                writeln!(text, "{},{},{score},{sex},{age},2026-{month:02}-03", word(is_ill), word(is_found));
        }
        text
    }

    fn audit(&self, more: &[&str]) -> Ended {
        let usual = ["fairness", self.path.to_str().unwrap(), "--truth", "truth", "--groups", "sex,age"];
        let usual =
            [&usual[..], &["--bands", "age=40,60", "--positive", "cancer", "--resamples", "50"]].concat();
        tiresias(&[&usual, more].concat())
    }
}

const SAID: [&str; 2] = ["--prediction", "said"];

#[test]
fn figures_are_printed_and_a_page_is_written() {
    let table = Table::new(&Table::usual());
    let page = table.directory.path().join("page.html");
    let out = ["--out", page.to_str().unwrap(), "--score", "score", "--time", "when"];
    let text = table.audit(&[&SAID[..], &out].concat()).done();
    let row = text.lines().find(|line| line.contains("equal opportunity")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[1..6], ["cancer", "sex", "equal", "opportunity", "0.500"], "{text}");
    assert!(text.contains("240 decisions; the page is in "), "{text}");
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("<h1>decisions.csv</h1>") && html.contains("--groups sex,age --bands age=40,60"));
    for foreign in ["http:", "https:", "<script", "<link", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    }
    table.audit(&[&SAID[..], &out].concat()).failed("output_exists");
}

#[test]
fn json_has_the_same_and_what_computes_it_again() {
    let table = Table::new(&Table::usual());
    let first = table.audit(&[&SAID[..], &["--json"]].concat()).json();
    assert_eq!(first.len(), 1);
    assert!(first[0]["command"].as_str().unwrap().starts_with("tiresias fairness /"));
    let sex = &first[0]["views"][0]["comparisons"][0];
    assert_eq!(
        (&sex["by"], &sex["groups"][0]["name"], &sex["groups"][0]["rows"]),
        (&"sex".into(), &"f".into(), &120.into())
    );
    // Predictions that follow from scores are the same here.
    let second = table.audit(&["--score", "score", "--cut", "0.8", "--json"]).json();
    assert_eq!(
        first[0]["views"][0]["comparisons"][1]["groups"][0]["counts"],
        second[0]["views"][0]["comparisons"][1]["groups"][0]["counts"]
    );
    let other = table.audit(&["--score", "score", "--cut", "0.2", "--json"]).json();
    assert_ne!(second[0]["classes"], other[0]["classes"]);
}

#[test]
fn an_alarm_has_a_code_of_its_own_and_all_figures() {
    let table = Table::new(&Table::usual());
    let alarm = ["--threshold", "0.4", "--time", "when", "--window", "month"];
    let ended = table.audit(&[&SAID[..], &alarm].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.starts_with("tiresias: error[fairness_alarm]: "), "{ended:?}");
    for line in ["alarm: cancer by sex, all rows: 0.500", "alarm: cancer by sex, 2026-01: "] {
        assert!(ended.out.contains(line), "{ended:?}");
    }
    let json = table.audit(&[&SAID[..], &alarm, &["--json"]].concat());
    assert_eq!(json.code, Some(3));
    assert!(json.out.contains("\"window\":\"2026-02\""));
    let quiet = [&SAID[..], &["--threshold", "0.6", "--alarm-on", "equal-opportunity"]].concat();
    table.audit(&quiet).done();
}

#[test]
fn what_goes_wrong_has_a_code_and_quotes_nothing() {
    let usual = Table::usual();
    let change = |from: &str, to: &str| Table::new(&usual.replacen(from, to, 1));
    let score = &[&SAID[..], &["--score", "score"]].concat();
    for (table, more, code, place) in [
        (change("0.3", "secret"), score, "not_a_number", "column 3"),
        (change("0.3", "NaN"), score, "not_finite", "column 3"),
        (change("f,20,", "secret,,"), score, "empty_field", "row 1, column 5"),
        (change("m,21,", ",21,"), score, "empty_field", "row 2, column 4"),
        (change("cancer,cancer", "cancer,secret"), score, "unknown_class", "row 1, column 2"),
        (change("truth,said", "secret,said"), score, "missing_column", "--truth"),
        (change("cancer,cancer", "cancer,cancer,cancer"), score, "bad_table", "line 2"),
        (change("said,", "said,said,"), score, "double_column", "--prediction"),
        (change(&usual, "truth,said,score,sex,age,when\n"), score, "no_rows", "no rows"),
        (change(&usual, &usual.replace(",m,", ",f,")), score, "single_group", "column 1"),
        (change(&usual, &usual.replace("cancer", "healthy")), score, "classes", "2"),
        (
            change("", ""),
            &[&score[..], &["--reference", "sex=secret"]].concat(),
            "unknown_group",
            "--reference",
        ),
        (change("", ""), &[&score[..], &["--min-cell", "0"]].concat(), "setting", "--min-cell"),
        (change("", ""), &[&score[..], &["--time", "age"]].concat(), "double_column", "--time"),
        (
            change("2026-01-03", "03.01.2026"),
            &[&score[..], &["--time", "when"]].concat(),
            "not_a_date",
            "row 1, column 6",
        ),
    ] {
        let ended = table.audit(more);
        ended.failed(code);
        assert!(ended.err.contains(place), "{place}: {}", ended.err);
        assert!(!ended.err.contains("secret") && !ended.err.contains("03.01"), "{}", ended.err);
    }
    let table = change("", "");
    tiresias(&["fairness", "/nonexistent.csv", "--truth", "t", "--prediction", "p", "--groups", "g"])
        .failed("io");
    table.audit(&[]).wrong_usage();
    table.audit(&[&SAID[..], &["--bands", "sex"]].concat()).wrong_usage();
    table.audit(&[&SAID[..], &["--window", "month"]].concat()).wrong_usage();
}

#[test]
fn figures_are_those_of_other_libraries() {
    let python = match environment("fairness-venv", &[&PACKAGES]).map(|environment| python(&environment)) {
        Ok(python) => python,
        Err(reason) => {
            println!("SKIPPED: fairlearn and its companions cannot be installed here: {reason}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fairness_oracle.py");
    let mut oracle = Command::new(python);
    oracle.arg(script).arg(env!("CARGO_BIN_EXE_tiresias")).arg(folder.path());
    let tables = Ended::from(oracle.output().unwrap()).json();
    let names: Vec<&str> = tables.iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(names, ["two_classes", "three_classes", "diabetes"]);
    for table in &tables {
        println!("{table}");
        assert!(
            table["numbers"].as_u64().unwrap() > 300 && table["page_rows"].as_u64().unwrap() > 10,
            "{table}"
        );
        assert!(table["proposals"].as_u64().unwrap() > 0, "{table}");
    }
    assert!(tables[0]["alarms"].as_u64().unwrap() > 0, "{}", tables[0]);
}
