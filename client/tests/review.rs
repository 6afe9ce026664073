//! The record of decisions, between real processes: what `infer` writes, what humans decide, what is counted and exported, and what
//! happens where writing fails.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;
#[path = "common/records.rs"]
mod records;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use common::{Ended, command, signal, start, tiresias};
use records::{Clinic, LABELS};
use serde_json::{Value, json};

const TWO: &str = "far out";

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Another label than a case's.
fn another(case: &Value) -> &'static str {
    LABELS.lines().find(|label| *label != case["computed"].as_str().unwrap()).unwrap()
}

#[test]
fn results_are_recorded_decided_counted_exported_and_audited() {
    let clinic = Clinic::start();
    assert_eq!(fs::metadata(&clinic.record).unwrap().permissions().mode() & 0o777, 0o600);
    clinic.review(&["init"]).failed("output_exists");
    assert!(clinic.review(&["list", "--json"]).json().is_empty());

    let plain = clinic.gateway.command("infer");
    let plain = common::and(&plain, &["--json", "--features", &clinic.features]);
    let expected = tiresias(&plain).json();
    let printed = clinic.infer(&["--about", &clinic.about]).json();
    assert_eq!(printed, expected, "recording changes nothing that is printed");
    assert_eq!(printed.len(), 22);

    // All are there, and what is far out shows no number before it is decided.
    let cases = clinic.cases();
    assert_eq!(cases.len(), 22);
    for (at, (case, printed)) in cases.iter().zip(&printed).enumerate() {
        assert_eq!((&case["case"], &case["row"]), (&json!(at + 1), &json!(at)));
        assert_eq!((&case["source"], &case["model"]), (&json!(clinic.features), &json!("m")));
        assert_eq!(case["about"]["patient"], format!("Müller-Anna-{at}"));
        let is_far_out = printed["drift"]["far_out"] == true;
        assert_eq!(is_far_out, at >= 20, "{printed}");
        if is_far_out {
            assert_eq!((&case["prediction"], &case["decided"]), (&json!("review"), &json!("review")));
            assert!(["margin", "scores", "computed"].iter().all(|name| case.get(name).is_none()), "{case}");
        } else {
            assert_eq!((&case["prediction"], &case["margin"]), (&printed["label"], &printed["margin"]));
            let scores: Vec<&Value> = case["scores"].as_object().unwrap().values().collect();
            assert_eq!(scores, printed["scores"].as_array().unwrap().iter().collect::<Vec<_>>());
        }
    }
    let low = |margin: f64| {
        cases.iter().filter(|case| case["margin"].as_f64().is_some_and(|own| own < margin)).count()
    };
    assert!(low(1.5) > 0);
    let listed = clinic.review(&["list", "--json", "--low-margin", "1.5"]).json();
    assert_eq!(listed.len(), 2 + low(1.5));
    let shown = clinic.review(&["show", "21"]).done();
    assert!(shown.contains("There is no result. The computation said:"), "{shown}");
    assert!(shown.contains("Scores: not shown before a human has decided") && shown.contains(TWO), "{shown}");

    // Decisions, of which the last one counts.
    clinic.decide(1, &["accept"]).done();
    clinic.decide(2, &["override", "--to", another(&cases[1])]).done();
    clinic.decide(3, &["accept"]).done();
    clinic.decide(21, &["accept"]).done();
    clinic.decide(1, &["accept"]).failed("already_decided");
    clinic.decide(3, &["override", "--again", "--to", another(&cases[2])]).done();
    clinic.decide(4, &["override", "--to", "secret"]).failed("unknown_label");
    clinic.review(&["accept", "4", "--by", "A", "--reason", "seen"]).failed("bad_initials");
    let after = clinic.cases();
    assert_eq!(after[2]["decisions"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&after[2]["decided"], &after[2]["decision"]),
        (&json!(another(&cases[2])), &json!("override"))
    );
    assert!(after[20]["margin"].is_number() && after[20]["prediction"] == "review");
    let rates = clinic.review(&["rates", "--json", "--min-cell", "2", "--groups", "sex"]).json();
    let counts = |rate: &Value| {
        ["cases", "accepted", "overridden", "left_to_humans"].map(|name| rate[name].as_u64().unwrap())
    };
    assert_eq!(rates.iter().map(counts).collect::<Vec<_>>(), [[22, 1, 2, 1], [11, 1, 1, 1], [11, 0, 1, 0]]);
    assert!((rates[0]["agreement"]["value"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12);
    assert!(rates[2].get("agreement").is_none() && rates[2]["is_too_small"] == true);
    clinic.review(&["rates", "--groups", "age"]).failed("missing_column");

    fairness_reads_it(&clinic, &after);
    nothing_lies_in_the_clear(&clinic);
    heads_are_told_apart(&clinic);
}

/// An export and the record itself give the same audit, and its figures are those of the cases.
fn fairness_reads_it(clinic: &Clinic, cases: &[Value]) {
    let export = clinic.gateway.path("export.csv");
    let export = export.to_str().unwrap();
    clinic.review(&["export", "--out", export]).done();
    assert_eq!(fs::metadata(export).unwrap().permissions().mode() & 0o777, 0o600);
    clinic.review(&["export", "--out", export]).failed("output_exists");
    let audit = |source: &[&str]| {
        let options = [
            "fairness",
            "--json",
            "--truth",
            "truth",
            "--groups",
            "sex,site",
            "--min-cell",
            "1",
            "--resamples",
            "20",
        ];
        let mut audit = tiresias(&[&options, source].concat()).json().remove(0);
        audit["command"] = Value::Null;
        audit
    };
    let record = ["--record", &clinic.record, "--passphrase-file", &clinic.passphrase];
    for (column, decided, field) in
        [("prediction", &[][..], "prediction"), ("decided", &["--decided"], "decided")]
    {
        let from_export = audit(&[export, "--prediction", column, "--abstain", "review"]);
        assert_eq!(from_export, audit(&[&record, decided].concat()));
        // Each class's true positives in each group, counted here.
        let mut found = 0;
        for view in from_export["views"].as_array().unwrap() {
            let positive = &view["positive"];
            for group in view["comparisons"][0]["groups"].as_array().unwrap() {
                let of = |case: &&Value| {
                    case["about"]["sex"] == group["name"] && case["about"]["truth"] == *positive
                };
                let hits = cases.iter().filter(of).filter(|case| case[field] == *positive).count();
                assert_eq!(group["counts"]["true_positives"], hits, "{group}");
                found += hits;
            }
        }
        assert!(found > 0);
    }
    // Cases whose truth nobody knows are left out and counted.
    let unknown = tiresias(&[&["fairness", "--truth", "outcome", "--groups", "sex"], &record[..]].concat());
    assert!(unknown.err.contains("note[without_truth]: 22 cases"), "{unknown:?}");
    unknown.failed("missing_column");
    tiresias(&[&["fairness", export, "--truth", "truth", "--groups", "sex"], &record[..]].concat())
        .wrong_usage();
    let lines = clinic.review(&["export", "--format", "jsonl"]).json();
    assert_eq!((lines.len(), &lines[0]["record"]["rows"]), (23, &json!(27)));
}

/// No file of the record's folder holds what a patient, a label or a decision is; the export, which is not sealed, holds it all.
fn nothing_lies_in_the_clear(clinic: &Clinic) {
    let texts =
        ["Anna", "glioma", "necrosis", "AMQX", "Zwickau", "truth", "margin", "patients.csv", "AGE-SECRET"];
    let mut files = 0;
    for file in fs::read_dir(clinic.folder()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        files += 1;
        assert!(texts.iter().all(|text| !has(&bytes, text)));
        assert!(has(&bytes, "age-encryption.org/v1"), "the control");
    }
    assert_eq!(files, 1, "no journal is left");
    let export = fs::read(clinic.gateway.path("export.csv")).unwrap();
    assert!(texts[..8].iter().all(|text| has(&export, text)));
}

fn heads_are_told_apart(clinic: &Clinic) {
    let before = clinic.review(&["check"]).json().remove(0);
    assert_eq!((&before["cases"], &before["decisions"]), (&json!(22), &json!(5)));
    let head = before["head"].as_str().unwrap();
    clinic.decide(5, &["accept"]).done();
    let went_on = clinic.review(&["check", "--head", head]).json().remove(0);
    assert_eq!(went_on["goes_on_from_row"], 27);
    clinic.review(&["check", "--head", &"0".repeat(64)]).failed("record_other_head");
    clinic.review(&["check", "--head", "0"]).wrong_usage();
    // The passphrase is asked for, and another one opens nothing.
    let other = clinic.gateway.path("other");
    fs::write(&other, "incorrect\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let with = |more: &[&str]| tiresias(&[&["review", "--record", &clinic.record, "list"], more].concat());
    with(&["--passphrase-file", other.to_str().unwrap()]).failed("wrong_passphrase");
    fs::write(&clinic.passphrase, "correct horse\n").unwrap();
    // A row that is gone at the end leaves no gap, and a kept head shows it.
    let copy = clinic.gateway.path("copy");
    fs::copy(&clinic.record, &copy).unwrap();
    let sqlite = rusqlite::Connection::open(&copy).unwrap();
    sqlite.execute("DELETE FROM rows WHERE seq > 20", []).unwrap();
    drop(sqlite);
    let check = |more: &[&str]| {
        let own =
            ["review", "--record", copy.to_str().unwrap(), "--passphrase-file", &clinic.passphrase, "check"];
        tiresias(&[&own, more].concat())
    };
    assert_eq!(check(&[]).json()[0]["cases"], 20);
    check(&["--head", head]).failed("record_other_head");
}

#[test]
fn what_cannot_be_recorded_is_neither_asked_nor_shown() {
    let clinic = Clinic::start();
    let asked = |clinic: &Clinic| {
        clinic
            .gateway
            .log()
            .lines()
            .filter(|line| line.contains("answered") && line.contains("infer"))
            .count()
    };
    let refused = |record: &Path, code: &str| {
        let own = ["--json", "--record", record.to_str().unwrap(), "--features", &clinic.features];
        tiresias(&common::and(&clinic.gateway.command("infer"), &own)).failed(code);
    };
    let path = |name: &str| clinic.gateway.path(name);
    refused(&path("missing"), "io");
    fs::write(path("text"), "no record\n").unwrap();
    fs::set_permissions(path("text"), fs::Permissions::from_mode(0o600)).unwrap();
    refused(&path("text"), "not_a_record");
    symlink(&clinic.record, path("link")).unwrap();
    refused(&path("link"), "not_a_regular_file");
    fs::copy(&clinic.record, path("open")).unwrap();
    fs::set_permissions(path("open"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(&path("open"), "record_file");
    // A patient of whom nothing is known.
    clinic.tell_about(21);
    let unknown = clinic.infer(&["--about", &clinic.about]);
    assert!(unknown.err.contains("1 inputs have no row in it; nothing was sent"), "{unknown:?}");
    unknown.failed("about");
    clinic.infer(&["--about", clinic.gateway.path("missing").to_str().unwrap()]).failed("io");
    assert_eq!(asked(&clinic), 0, "nothing was sent");

    // The disk is full when the answers are here: 32 KiB more than it has are not written, and no answer is shown.
    let blocks = fs::metadata(&clinic.record).unwrap().len() / 512 + 16;
    let limited = |shell: String| -> Ended {
        let mut sh = Command::new("sh");
        sh.args(["-c", &format!("{shell}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_tiresias")]);
        sh.args(clinic.infer_command(&[])).output().unwrap().into()
    };
    let full = limited(format!("trap '' XFSZ; ulimit -f {blocks}"));
    full.failed("unrecorded");
    assert!(full.err.contains("a result that is not recorded is not shown"), "{full:?}");
    assert!(asked(&clinic) > 0 && clinic.cases().is_empty());
    // The control: with room, the same command prints and records.
    assert_eq!(limited("ulimit -f 100000".to_owned()).json().len(), 22);
    assert_eq!(clinic.cases().len(), 22);
}

#[test]
fn a_record_that_may_not_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (record, passphrase) = (path("record"), path("passphrase"));
    fs::write(&passphrase, "correct horse\n").unwrap();
    let mode = |path: &str, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&passphrase, 0o600);
    tiresias(&["review", "--record", &record, "--passphrase-file", &passphrase, "init"]).done();
    // Its own user's, and not the super-user's, whom no mode stops.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    if is_root {
        let mut probe = Command::new(prefix[0]);
        probe.args(&prefix[1..]).args([env!("CARGO_BIN_EXE_tiresias"), "--version"]);
        if !probe.output().is_ok_and(|output| output.status.success()) {
            println!(
                "SKIPPED: the tests run as the super-user, and setpriv cannot run the program as another one"
            );
            return;
        }
        for name in [folder.path().to_str().unwrap(), &record, &passphrase] {
            std::os::unix::fs::chown(name, Some(65_534), Some(65_534)).unwrap();
        }
    }
    // Nothing listens there, so all that can be refused is refused before it matters.
    let features = path("features.csv");
    fs::write(&features, "1\n").unwrap();
    mode(&features, 0o644);
    let infer = || -> Ended {
        let arguments = [
            "infer",
            "--gateway",
            "https://127.0.0.1:1",
            "--model",
            "m",
            "--record",
            &record,
            "--features",
            &features,
        ];
        let mut command = match is_root {
            true => {
                let mut command = Command::new(prefix[0]);
                command.args(&prefix[1..]).arg(env!("CARGO_BIN_EXE_tiresias")).args(arguments);
                command
            }
            false => command(&arguments),
        };
        command.output().unwrap().into()
    };
    let is_reached = || !infer().err.contains("error[record");
    assert!(is_reached(), "the control: {:?}", infer());
    mode(&record, 0o400);
    infer().failed("record_unwritable");
    mode(&record, 0o600);
    // No journal can be made beside it.
    mode(folder.path().to_str().unwrap(), 0o500);
    infer().failed("record_unwritable");
    mode(folder.path().to_str().unwrap(), 0o700);
    assert!(is_reached());
}

#[test]
fn two_runs_at_once_lose_no_row_and_a_killed_one_none_that_it_showed() {
    let clinic = Clinic::start();
    let both = [(); 2].map(|()| start(&clinic.infer_command(&[])));
    for run in both {
        let ended: Ended = run.wait_with_output().unwrap().into();
        assert_eq!(ended.json().len(), 22);
    }
    let cases = clinic.cases();
    let mut rows: HashMap<u64, u32> = HashMap::new();
    cases.iter().for_each(|case| *rows.entry(case["row"].as_u64().unwrap()).or_default() += 1);
    assert!(rows.len() == 22 && rows.values().all(|times| *times == 2), "{rows:?}");

    // Killed when its first answer is to be read: all of the run are there, because they were before it.
    let mut run = start(&clinic.infer_command(&[]));
    let mut line = String::new();
    BufReader::new(run.stdout.take().unwrap()).read_line(&mut line).unwrap();
    signal(&run, "KILL");
    run.wait().unwrap();
    assert!(line.starts_with("{\"index\":0,"), "{line}");
    assert_eq!(clinic.cases().len(), 66);

    // Killed at some time: all or none.
    let mut finished = 0;
    for at in 0..8 {
        let mut run = start(&clinic.infer_command(&[]));
        thread::sleep(Duration::from_millis(40 * at));
        signal(&run, "KILL");
        finished += usize::from(run.wait().unwrap().success());
    }
    let found = clinic.cases().len();
    assert!(found.is_multiple_of(22) && found >= 66 + 22 * finished, "{found} {finished}");
    assert_eq!(clinic.review(&["check"]).json()[0]["cases"], found);
}

#[test]
fn the_second_half_on_files_records_too() {
    let clinic = Clinic::start();
    let out = clinic.gateway.path("out");
    let out = out.to_str().unwrap();
    let encrypt = ["--out", out, "--features", &clinic.features, "--passphrase-file", &clinic.passphrase];
    tiresias(&common::and(&clinic.gateway.command("encrypt"), &encrypt)).done();
    let length = fs::read_to_string(format!("{out}/header-length")).unwrap();
    let headers = [("inference-header-content-length", length.as_str())];
    let body = fs::read(format!("{out}/body.bin")).unwrap();
    let reply = gateway::http::request("POST", "/v2/models/m/infer", &headers, &body);
    let reply = clinic.gateway.send(&reply).unwrap();
    let answer = clinic.gateway.path("answer.bin");
    fs::write(&answer, reply.body).unwrap();
    let decrypt = |more: &[&str]| {
        let own = ["decrypt", "--json", "--dir", out, "--response", answer.to_str().unwrap()];
        let record = ["--passphrase-file", &clinic.passphrase, "--record", &clinic.record];
        tiresias(&[&own, &record[..], more].concat())
    };
    clinic.tell_about(21);
    decrypt(&["--about", &clinic.about]).failed("about");
    clinic.tell_about(22);
    let printed = decrypt(&["--about", &clinic.about]).json();
    let cases = clinic.cases();
    assert_eq!((printed.len(), cases.len()), (22, 22));
    for (case, printed) in cases.iter().zip(&printed).take(20) {
        assert_eq!((&case["row"], &case["computed"]), (&printed["index"], &printed["label"]));
    }
    assert_eq!(cases[3]["about"]["patient"], "Müller-Anna-3");
    assert_eq!((&cases[21]["source"], &cases[21]["prediction"]), (&json!(clinic.features), &json!("review")));
}
