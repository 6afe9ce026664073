//! A clinic that asks for approvals: a version that enough of its own approvers have signed is asked, and one that is not approved,
//! or whose approval is forged, of something else or of too few, is sent nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::fs;

use common::{
    Ended, and,
    relay::{Act, Backend, Requests, refusal},
    through, with_features,
};
use gateway::{Gateway, Setup, fixture, gateway_command};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tiresias_evidence::{Approval, LogKey};

const CARD: &str = "owner = 'Example Hospital'\nintended_use = 'A second reader.'\nlimits = ['Not for children.']\n\
                    [data]\nprovenance = 'Made up.'\nlicence = 'CC0-1.0'\n";

fn key(name: &str, seed: u8) -> LogKey {
    LogKey::from_seed(&format!("council.example/{name}"), &[seed; 32]).unwrap()
}

/// The options that name these approvers.
fn approvers(keys: &[&LogKey]) -> Vec<String> {
    keys.iter().flat_map(|key| ["--approver".to_owned(), key.verifier().to_string()]).collect()
}

fn infer(gateway: &Gateway, url: &str, more: &[String]) -> Ended {
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let arguments = and(&through(&gateway.command("infer"), url), &["--json"]);
    with_features(&and(&arguments, &more), &fixture("features.npy"))
}

/// An approval of what the gateway serves.
fn approval(gateway: &Gateway) -> Approval {
    let config = gateway.get("/v2/models/m").json()["parameters"]["config_id"].as_str().unwrap().to_owned();
    let mut approval = Approval {
        name: "m".into(),
        version: 1,
        config: [0; 32],
        model: [7; 32],
        card: Sha256::digest(CARD).into(),
    };
    hex::decode_to_slice(config, &mut approval.config).unwrap();
    approval
}

/// A note over an approval.
fn note(approval: &Approval, keys: &[&LogKey]) -> String {
    let text = approval.text();
    let lines: String = keys.iter().map(|key| key.signature_line(&text)).collect();
    format!("{text}\n{lines}")
}

/// What the gateway answers where it is asked for an approval; everything else is its own.
fn showing(gateway: &Gateway, shown: &Value) -> Requests {
    let (backend, shown) = (Backend::of(gateway), shown.to_string());
    Requests::start(gateway, move |seen, _| {
        if !seen.target.ends_with("/approval") {
            return Act::Forward(backend.clone());
        }
        let length = shown.len();
        Act::Reply(
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{shown}"
            )
            .into_bytes(),
        )
    })
}

#[test]
fn a_version_that_the_council_has_signed_is_asked_and_said_to_be_approved() {
    let setup = Setup::model("flooded");
    let path = |name: &str| setup.path(name).to_str().unwrap().to_owned();
    fs::write(setup.path("card.toml"), CARD).unwrap();
    let sign = |member: &str, more: &[&str]| -> String {
        let (repo, key, name) = (path("models"), path(member), format!("council.example/{member}"));
        let arguments =
            ["approve", "--json", "--name", "m", "--repo", &repo, "--key", &key, "--approver", &name];
        let printed: Value = serde_json::from_str(&gateway_command(&[&arguments, more].concat())).unwrap();
        printed["key"].as_str().unwrap().to_owned()
    };
    let keys = [sign("one", &["--model-card", &path("card.toml")]), sign("two", &[])];
    let file = setup.path("council");
    fs::write(&file, keys.join("\n")).unwrap();
    let gateway = setup.start();
    let ended = infer(&gateway, &gateway.url, &["--approver".into(), file.to_str().unwrap().into()]);
    assert!(
        ended
            .err
            .contains("note[approved]: the model is approved by council.example/one, council.example/two")
    );
    for line in ended.json() {
        let expected = json!(["council.example/one", "council.example/two"]);
        assert_eq!((&line["approval"]["by"], &line["approval"]["required"]), (&expected, &json!(2)));
        assert_eq!(line["approval"]["owner"], "Example Hospital");
    }
    // One of two suffices where the clinic says so, and who did not sign is not named.
    let stranger = approvers(&[&key("stranger", 9)]);
    let one =
        [&stranger[..], &["--approver".into(), keys[0].clone(), "--approvals".into(), "1".into()]].concat();
    let lines = infer(&gateway, &gateway.url, &one).json();
    assert_eq!(lines[0]["approval"]["by"], json!(["council.example/one"]));
    infer(&gateway, &gateway.url, &one[..4]).failed("not_approved");
}

