//! A clinic sends nothing to a model that its own council has not approved.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::fs;

use common::{Ended, and, tiresias};
use gateway::{Gateway, Setup, fixture, gateway_command};
use serde_json::Value;

const CARD: &str = "owner = 'Example Hospital'\nintended_use = 'A second reader.'\nlimits = ['Not for children.']\n\
                    [data]\nprovenance = 'Made up.'\nlicence = 'CC0-1.0'\n";

/// Signs the newest version of `m`, and gives the member's key.
fn approve(setup: &Setup, member: &str) -> String {
    fs::write(setup.path("card.toml"), CARD).unwrap();
    let path = |name: &str| setup.path(name).to_str().unwrap().to_owned();
    let name = format!("council.example/{member}");
    let printed = gateway_command(&[
        "approve",
        "--json",
        "--name",
        "m",
        "--repo",
        &path("models"),
        "--key",
        &path(member),
        "--approver",
        &name,
        "--model-card",
        &path("card.toml"),
    ]);
    serde_json::from_str::<Value>(&printed).unwrap()["key"].as_str().unwrap().to_owned()
}

fn infer(gateway: &Gateway, more: &[&str]) -> Ended {
    let features = fixture("features.npy");
    let features = ["--json", "--features", features.to_str().unwrap()];
    tiresias(&and(&and(&gateway.command("infer"), &features), more))
}

/// Whether the gateway has answered nothing.
fn is_unasked(gateway: &Gateway) -> bool {
    !gateway.get_metrics("/metrics").contains("tiresias_inference_count_total{")
}

#[test]
fn a_model_is_asked_where_enough_of_the_clinics_council_have_signed_it() {
    let setup = Setup::model("flooded");
    let keys = [approve(&setup, "one"), approve(&setup, "two")];
    // A member who has signed another repository's model.
    let elsewhere = Setup::model("flooded");
    let stranger = approve(&elsewhere, "three");
    let gateway = setup.start();

    let [one, two] = [&keys[0], &keys[1]];
    let too_few = infer(&gateway, &["--approver", one, "--approver", two, "--approver", &stranger]);
    assert!(
        too_few.err.contains("too few of the named approvers") && too_few.err.contains("2 signatures of 3"),
        "{too_few:?}"
    );
    too_few.failed("not_approved");
    let none = infer(&gateway, &["--approver", &stranger]);
    assert!(none.err.contains("0 signatures of 1"), "{none:?}");
    none.failed("not_approved");
    assert!(is_unasked(&gateway), "nothing was sent");

    for wrong in [&["--approver", "council.example/one"][..], &["--approver", one, "--approvals", "2"]] {
        assert!(infer(&gateway, wrong).err.contains("error["), "{wrong:?}");
    }
    // A file of keys, one of them named twice, and two signatures of the three.
    let council = gateway.path("council.txt");
    fs::write(&council, format!("# the council\n{one}\n{one}\n{two}\n{stranger}\n")).unwrap();
    let asked = infer(&gateway, &["--approver", council.to_str().unwrap(), "--approvals", "2"]);
    assert!(
        asked.err.contains("note[approved]: m version 1, by council.example/one, council.example/two"),
        "{asked:?}"
    );
    assert_eq!(asked.json(), gateway.evaluate("m", &fixture("features.npy")));
}
