//! Whole cohorts by a real gateway, over real TLS.
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
    through, tiresias,
};
use gateway::{Gateway, Setup, fixture, gateway_command, http};
use serde_json::{Value, json};

fn setup(privacy: &str) -> Setup {
    Setup::empty().import("gemm.onnx", "m", &["--privacy", privacy, "--cohort"])
}

/// So many patients: the rows of the fixture, over and over.
fn patients(gateway: &Gateway, count: usize) -> PathBuf {
    let rows: Vec<String> = gateway::rows()
        .iter()
        .map(|row| row.iter().map(f64::to_string).collect::<Vec<_>>().join(","))
        .collect();
    let text: String = rows.iter().cycle().take(count).map(|row| format!("{row}\n")).collect();
    let path = gateway.path("patients.csv");
    fs::write(&path, text).unwrap();
    path
}

fn cohort(gateway: &Gateway, url: &str, features: &Path, out: &Path, more: &[&str]) -> Ended {
    let files = ["--features", features.to_str().unwrap(), "--out", out.to_str().unwrap()];
    tiresias(&and(&and(&through(&gateway.command("cohort"), url), &files), more))
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Each patient's line is the one of the clear twin for their row.
fn agree(gateway: &Gateway, out: &Path, count: usize) {
    let expected = gateway.evaluate("m", &fixture("features.npy"));
    let found = lines(out);
    assert_eq!(found.len(), count);
    for ((index, found), expected) in found.iter().enumerate().zip(expected.iter().cycle()) {
        assert_eq!(found["index"], index);
        for field in ["label", "scores_q", "scores", "margin"] {
            assert_eq!(found[field], expected[field], "patient {index}");
        }
    }
}

fn part(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.part", path.display()))
}

#[test]
fn every_patient_of_a_cohort_has_the_clear_twins_scores_and_receipts_verify_and_replay() {
    for privacy in ["flooded", "open-weights"] {
        let gateway = setup(privacy).with_data().start();
        let (features, out) = (patients(&gateway, 5000), gateway.path("out.jsonl"));
        let receipts = gateway.path("receipts");
        let evidence = [
            "--receipts",
            receipts.to_str().unwrap(),
            "--log-key",
            gateway.log_key.as_deref().unwrap(),
            "--json",
        ];
        let summary = cohort(&gateway, &gateway.url, &features, &out, &evidence).json().remove(0);
        assert_eq!((&summary["patients"], &summary["asked_now"]), (&json!(5000), &json!(5000)));
        agree(&gateway, &out, 5000);
        assert!(!part(&out).exists());

        let table = gateway.path("out.csv");
        cohort(&gateway, &gateway.url, &features, &table, &["--block", "777"]).done();
        let text = fs::read_to_string(&table).unwrap();
        let header = "index,label,margin,far_out,score ";
        assert!(text.starts_with(header) && text.lines().count() == 5001, "{}", &text[..200]);

        let entries = fs::read_dir(&receipts).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|ending| ending == "request")).collect();
        assert_eq!(kept.len(), 3, "bodies and a receipt for each block");
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        for request in kept {
            let (data, repo) = (text(gateway.path("data")), text(gateway.path("models")));
            let (response, request) = (text(request.with_extension("response")), text(request));
            let files =
                ["--data", &data, "--repo", &repo, "--request", &request, "--response", &response, "--json"];
            let replayed = gateway_command(&[&["replay"], files.as_slice()].concat());
            let replayed: Value = serde_json::from_str(&replayed).unwrap();
            assert_eq!(replayed["identical"], true);
        }
    }
}

