//! A council in front of a real gateway: what is not approved is not served, and what is no longer approved is retired.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/probe.rs"]
mod probe;
#[path = "common/public_log.rs"]
mod public_log;

use std::fs;

use common::{Setup, gateway_command};
use public_log::{PublicLog, key_of};
use serde_json::{Value, json};
use tiresias_evidence::{Approval, NoteVerifier};

const CARD: &str = "owner = 'Example Hospital'\nintended_use = 'A second reader.'\nlimits = ['Not for children.']\n\
                    [data]\nprovenance = 'Made up.'\nlicence = 'CC0-1.0'\n[[metrics]]\nname = 'accuracy'\nvalue = 0.9\n\
                    subgroup = 'women'\nsamples = 40\n";

/// Runs `approve` for model `m` in this directory, and gives what it prints.
fn approve(setup: &Setup, more: &[&str]) -> Value {
    let repo = setup.path("models");
    let arguments = ["approve", "--json", "--name", "m", "--repo", repo.to_str().unwrap()];
    serde_json::from_str(&gateway_command(&[&arguments, more].concat())).unwrap()
}

fn path(setup: &Setup, name: &str) -> String {
    setup.path(name).to_str().unwrap().to_owned()
}

/// Settings that ask for signatures of both members.
fn settings(keys: &[String]) -> String {
    format!("[governance]\napprovers = {}\nrequired = 2\n", json!(keys))
}

#[test]
fn a_version_is_served_while_enough_members_of_the_council_have_signed_it() {
    let setup = Setup::model("flooded").import("gemm.onnx", "m", &[]).with_data();
    fs::write(setup.path("card.toml"), CARD).unwrap();
    let sign = |version: &str, member: &str, more: &[&str]| {
        let (key, name) = (path(&setup, member), format!("council.example/{member}"));
        approve(&setup, &[&["--version", version, "--key", &key, "--approver", &name], more].concat())
    };
    let card = path(&setup, "card.toml");
    let one = sign("1", "one", &["--model-card", &card]);
    let two = sign("1", "two", &[]);
    assert_eq!(two["signers"], json!(["council.example/one", "council.example/two"]));
    let second = sign("2", "one", &["--model-card", &card]);
    let keys = [&one, &two].map(|signed| signed["key"].as_str().unwrap().to_owned());

    let gateway = setup.settings(&settings(&keys)).start();
    let index =
        gateway.send(&common::http::request("POST", "/v2/repository/index", &[], b"{}")).unwrap().json();
    assert_eq!(index[1]["reason"], "not_approved", "{index}");
    assert_eq!(gateway.get("/v2/models/m/versions/2").status, 404);
    let shown = gateway.get("/v2/models/m/versions/1/approval").json();
    assert_eq!(shown["model_card"], CARD);
    let verifiers: Vec<NoteVerifier> = keys.iter().map(|key| NoteVerifier::parse(key).unwrap()).collect();
    let (approval, signed) = Approval::open(shown["approval"].as_str().unwrap(), &verifiers).unwrap();
    let config = gateway.get("/v2/models/m").json()["parameters"]["config_id"].as_str().unwrap().to_owned();
    assert_eq!((hex::encode(approval.config), signed.len()), (config, 2));

    // The second signature brings version 2, and taking one back retires version 1.
    let repo = gateway.path("models").to_str().unwrap().to_owned();
    let key = gateway.path("two").to_str().unwrap().to_owned();
    let sign = |version: &str, more: &[&str]| {
        let arguments = ["approve", "--name", "m", "--repo", &repo, "--key", &key, "--version", version];
        gateway_command(&[&arguments, more].concat())
    };
    assert!(sign("2", &[]).contains("2 signed"));
    sign("1", &["--withdraw"]);
    gateway.reload(2);
    assert_eq!(gateway.get("/v2/models/m/versions/2").status, 200);
    let retired = gateway.get("/v2/models/m/versions/1");
    assert_eq!((retired.status, &retired.json()["code"]), (410, &json!("config_retired")));
    assert_ne!(second["config_id"], one["config_id"]);

    // Approved, loaded, approved, loaded and retired: the public log has five entries.
    let key = key_of(&gateway);
    gateway.terminate();
    let setup = gateway.stopped();
    assert_eq!(PublicLog::read(&setup.path("data/log/public"), &key).entries.len(), 5);
}

#[test]
fn a_gateway_without_an_approved_model_does_not_start() {
    let setup = Setup::model("flooded");
    fs::write(setup.path("card.toml"), CARD).unwrap();
    let (key, card) = (path(&setup, "one"), path(&setup, "card.toml"));
    let signed =
        approve(&setup, &["--key", &key, "--approver", "council.example/one", "--model-card", &card]);
    let key = signed["key"].as_str().unwrap().to_owned();
    let other = "council.example/two+00000000+AQ";
    let (code, words) = setup.settings(&settings(&[key.clone(), other.to_owned()])).refusal();
    assert!(code == Some(1) && words.contains("governance: an approver is a key"), "{words}");

    let setup = Setup::model("flooded");
    let settings = format!("[governance]\napprovers = {}\nrequired = 1\n", json!([key]));
    let (code, words) = setup.settings(&settings).refusal();
    assert!(
        code == Some(1) && words.contains("error[not_approved]") && words.contains("0 of the approvers"),
        "{words}"
    );
}
