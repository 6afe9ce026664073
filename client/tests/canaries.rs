//! Canaries and secret combinations against gateways that are honest and gateways that are not, between real processes.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../server/tests/common/cheat.rs"]
mod cheat;
mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cheat::{StoredWeights, copy_repository, orthogonal};
use common::{
    Ended, and,
    frames::{rearrange, request_elements},
    relay::{Act, Backend, Requests, Seen},
    through, tiresias, with_features,
};
use gateway::{Gateway, Setup, fixture, program, rows};
use serde_json::Value;
use tiresias_client::Model;
use tiresias_keys::Digest;

/// Features and classes of the fixture's heads.
const SHAPE: (usize, usize) = (8, 3);

/// A gateway of model `m`, and a clinic with canaries whose answers somebody computed in the clear.
struct Clinic {
    gateway: Gateway,
    canaries: PathBuf,
    /// The integer features of the canaries.
    known: Vec<Vec<i64>>,
}

impl Clinic {
    /// The canaries are the first rows of the fixture but moved: no patient's.
    fn start(setup: Setup, canaries: usize) -> Self {
        let gateway = setup.start();
        let moved = |row: &Vec<f64>| row.iter().map(|value| 0.8 * value + 0.05).collect::<Vec<f64>>();
        let features: Vec<Vec<f64>> = rows().iter().take(canaries).map(moved).collect();
        let line = |row: &Vec<f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let csv = gateway.path("known.csv");
        fs::write(&csv, features.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
        let card = gateway.get("/v2/models/m/config").body;
        fs::write(gateway.path("card.json"), &card).unwrap();
        let answers = gateway.evaluate("m", &csv).iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        fs::write(gateway.path("answers.jsonl"), answers).unwrap();
        let model = Model::from_card(card).unwrap();
        let quantized = features.iter().map(|row| model.card().quantizer().quantize(row).unwrap().values);
        let clinic = Self { canaries: gateway.path("canaries.jsonl"), known: quantized.collect(), gateway };
        clinic.make("canaries.jsonl", &[]).done();
        clinic
    }

    fn path(&self, name: &str) -> String {
        self.gateway.path(name).to_str().unwrap().to_owned()
    }

    /// Makes a canaries file of the answers in the clear.
    fn make(&self, out: &str, more: &[&str]) -> Ended {
        let [card, answers, features] =
            ["card.json", "answers.jsonl", "known.csv"].map(|name| self.path(name));
        let out = self.path(out);
        let arguments = ["--card", &card, "--answers", &answers, "--features", &features, "--out", &out];
        tiresias(&[&["canaries", "make"], arguments.as_slice(), more].concat())
    }

    fn infer(&self, url: &str, more: &[&str]) -> Ended {
        let canaries = ["--canaries", self.canaries.to_str().unwrap()];
        let arguments = and(&through(&self.gateway.command("infer"), url), &canaries);
        with_features(&and(&arguments, more), &fixture("features.npy"))
    }

    /// What the genuine model says of the patients.
    fn expected(&self) -> Vec<Value> {
        self.gateway.evaluate("m", &fixture("features.npy"))
    }

    fn header(&self) -> Value {
        let text = fs::read_to_string(&self.canaries).unwrap();
        serde_json::from_str(text.lines().next().unwrap()).unwrap()
    }

    /// A gateway of its own with the same card, whose weights were changed.
    fn cheat(&self, change: impl FnOnce(&mut [i8])) -> Gateway {
        let setup = Setup::empty();
        copy_repository(&self.gateway.path("models"), &setup.path("models"));
        let stored = StoredWeights::of(&setup.path("models"), "m", SHAPE.0 * SHAPE.1);
        let mut weights = stored.values();
        change(&mut weights);
        stored.store(&weights);
        setup.with_data().start()
    }

    /// A cheat whose change of the first class's weights shows in no canary.
    fn orthogonal_cheat(&self) -> Gateway {
        self.cheat(|weights| {
            let class = &mut weights[..SHAPE.0];
            let change = orthogonal(&self.known, class, 127).unwrap();
            class.iter_mut().zip(change).for_each(|(weight, step)| *weight += step as i8);
        })
    }
}

/// Lets one gateway answer all requests.
fn all_to(clinic: &Clinic, gateway: &Gateway) -> Requests {
    let backend = Backend::of(gateway);
    Requests::start(&clinic.gateway, move |_, _| Act::Forward(backend.clone()))
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The evidence of the only alarm.
fn evidence(directory: &Path) -> Value {
    let files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { unreachable!("one alarm: {files:?}") };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn an_honest_gateway_passes_and_nothing_of_canaries_is_seen() {
    let clinic = Clinic::start(Setup::model("flooded"), 7);
    assert_eq!(clinic.header()["source"], "evaluate");
    let relay = all_to(&clinic, &clinic.gateway);
    let plain = through(&clinic.gateway.command("infer"), &relay.url);
    let plain = with_features(&and(&plain, &["--json"]), &fixture("features.npy"));
    let ended = clinic.infer(&relay.url, &["--json"]);
    let note = "tiresias: note[canaries]: all answered as they must be: canaries 1, secret combinations 2\n";
    assert_eq!(ended.err, format!("{}{note}", plain.err), "no warning is about a canary");
    assert_eq!(lines(&ended), clinic.expected());
    assert_eq!(lines(&ended), lines(&plain));

    // 20 patients and 5 others, in requests of the usual size, of elements of one size.
    let requests: Vec<Seen> = relay.inferences();
    let sizes: Vec<usize> = requests.iter().map(|seen| request_elements(seen).len()).collect();
    assert_eq!(sizes, [16, 4, 16, 9]);
    let lengths: BTreeSet<usize> = requests.iter().flat_map(request_elements).map(<[u8]>::len).collect();
    assert_eq!(lengths.len(), 1);
    assert!(!clinic.gateway.path("canaries.jsonl.evidence").exists());

    // The first run learned the biases; the answer to a vector of zeros is what they are.
    let kept: Vec<i64> = serde_json::from_value(clinic.header()["intercepts_q"].clone()).unwrap();
    let model = Model::from_card(fs::read(clinic.path("card.json")).unwrap()).unwrap();
    let zero =
        (0..8).map(|at| model.card().quantizer().offset_of(at).to_string()).collect::<Vec<_>>().join(",");
    fs::write(clinic.path("zero.csv"), zero).unwrap();
    let zero = clinic.gateway.evaluate("m", &clinic.gateway.path("zero.csv"));
    assert_eq!(serde_json::to_value(kept).unwrap(), zero[0]["scores_q"]);
    let again = clinic.infer(&clinic.gateway.url, &["--canary-rate", "3", "--batch", "7"]);
    assert!(again.err.contains("canaries 30, secret combinations 15"), "{again:?}");
    again.done();

    // The gateway's own word for answers is the same word, while it is honest.
    let arguments = clinic.gateway.command("make");
    let arguments = [&["canaries".to_owned()], arguments.as_slice()].concat();
    let (features, out) = (clinic.path("known.csv"), clinic.path("asked.jsonl"));
    tiresias(&and(&arguments, &["--features", &features, "--out", &out])).done();
    let canaries = |name: &str| {
        let text = fs::read_to_string(clinic.path(name)).unwrap();
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(canaries("asked.jsonl"), canaries("canaries.jsonl"));
    assert!(fs::read_to_string(&out).unwrap().contains("\"source\":\"gateway\""));
}

#[test]
fn other_weights_under_the_same_card_raise_an_alarm_with_evidence() {
    let clinic = Clinic::start(Setup::model("flooded"), 7);
    let cheat = clinic.cheat(|weights| weights.reverse());
    let relay = all_to(&clinic, &cheat);
    let kept = clinic.gateway.path("kept");
    let ended =
        clinic.infer(&relay.url, &["--json", "--canary-rate", "0.5", "--evidence", kept.to_str().unwrap()]);
    ended.failed_after_output("canary_alarm");
    assert!(ended.err.contains("6 of 6 canaries have another answer"), "{}", ended.err);
    assert!(!ended.err.contains("combinations"), "the other weights are linear too: {}", ended.err);
    let printed = lines(&ended);
    assert!(printed.len() == 20 && printed.iter().all(|line| line["canary_alarm"] == true));

    // The evidence names vectors by digests that the requests have.
    let evidence = evidence(&kept);
    assert_eq!(evidence["format"], "tiresias-canary-alarm/v1");
    assert_eq!(evidence["wrong_canaries"].as_array().unwrap().len(), 6);
    let requests = relay.inferences();
    for wrong in evidence["wrong_canaries"].as_array().unwrap() {
        let (request, item) = (wrong["request"].as_u64().unwrap(), wrong["item"].as_u64().unwrap());
        let element = request_elements(&requests[request as usize])[item as usize];
        let digest = Digest::of(&element[..element.len() - 33]).to_string();
        assert_eq!(wrong["request_digest"], digest);
        let named = &evidence["requests"].as_array().unwrap();
        let named = named.iter().find(|named| named["request"] == request).unwrap();
        assert_eq!(named["request_digests"][item as usize], digest);
        assert_eq!(named["response_digests"][item as usize], wrong["response_digest"]);
        assert_ne!(wrong["expected"]["rows_q"], wrong["got"]["scores_q"]);
        let text = fs::read_to_string(&clinic.canaries).unwrap();
        assert!(text.contains(&wrong["expected"]["rows_q"].to_string()));
        let words = ended.err.split("the evidence is in").next().unwrap();
        assert!(!words.contains(&wrong["got"]["scores_q"][0].to_string()), "no value in a message");
    }
    assert_eq!(clinic.header()["intercepts_q"], Value::Null, "nothing is learned from such a run");

    // A table says it too. Results of such a run are not taken for results.
    let table = clinic.infer(&relay.url, &[]);
    table.failed_after_output("canary_alarm");
    assert_eq!(table.out.matches("(review: canary alarm)").count(), 20, "{}", table.out);
    let out = clinic.gateway.path("results.jsonl");
    clinic.infer(&relay.url, &["--out", out.to_str().unwrap()]).failed("canary_alarm");
    assert!(!out.exists() && gateway_part(&out).exists());
    clinic.infer(&clinic.gateway.url, &["--out", out.to_str().unwrap()]).done();
    let text = fs::read_to_string(&out).unwrap();
    let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results, clinic.expected());
}

fn gateway_part(out: &Path) -> PathBuf {
    PathBuf::from(format!("{}.part", out.display()))
}

#[test]
fn weights_orthogonal_to_the_canaries_pass_unless_they_come_and_go() {
    let clinic = Clinic::start(Setup::model("flooded"), 2);
    let cheat = clinic.orthogonal_cheat();
    // One consistent head that answers every canary rightly: this is what replay is for.
    let passed = clinic.infer(&all_to(&clinic, &cheat).url, &["--json", "--canary-rate", "1"]);
    let wrong = lines(&passed).iter().zip(clinic.expected()).filter(|(found, right)| *found != right).count();
    passed.done();
    assert!(wrong >= 15, "{wrong} of 20 patients have wrong scores, and no canary sees it");

    // For every second vector alone: each combination is of one kind once in four times, all twenty once in 2^40.
    let (good, bad) = (Backend::of(&clinic.gateway), Backend::of(&cheat));
    let relay = Requests::start(&clinic.gateway, move |seen, before| {
        let is_cheated = seen.target.ends_with("/infer") && before % 2 == 1;
        Act::Forward(if is_cheated { bad.clone() } else { good.clone() })
    });
    let caught = clinic.infer(&relay.url, &["--canary-rate", "4", "--batch", "1"]);
    caught.failed_after_output("canary_alarm");
    assert!(caught.err.contains(" of 20 secret combinations are none"), "{}", caught.err);
    assert!(!caught.err.contains("canaries have"), "{}", caught.err);
    let evidence = evidence(&clinic.gateway.path("canaries.jsonl.evidence"));
    let combinations = evidence["all_combinations"].as_array().unwrap();
    assert_eq!(combinations.len(), 20);
    for combination in combinations {
        let score = |part: &str| combination[part]["got"]["scores_q"][0].as_i64().unwrap();
        assert_eq!(combination["intercepts_q"][0], score("x") + score("c") - score("x_plus_c"));
        assert!(combination["x"]["features"].is_null() && combination["c"]["features"].is_array());
    }
    assert!(combinations.iter().any(|combination| combination["holds"] == false));
}

#[test]
fn what_no_canary_sees_is_found_by_replay() {
    let clinic = Clinic::start(Setup::model("flooded"), 2);
    let (cheat, kept) = (clinic.orthogonal_cheat(), clinic.path("kept"));
    let more = ["--receipts", &kept, "--log-key", cheat.log_key.as_deref().unwrap()];
    clinic.infer(&all_to(&clinic, &cheat).url, &more).done();
    let mut found = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path());
    let request = found.find(|path| path.extension().is_some_and(|end| end == "request")).unwrap();
    let replay = |models: PathBuf| {
        let (data, response) = (cheat.path("data"), request.with_extension("response"));
        let file = |path: &Path| path.to_str().unwrap().to_owned();
        let [data, models, sent, came] = [&data, &models, &request, &response].map(|path| file(path));
        let files = ["--data", &data, "--repo", &models, "--request", &sent, "--response", &came];
        Command::new(program()).arg("replay").args(files).output().unwrap()
    };
    assert!(replay(cheat.path("models")).status.success(), "it is what was served");
    let words = String::from_utf8(replay(clinic.gateway.path("models")).stderr).unwrap();
    assert!(words.contains("error[commitment_mismatch]: ") && words.contains("were changed"), "{words}");
}

#[test]
fn answers_that_are_swapped_between_patients_are_caught() {
    let clinic = Clinic::start(Setup::model("flooded"), 7);
    let backend = Backend::of(&clinic.gateway);
    let relay = Requests::start(&clinic.gateway, move |seen, _| match seen.target.ends_with("/infer") {
        true => Act::Change(backend.clone(), |seen, reply| rearrange(seen, reply, |at, of| (at + 1) % of)),
        false => Act::Forward(backend.clone()),
    });
    let ended = clinic.infer(&relay.url, &["--canary-rate", "1"]);
    ended.failed_after_output("canary_alarm");
    assert!(ended.err.contains("10 of 10 canaries"), "{}", ended.err);
    assert!(ended.err.contains("5 of 5 secret combinations"), "{}", ended.err);
}

#[test]
fn contributions_of_groups_are_looked_at_too() {
    let setup = Setup::empty();
    let groups = setup.path("groups.txt");
    fs::write(&groups, "size\nshape\nsize\ntexture\nshape\nsize\ntexture\nsize\n").unwrap();
    let setup = setup.import("gemm.onnx", "m", &["--explain-groups", groups.to_str().unwrap()]);
    let clinic = Clinic::start(setup, 4);
    let ended = clinic.infer(&clinic.gateway.url, &["--json", "--canary-rate", "1"]);
    assert_eq!(lines(&ended), clinic.expected());
    ended.done();
    let kept: Vec<i64> = serde_json::from_value(clinic.header()["intercepts_q"].clone()).unwrap();
    assert_eq!(kept.len(), 12, "a score and three groups for each of three classes");
    assert!(kept.iter().enumerate().all(|(at, intercept)| at % 4 == 0 || *intercept == 0));
}

#[cfg(unix)]
#[test]
fn a_label_for_all_is_caught_by_canaries_of_several() {
    let setup = Setup::empty().import("gemm.onnx", "m", &["--policy", "label", "--bits", "4"]).with_data();
    let clinic = Clinic::start(setup, 5);
    let (key, features) = (clinic.path("clinic.key"), clinic.path("some.csv"));
    let create = ["--unencrypted-key-file", "--key-file", &key];
    tiresias(&and(&clinic.gateway.command("enroll"), &create)).done();
    let text = fs::read_to_string(fixture("features.csv")).unwrap();
    fs::write(&features, text.lines().take(4).collect::<Vec<_>>().join("\n")).unwrap();
    let infer = |url: &str| {
        let canaries = ["--canaries", clinic.canaries.to_str().unwrap(), "--canary-rate", "1.5"];
        let more = ["--key-file", &key, "--json", "--timeout", "600", "--features", &features];
        tiresias(&and(&and(&through(&clinic.gateway.command("infer"), url), &canaries), &more))
    };
    let honest = infer(&clinic.gateway.url);
    assert!(honest.err.contains("canaries 5, secret combinations 0"), "{honest:?}");
    assert_eq!(honest.json(), clinic.gateway.evaluate("m", Path::new(&features)));

    // All five canaries are asked, and they are of several classes: no one label is right for all.
    let known = fs::read_to_string(&clinic.canaries).unwrap();
    let classes: BTreeSet<String> = (known.lines().skip(1))
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["expected"]["class"].to_string())
        .collect();
    assert!(classes.len() > 1, "{classes:?}");
    let backend = Backend::of(&clinic.gateway);
    let relay = Requests::start(&clinic.gateway, move |seen, _| match seen.target.ends_with("/infer") {
        true => Act::Change(backend.clone(), |seen, reply| rearrange(seen, reply, |_, _| 0)),
        false => Act::Forward(backend.clone()),
    });
    infer(&relay.url).failed_after_output("canary_alarm");
}

#[test]
fn files_and_options_that_do_not_fit_are_refused() {
    let clinic = Clinic::start(Setup::model("flooded").import("matmul_only.onnx", "other", &[]), 3);
    let infer = |file: &str, model: &str| {
        let mut arguments = clinic.gateway.command("infer");
        *arguments.last_mut().unwrap() = model.to_owned();
        with_features(&and(&arguments, &["--canaries", &clinic.path(file)]), &fixture("features.npy"))
    };
    let text = fs::read_to_string(&clinic.canaries).unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        fs::write(clinic.path(name), text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(clinic.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let _ = mode;
    };
    infer("canaries.jsonl", "other").failed("canaries");
    #[cfg(unix)]
    {
        write("shared", &text, 0o640);
        infer("shared", "m").failed("canaries");
        std::os::unix::fs::symlink(&clinic.canaries, clinic.path("link")).unwrap();
        infer("link", "m").failed("not_a_regular_file");
    }
    for damaged in [
        text.lines().next().unwrap().to_owned(),
        String::new(),
        text[..text.len() - 9].to_owned(),
        text.replacen("canaries/v1", "canaries/v9", 1),
        text.replacen("\"rows_q\":[", "\"rows_q\":[1,", 1),
        text.replacen("\"rows_q\"", "\"class\"", 1),
        text.replacen("\"features\":[", "\"features\":[1.0,", 1),
        text.replacen("\"source\"", "\"intercepts_q\":[1],\"source\"", 1),
    ] {
        write("damaged", &damaged, 0o600);
        infer("damaged", "m").failed("canaries");
    }
    clinic.make("canaries.jsonl", &[]).failed("output_exists");
    // Answers of other rows.
    let answers = fs::read_to_string(clinic.path("answers.jsonl")).unwrap();
    for wrong in [answers.lines().skip(1).collect::<Vec<_>>().join("\n"), "{}".to_owned(), "x".to_owned()] {
        fs::write(clinic.path("answers.jsonl"), wrong).unwrap();
        clinic.make("new.jsonl", &[]).failed("canaries");
    }
    for options in [["--canary-rate", "0"], ["--canary-rate", "11"], ["--canary-rate", "x"]] {
        clinic.infer(&clinic.gateway.url, &options).wrong_usage();
    }
    let plain = clinic.gateway.command("infer");
    with_features(&and(&plain, &["--canary-rate", "0.1"]), &fixture("features.npy")).wrong_usage();
    clinic.make("new.jsonl", &["--model", "m"]).wrong_usage();
    tiresias(&["canaries", "make", "--card", &clinic.path("card.json"), "--features", "f", "--out", "o"])
        .wrong_usage();
}