#[test]
fn a_cohort_that_breaks_off_goes_on_where_it_ended() {
    let gateway = setup("flooded").start();
    let (features, out) = (patients(&gateway, 1000), gateway.path("out.jsonl"));
    let backend = Backend::of(&gateway);
    let broken_at = |number: usize| {
        let backend = backend.clone();
        Requests::start(&gateway, move |seen, before| {
            match seen.target.ends_with("/infer") && before == number {
                true => Act::Cut,
                false => Act::Forward(backend.clone()),
            }
        })
    };
    let block = ["--block", "200"];
    let ended = cohort(&gateway, &broken_at(2).url, &features, &out, &block);
    ended.failed("transport");
    assert!(ended.err.contains("warning[unfinished]: the answers of 400 patients are in "), "{}", ended.err);
    assert!(!out.exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(part(&out)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // Another command's features, and another model's, are refused, and what is there stays.
    let kept = fs::read(part(&out)).unwrap();
    let other = gateway.path("other.csv");
    fs::write(&other, fs::read_to_string(&features).unwrap() + "1,2,3,4,5,6,7,8\n").unwrap();
    cohort(&gateway, &gateway.url, &other, &out, &block).failed("resume");
    assert!(fs::read(part(&out)).unwrap() == kept);

    // Nor is a file taken that others can reach.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open_to = |mode| fs::set_permissions(part(&out), fs::Permissions::from_mode(mode)).unwrap();
        open_to(0o644);
        cohort(&gateway, &gateway.url, &features, &out, &block).failed("resume");
        open_to(0o600);
    }

    // A record that a crash tore, first by its length, then by its content: it is cut off.
    for torn in [kept[..kept.len() - 7].to_vec(), [&kept[..kept.len() - 700], &[0; 700]].concat()] {
        fs::write(part(&out), torn).unwrap();
        let ended = cohort(&gateway, &broken_at(0).url, &features, &out, &block);
        assert!(ended.err.contains("the answers of 200 patients are in "), "{}", ended.err);
    }
    // Blocks become no larger again.
    let relay = broken_at(usize::MAX);
    let summary = cohort(&gateway, &relay.url, &features, &out, &["--json"]).json().remove(0);
    assert_eq!((&summary["patients"], &summary["asked_now"]), (&json!(1000), &json!(800)));
    assert_eq!(relay.inferences().len(), 4, "blocks of 200, as the run began");
    agree(&gateway, &out, 1000);

    let whole = fs::read(&out).unwrap();
    cohort(&gateway, &gateway.url, &features, &out, &[]).failed("output_exists");
    assert!(fs::read(&out).unwrap() == whole);
    for name in ["out.txt", "out"] {
        cohort(&gateway, &gateway.url, &features, &gateway.path(name), &[]).wrong_usage();
    }
}

#[test]
fn cohorts_need_consent_and_are_charged_by_the_patient() {
    let gateway = setup("flooded")
        .import("gemm.onnx", "private", &[])
        .settings("[budget]\nvectors = 30\n")
        .with_data()
        .start();
    let features = patients(&gateway, 20);
    let out = gateway.path("one.jsonl");
    cohort(&gateway, &gateway.url, &features, &out, &[]).done();
    agree(&gateway, &out, 20);
    cohort(&gateway, &gateway.url, &features, &gateway.path("two.jsonl"), &[]).failed("budget_spent");
    let ten = patients(&gateway, 10);
    cohort(&gateway, &gateway.url, &ten, &gateway.path("three.jsonl"), &[]).done();

    let mut arguments = gateway.command("cohort");
    let at = arguments.iter().position(|argument| argument == "--model").unwrap();
    "private".clone_into(&mut arguments[at + 1]);
    let out = gateway.path("four.jsonl");
    let files = ["--features", features.to_str().unwrap(), "--out", out.to_str().unwrap()];
    tiresias(&and(&arguments, &files)).failed("no_cohorts");

    // Whoever asks all the same is told so.
    let ask = |model: &str, input: &Value, binary: &[u8]| {
        let header = json!({"inputs": [input]}).to_string();
        let length = header.len().to_string();
        let body = [header.as_bytes(), binary].concat();
        let headers = [("inference-header-content-length", length.as_str())];
        let target = format!("/v2/models/{model}/infer");
        let reply = gateway.send(&http::request("POST", &target, &headers, &body)).unwrap();
        serde_json::from_slice::<Value>(&reply.body).unwrap()
    };
    let block = |shape: Value, size: usize| json!({"name": "cohort", "datatype": "BYTES", "shape": shape, "parameters": {"binary_data_size": size}});
    let element = [&200_u32.to_le_bytes()[..], &[1; 200]].concat();
    for (model, input, binary, code, part) in [
        ("private", block(json!([1]), 204), element.clone(), "wrong_tensor", "scores no cohorts"),
        ("m", block(json!([2]), 204), element.clone(), "wrong_tensor", "one element"),
        ("m", block(json!([1]), 203), element.clone(), "wrong_tensor", "one element"),
        ("m", block(json!([1]), 204), element.clone(), "malformed_ciphertext", "1 to 2048 patients"),
        ("m", block(json!([1]), 205), [element.as_slice(), &[0]].concat(), "wrong_tensor", "one element"),
        (
            "m",
            json!({"name": "cohort", "datatype": "BYTES", "shape": [1], "data": ["AAAA"]}),
            vec![],
            "wrong_tensor",
            "one element",
        ),
    ] {
        let answer = ask(model, &input, &binary);
        assert_eq!(answer["code"], code, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(part), "{answer}");
    }
}