#[test]
fn a_version_without_the_approval_that_is_asked_for_is_sent_nothing() {
    let gateway = Setup::model("flooded").start();
    let (one, two, other) = (key("one", 1), key("two", 2), key("two", 3));
    let named = approvers(&[&one, &two]);
    let right = approval(&gateway);
    let good = json!({ "approval": note(&right, &[&one, &two]), "model_card": CARD });
    let with = |approval: Approval| json!({ "approval": note(&approval, &[&one, &two]), "model_card": CARD });
    let text = |note: String| json!({ "approval": note, "model_card": CARD });
    let bad_card = "owner = 'x'\n";
    for (shown, why) in [
        (text(note(&right, &[&one])), "1 of the named approvers have signed and 2 are asked for"),
        (text(note(&right, &[&one, &one])), "1 of the named approvers"),
        // Signed by another key of the same name, and a signature of another text.
        (text(note(&right, &[&one, &other])), "1 of the named approvers"),
        (text(note(&right, &[&one]) + &two.signature_line("another text\n")), "1 of the named approvers"),
        (with(Approval { name: "n".into(), ..right.clone() }), "another model or version"),
        (with(Approval { version: 2, ..right.clone() }), "another model or version"),
        (with(Approval { config: [1; 32], ..right.clone() }), "another circuit card"),
        (with(Approval { card: [1; 32], ..right.clone() }), "another model card"),
        (
            json!({ "approval": good["approval"], "model_card": CARD.replace("A second", "The only") }),
            "another model card",
        ),
        (
            json!({
                "approval": note(&Approval { card: Sha256::digest(bad_card).into(), ..right.clone() }, &[&one, &two]),
                "model_card": bad_card,
            }),
            "the model card is not in the form",
        ),
        (text("no note".into()), "no approval in the form"),
        (text(String::new()), "no approval in the form"),
    ] {
        let relay = showing(&gateway, &shown);
        let ended = infer(&gateway, &relay.url, &named);
        ended.failed("not_approved");
        assert!(
            ended.err.contains(why) && ended.err.contains("nothing of a patient was sent"),
            "{why}: {ended:?}"
        );
        assert_eq!(relay.inferences().len(), 0, "{why}");
    }
    let relay = showing(&gateway, &good);
    assert!(!infer(&gateway, &relay.url, &named).json().is_empty());
    let relay = showing(&gateway, &json!({ "approval": 1 }));
    infer(&gateway, &relay.url, &named).failed("protocol");

    // This gateway has none.
    let ended = infer(&gateway, &gateway.url, &named);
    ended.failed("not_approved");
    assert!(ended.err.contains("shows no approval"), "{ended:?}");
}

#[test]
fn wrong_options_are_wrong_usage_and_a_replaced_model_is_not_followed() {
    let gateway = Setup::model("flooded").start();
    let (one, two) = (key("one", 1), key("two", 2));
    let also = |keys: &[&LogKey], approvals: &str| {
        [approvers(keys), vec!["--approvals".into(), approvals.into()]].concat()
    };
    for options in [
        also(&[&one, &two], "3"),
        also(&[&one, &two], "0"),
        also(&[&one, &one], "2"),
        // One key under two names is one approver.
        also(&[&one, &key("another", 1)], "2"),
        vec!["--approvals".into(), "1".into()],
        vec!["--approver".into(), one.cosignature_verifier().to_string()],
    ] {
        infer(&gateway, &gateway.url, &options).wrong_usage();
    }
    infer(&gateway, &gateway.url, &["--approver".into(), "no key".into()]).failed("bad_verifier_key");

    let (backend, shown) = (
        Backend::of(&gateway),
        json!({ "approval": note(&approval(&gateway), &[&one]), "model_card": CARD }),
    );
    let body = shown.to_string();
    let relay = Requests::start(&gateway, move |seen, _| match () {
        () if seen.target.ends_with("/infer") => {
            let refused = json!({ "error": "x", "code": "config_retired", "action": "fetch_config", "retryable": false });
            Act::Reply(refusal(410, "", &refused))
        }
        () if seen.target.ends_with("/approval") => {
            let length = body.len();
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            Act::Reply(reply.into_bytes())
        }
        () => Act::Forward(backend.clone()),
    });
    infer(&gateway, &relay.url, &approvers(&[&one])).failed("model_pinned");
}
