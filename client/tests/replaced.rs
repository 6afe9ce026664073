//! A model that the gateway replaces while a run is on its way, and cards that pin it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::fs;

use common::{
    Ended, and,
    relay::{Act, Backend, Requests, Seen, refusal},
    through, with_features,
};
use gateway::{Gateway, Setup, fixture};
use serde_json::{Value, json};

fn infer(gateway: &Gateway, relay: &Requests, more: &[&str]) -> Ended {
    let arguments = and(&through(&gateway.command("infer"), &relay.url), &["--json", "--batch", "1"]);
    with_features(&and(&arguments, more), &fixture("features.npy"))
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn expected(gateway: &Gateway) -> Vec<Value> {
    gateway.evaluate("m", &fixture("features.npy"))
}

/// Another head of the same shape as version 1 of `m`.
fn successor() -> Gateway {
    Setup::empty().import("matmul_only.onnx", "m", &[]).start()
}

fn is_inference(seen: &Seen) -> bool {
    seen.target.ends_with("/infer")
}

fn if_none_match(seen: &Seen) -> Option<&str> {
    seen.head.lines().find_map(|line| line.strip_prefix("if-none-match: "))
}

#[test]
fn the_other_rows_are_asked_of_the_new_model() {
    let (old, new) = (Setup::model("flooded").start(), successor());
    let (before, after) = (Backend::of(&old), Backend::of(&new));
    let switched = std::sync::atomic::AtomicBool::new(false);
    // From the eighth patient on, the new gateway answers: it refuses that patient's ciphertext.
    let relay = Requests::start(&old, move |seen, count| {
        use std::sync::atomic::Ordering::SeqCst;
        if is_inference(seen) && count == 7 {
            switched.store(true, SeqCst);
        }
        Act::Forward(if switched.load(SeqCst) { after.clone() } else { before.clone() })
    });
    let ended = infer(&old, &relay, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mixed = [&expected(&old)[..7], &expected(&new)[7..]].concat();
    assert_eq!(lines(&ended), mixed);
    assert!(ended.err.starts_with("tiresias: warning[model_replaced]: "), "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);

    let inferences = relay.inferences();
    assert_eq!(inferences.len(), 21);
    assert_ne!(inferences[7].body, inferences[8].body);
    let cards: Vec<Seen> = relay.seen().into_iter().filter(|seen| seen.target.ends_with("/config")).collect();
    assert_eq!(cards.len(), 2);
    let known = format!(
        "\"{}\"",
        serde_json::from_slice::<Value>(&old.get("/v2/models/m").body).unwrap()["parameters"]["config_id"]
            .as_str()
            .unwrap()
    );
    assert_eq!((if_none_match(&cards[0]), if_none_match(&cards[1])), (None, Some(known.as_str())));
}

#[test]
fn a_retired_model_is_followed_once() {
    let old = Setup::model("flooded").import("matmul_only.onnx", "m", &[]).start();
    let retired = json!({"error": "retired", "code": "config_retired", "action": "fetch_config",
        "retryable": false, "config_id": "0".repeat(64)});
    let first = serde_json::from_slice::<Value>(&old.get("/v2/models/m/versions/1/config").body).unwrap();
    assert_eq!(first["version"], 1);
    // Version 1 is the newest until it retires; version 2 retires too where `twice`.
    let relay = |twice: bool| {
        let (backend, form) = (Backend::of(&old), retired.clone());
        let (card, id) =
            (old.get("/v2/models/m/versions/1/config"), old.get("/v2/models/m/versions/1").json());
        let id = id["parameters"]["config_id"].as_str().unwrap().to_owned();
        Requests::start(&old, move |seen, count| {
            if seen.target == "GET /v2/models/m/config" && count == 0 {
                let head = format!(
                    "HTTP/1.1 200 OK\r\netag: \"{id}\"\r\ncontent-length: {}\r\n\r\n",
                    card.body.len()
                );
                return Act::Reply([head.as_bytes(), &card.body].concat());
            }
            let retires = match seen.target.as_str() {
                "POST /v2/models/m/versions/1/infer" => count >= 5,
                "POST /v2/models/m/versions/2/infer" => twice && count >= 5,
                _ => false,
            };
            if retires { Act::Reply(refusal(410, "", &form)) } else { Act::Forward(backend.clone()) }
        })
    };
    let newest = expected(&old);
    let once = relay(false);
    let ended = infer(&old, &once, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("m version 1 ") && ended.err.contains("by version 2 "), "{}", ended.err);
    let found = lines(&ended);
    assert_eq!(found[5..], newest[5..]);
    assert_ne!(found[..5], newest[..5]);
    assert_eq!(once.inferences().len(), 21);

    let twice = relay(true);
    let ended = infer(&old, &twice, &[]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("error[model_replaced]: "), "{}", ended.err);
    assert_eq!(lines(&ended), found[..10]);
    assert_eq!(twice.inferences().len(), 12);

    let pinned = relay(false);
    let ended = infer(&old, &pinned, &["--version", "1"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("error[model_pinned]: "), "{}", ended.err);
    assert_eq!(lines(&ended), found[..5]);
    assert_eq!(pinned.inferences().len(), 6);
}

#[test]
fn a_refusal_of_the_very_card_that_is_served_is_final() {
    let gateway = Setup::model("flooded").start();
    let mismatch = json!({"error": "another card", "code": "config_mismatch", "action": "fetch_config"});
    let backend = Backend::of(&gateway);
    let relay = Requests::start(&gateway, move |seen, _| match is_inference(seen) {
        true => Act::Reply(refusal(409, "", &mismatch)),
        false => Act::Forward(backend.clone()),
    });
    infer(&gateway, &relay, &[]).failed("config_mismatch");
    assert_eq!(relay.inferences().len(), 1);
}

#[test]
fn a_new_model_of_another_shape_is_not_followed() {
    let old = Setup::model("flooded").start();
    let wider = Setup::empty();
    let head = wider.path("wide.safetensors");
    fs::write(&head, wide_head()).unwrap();
    let features = wider.path("wide.csv");
    fs::write(&features, "1,2,3,4,5,6,7,8,9\n-1,-2,-3,-4,-5,-6,-7,-8,-9\n").unwrap();
    let repo = wider.path("models");
    let [head, features, repo] = [&head, &features, &repo].map(|path| path.to_str().unwrap());
    gateway::gateway_command(&["import", head, "--calibration", features, "--name", "m", "--repo", repo]);
    let new = wider.start();
    let (before, after) = (Backend::of(&old), Backend::of(&new));
    let relay = Requests::start(&old, move |seen, count| match (is_inference(seen), count) {
        (true, 2..) | (false, 1..) => Act::Forward(after.clone()),
        _ => Act::Forward(before.clone()),
    });
    let ended = infer(&old, &relay, &[]);
    assert!(
        ended.err.contains("error[model_replaced]: ") && ended.err.contains("number of features"),
        "{}",
        ended.err
    );
    assert_eq!(lines(&ended), expected(&old)[..2]);
    assert_eq!(relay.inferences().len(), 3);
}

/// A head of 9 features and 2 classes.
fn wide_head() -> Vec<u8> {
    let header = br#"{"weight":{"dtype":"F32","shape":[2,9],"data_offsets":[0,72]},"bias":{"dtype":"F32","shape":[2],"data_offsets":[72,80]}}"#;
    let values = (0..20_u8).flat_map(|value| (f32::from(value) - 9.5).to_le_bytes());
    (header.len() as u64).to_le_bytes().into_iter().chain(header.iter().copied()).chain(values).collect()
}

#[test]
fn a_card_pins_the_model() {
    let (gateway, other) = (Setup::model("flooded").start(), successor());
    let save = |gateway: &Gateway, name: &str| {
        let path = gateway.path(name);
        fs::write(&path, gateway.get("/v2/models/m/config").body).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (card, foreign) = (save(&gateway, "card.json"), save(&other, "card.json"));
    let run = |more: &[&str]| {
        let mut arguments = and(&gateway.command("infer"), &["--json"]);
        let model = arguments.iter().position(|argument| argument == "--model").unwrap();
        arguments.drain(model..model + 2);
        with_features(&and(&arguments, more), &fixture("features.npy"))
    };
    assert_eq!(run(&["--card", &card]).json(), expected(&gateway));
    assert_eq!(run(&["--card", &card, "--model", "m", "--version", "1"]).json(), expected(&gateway));
    run(&["--card", &foreign]).failed("other_card");
    run(&["--card", &card, "--model", "n"]).wrong_usage();
    run(&["--card", &card, "--version", "2"]).wrong_usage();
    run(&[]).wrong_usage();

    // The gateway says that the card is unchanged, or sends the other one: asked for with the pinned id either way.
    let backend = Backend::of(&gateway);
    let relay = Requests::start(&gateway, move |_, _| Act::Forward(backend.clone()));
    assert_eq!(infer(&gateway, &relay, &["--card", &card]).json(), expected(&gateway));
    let seen = relay.seen();
    assert_eq!(seen[0].target, "GET /v2/models/m/versions/1/config");
    assert!(if_none_match(&seen[0]).is_some());
}
