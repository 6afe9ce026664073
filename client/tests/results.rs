//! Several features files, batches, and results that outlive an interruption.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{
    Ended, and,
    relay::{Act, Backend, Requests},
    through, tiresias, with_features,
};
use gateway::{Gateway, Setup, fixture};
use serde_json::Value;

/// The rows of the fixture, cut into three files.
fn pieces(gateway: &Gateway) -> Vec<String> {
    let text = fs::read_to_string(fixture("features.csv")).unwrap();
    let is_number = |line: &&str| line.split(',').next().unwrap().trim().parse::<f64>().is_ok();
    let rows: Vec<&str> = text.lines().filter(is_number).collect();
    assert_eq!(rows.len(), 20);
    let piece = |(name, rows): (&str, &[&str])| {
        let path = gateway.path(name);
        fs::write(&path, rows.join("\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    [("a.csv", &rows[..7]), ("b.csv", &rows[7..8]), ("c.csv", &rows[8..])].map(piece).to_vec()
}

/// What `infer` prints for the pieces: the fixture's answers with their places.
fn placed(gateway: &Gateway, pieces: &[String]) -> Vec<Value> {
    let places =
        [(0, 7), (1, 1), (2, 12)].into_iter().flat_map(|(file, rows)| (0..rows).map(move |row| (file, row)));
    let expected = gateway.evaluate("m", &fixture("features.csv")).into_iter().zip(places);
    expected
        .map(|(mut line, (file, row))| {
            line["index"] = row.into();
            line["file"] = pieces[file].clone().into();
            line
        })
        .collect()
}

fn read_lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn part(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.part", path.display()))
}

#[test]
fn results_name_the_file_where_there_are_several() {
    let gateway = Setup::model("flooded").start();
    let pieces = pieces(&gateway);
    let names: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let several = [&["--features"], names.as_slice()].concat();
    let expected = placed(&gateway, &pieces);

    let lines = tiresias(&and(&and(&gateway.command("infer"), &["--json"]), &several)).json();
    assert_eq!(lines, expected);
    assert_eq!(lines[8].as_object().unwrap().keys().next().unwrap(), "file");
    let table = tiresias(&and(&gateway.command("infer"), &several)).done();
    let header: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(header, ["│", "file", "row", "diagnosis", "score", "margin", "│"], "{table}");

    // The same through files.
    let out = gateway.path("out");
    let out = out.to_str().unwrap();
    tiresias(&and(&and(&gateway.command("encrypt"), &["--out", out]), &several)).done();
    let length = fs::read_to_string(format!("{out}/header-length")).unwrap();
    let headers = [("inference-header-content-length", length.as_str())];
    let body = fs::read(format!("{out}/body.bin")).unwrap();
    let reply = gateway.send(&gateway::http::request("POST", "/v2/models/m/infer", &headers, &body)).unwrap();
    let answer = gateway.path("answer.bin");
    fs::write(&answer, reply.body).unwrap();
    let decrypt = ["decrypt", "--json", "--dir", out, "--response", answer.to_str().unwrap()];
    assert_eq!(tiresias(&decrypt).json(), expected);

    // A file that does not fit is named.
    let narrow = gateway.path("narrow.csv");
    fs::write(&narrow, "1,2,3\n").unwrap();
    let ended =
        tiresias(&and(&gateway.command("infer"), &["--features", names[0], narrow.to_str().unwrap()]));
    ended.failed("shape_mismatch");
    assert!(ended.err.contains("narrow.csv"), "{}", ended.err);
    tiresias(&and(&gateway.command("infer"), &["--features", names[0], names[0]])).wrong_usage();
}

#[test]
fn a_batch_is_bounded_by_both_sides() {
    let gateway = Setup::model("flooded").settings("[limits]\nbatch = 6\n").start();
    let backend = Backend::of(&gateway);
    let expected = gateway.evaluate("m", &fixture("features.npy"));
    let requests = |more: &[&str]| {
        let backend = backend.clone();
        let relay = Requests::start(&gateway, move |_, _| Act::Forward(backend.clone()));
        let arguments = and(&through(&gateway.command("infer"), &relay.url), &["--json"]);
        assert_eq!(with_features(&and(&arguments, more), &fixture("features.npy")).json(), expected);
        relay.inferences().len()
    };
    assert_eq!(requests(&[]), 4, "as many as the gateway takes");
    assert_eq!(requests(&["--batch", "256"]), 4);
    assert_eq!(requests(&["--batch", "5"]), 4);
    assert_eq!(requests(&["--batch", "3"]), 7);
    assert_eq!(requests(&["--batch", "1"]), 20);
    for batch in ["0", "257", "some"] {
        with_features(&and(&gateway.command("infer"), &["--batch", batch]), &fixture("features.npy"))
            .wrong_usage();
    }
}

/// A relay that breaks the connection at the request with this number.
fn broken_at(gateway: &Gateway, number: usize) -> Requests {
    let backend = Backend::of(gateway);
    Requests::start(gateway, move |seen, before| match seen.target.ends_with("/infer") && before == number {
        true => Act::Cut,
        false => Act::Forward(backend.clone()),
    })
}

fn infer_to(gateway: &Gateway, url: &str, out: &Path, features: &[&str]) -> Ended {
    let arguments =
        and(&through(&gateway.command("infer"), url), &["--batch", "3", "--out", out.to_str().unwrap()]);
    tiresias(&and(&arguments, &[&["--features"], features].concat()))
}

#[test]
fn results_of_a_broken_run_are_completed() {
    let gateway = Setup::model("flooded").start();
    let pieces = pieces(&gateway);
    let features: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let out = gateway.path("results.jsonl");

    let relay = broken_at(&gateway, 3);
    let ended = infer_to(&gateway, &relay.url, &out, &features);
    ended.failed("transport");
    assert!(ended.err.contains("warning[unfinished]: 9 of 20 rows are in "), "{}", ended.err);
    assert!(!out.exists());
    let unfinished = read_lines(&part(&out));
    assert_eq!(unfinished[1..], placed(&gateway, &pieces)[..9]);
    assert_eq!(
        (&unfinished[0]["format"], &unfinished[0]["model"]),
        (&"tiresias-results/v1".into(), &"m".into())
    );
    let input = &unfinished[0]["inputs"][1];
    assert_eq!((&input["name"], input["sha256"].as_str().unwrap().len()), (&pieces[1].clone().into(), 64));

    // Another break; what the first run had is kept. Then a line that was torn when the power failed.
    let relay = broken_at(&gateway, 1);
    infer_to(&gateway, &relay.url, &out, &features).failed("transport");
    assert_eq!(relay.inferences().len(), 2);
    let mut torn = fs::read(part(&out)).unwrap();
    assert_eq!(read_lines(&part(&out)).len(), 13);
    torn.truncate(torn.len() - 20);
    fs::write(part(&out), torn).unwrap();

    let relay = broken_at(&gateway, usize::MAX);
    let text = infer_to(&gateway, &relay.url, &out, &features).done();
    assert_eq!(text, format!("20 diagnoses written to {}\n", out.display()));
    assert_eq!(relay.inferences().len(), 3, "the 9 rows that were missing");
    assert_eq!(read_lines(&out), placed(&gateway, &pieces));
    assert!(!part(&out).exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let before = fs::read(&out).unwrap();
    infer_to(&gateway, &gateway.url, &out, &features).failed("output_exists");
    assert!(fs::read(&out).unwrap() == before);
}

#[test]
fn unfinished_results_that_do_not_fit_are_refused() {
    let gateway = Setup::model("flooded").import("matmul_only.onnx", "other", &[]).start();
    let pieces = pieces(&gateway);
    let features: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let out = gateway.path("results.jsonl");
    infer_to(&gateway, &broken_at(&gateway, 2).url, &out, &features).failed("transport");
    let kept = fs::read(part(&out)).unwrap();
    let refused = |features: &[&str]| {
        infer_to(&gateway, &gateway.url, &out, features).failed("resume");
        assert!(!out.exists());
    };
    let unchanged = || assert!(fs::read(part(&out)).unwrap() == kept, "it is left as it was");

    let good = fs::read(&pieces[1]).unwrap();
    fs::write(&pieces[1], [good.as_slice(), b"\n"].concat()).unwrap();
    refused(&features);
    fs::write(&pieces[1], good).unwrap();
    refused(&features[..2]);
    refused(&[features[1], features[0], features[2]]);
    unchanged();
    let mut other = and(&gateway.command("infer"), &["--out", out.to_str().unwrap(), "--features"]);
    let model = other.iter().position(|argument| argument == "--model").unwrap();
    other[model + 1] = "other".into();
    tiresias(&and(&other, &features)).failed("resume");
    unchanged();

    let text = String::from_utf8(kept.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (case, damaged) in [
        ("no header", lines[1..].join("\n") + "\n"),
        ("a torn header", lines[0][..30].to_owned()),
        ("another format", text.replacen("results/v1", "results/v9", 1)),
        ("a torn line in the middle", text.replacen("\"scores_q\"", "", 1)),
        ("a row twice", format!("{text}{}\n", lines[2])),
        ("a row of no file", text.replacen("a.csv\",\"index\"", "x.csv\",\"index\"", 1)),
        ("a row beyond the file", text.replacen("\"index\":0", "\"index\":70", 1)),
    ] {
        assert_ne!(damaged, text, "{case}");
        fs::write(part(&out), &damaged).unwrap();
        refused(&features);
        assert_eq!(fs::read_to_string(part(&out)).unwrap(), damaged, "{case}");
    }
    #[cfg(unix)]
    {
        let elsewhere = gateway.path("elsewhere");
        fs::rename(part(&out), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, part(&out)).unwrap();
        infer_to(&gateway, &gateway.url, &out, &features).failed("not_a_regular_file");
        fs::remove_file(part(&out)).unwrap();
        std::os::unix::fs::symlink(gateway.path("absent"), &out).unwrap();
        infer_to(&gateway, &gateway.url, &out, &features).failed("output_exists");
    }
    let died = gateway.path("died.jsonl");
    fs::write(part(&died), "").unwrap();
    infer_to(&gateway, &gateway.url, &died, &features).done();
    assert_eq!(read_lines(&died), placed(&gateway, &pieces));
    let absent = gateway.path("absent/results.jsonl");
    infer_to(&gateway, &gateway.url, &absent, &features).failed("io");
    let json = and(&gateway.command("infer"), &["--json", "--out", "x", "--features", features[0]]);
    tiresias(&json).wrong_usage();
}

/// A run whose fourth request waits at the relay until the test lets it go.
#[cfg(unix)]
fn held(gateway: &Gateway, out: &Path, signals: usize) -> (Ended, usize) {
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        sync::{Mutex, mpsc},
    };

    let (arrived, arrivals) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (arrived, released) = (Mutex::new(arrived), Mutex::new(released));
    let backend = Backend::of(gateway);
    let relay = Requests::start(gateway, move |seen, before| {
        if seen.target.ends_with("/infer") && before == 3 {
            arrived.lock().unwrap().send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        }
        Act::Forward(backend.clone())
    });
    let arguments = and(&through(&gateway.command("infer"), &relay.url), &["--batch", "3", "--out"]);
    let features = fixture("features.npy");
    let mut child =
        common::start(&and(&arguments, &[out.to_str().unwrap(), "--features", features.to_str().unwrap()]));
    arrivals.recv_timeout(gateway::HANG).unwrap();
    common::signal(&child, "INT");
    // The answer may go on its way when the process says that it has heard the signal.
    let mut heard = String::new();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    errors.read_line(&mut heard).unwrap();
    assert!(heard.starts_with("tiresias: warning[interrupted]"), "{heard}");
    if signals > 1 {
        common::signal(&child, "TERM");
    } else {
        release.send(()).unwrap();
    }
    let mut ended: Ended = child.wait_with_output().unwrap().into();
    errors.read_to_string(&mut ended.err).unwrap();
    drop(release);
    (ended, relay.inferences().len())
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_keeps_what_was_answered() {
    let gateway = Setup::model("flooded").start();
    let expected = gateway.evaluate("m", &fixture("features.npy"));
    for (signals, kept) in [(1, 12), (2, 9)] {
        let out = gateway.path(&format!("results-{signals}.jsonl"));
        let (ended, requests) = held(&gateway, &out, signals);
        ended.failed("interrupted");
        assert_eq!(requests, 4, "nothing was asked behind the signal");
        assert_eq!(read_lines(&part(&out))[1..], expected[..kept], "{signals} signals");

        let features = fixture("features.npy");
        infer_to(&gateway, &gateway.url, &out, &[features.to_str().unwrap()]).done();
        assert_eq!(read_lines(&out), expected);
    }
}
