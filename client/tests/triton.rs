//! NVIDIA's `tritonclient[http]` carries what `tiresias encrypt` wrote, and `tiresias decrypt` reads what it brings
//! back. Needs Python 3 with venv and a package index; says SKIPPED where there is none.

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{path::Path, process::Command};

use common::{
    programs::{environment, python},
    tiresias, with_features,
};
use gateway::{Setup, fixture};
use serde_json::{Value, json};

/// One release of the client, so that a new one does not break the test; others are expected to work as well.
const PACKAGES: [&str; 4] = ["--only-binary", ":all:", "tritonclient[http]==2.73.0", "numpy"];

#[test]
fn tritonclient_carries_our_ciphertexts() {
    let python = match environment("triton-venv", &[&PACKAGES]) {
        Ok(environment) => python(&environment),
        Err(reason) => {
            println!("SKIPPED: tritonclient cannot be installed here: {reason}");
            return;
        }
    };
    let gateway = Setup::model("flooded").start();
    let directory = gateway.path("out");
    let mut encrypt = gateway.command("encrypt");
    encrypt.extend(["--out".into(), directory.to_str().unwrap().into()]);
    with_features(&encrypt, &fixture("features.npy")).done();

    let address = format!("localhost:{}", gateway.address.port());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/triton_infer.py");
    let mut triton = Command::new(python);
    triton.arg(script).arg(address).arg(gateway.path("tls")).arg(&directory);
    let ended: common::Ended = triton.output().unwrap().into();
    let seen: Value = serde_json::from_str(&ended.done()).unwrap();
    for (name, ready) in [
        ("live", true),
        ("ready", true),
        ("model_ready", true),
        ("version_ready", true),
        ("absent_ready", false),
    ] {
        assert_eq!(seen[name], ready, "{name}");
    }
    assert_eq!(seen["server"]["name"], "tiresias-gateway");
    let extensions = seen["server"]["extensions"].as_array().unwrap();
    assert!(extensions.contains(&"binary_tensor_data".into()), "{extensions:?}");
    assert_eq!(seen["model"]["name"], "m");
    let tensor = |name| json!([{"name": name, "datatype": "BYTES", "shape": [-1]}]);
    assert_eq!(
        (&seen["model"]["inputs"], &seen["model"]["outputs"]),
        (&tensor("features"), &tensor("scores"))
    );
    assert_eq!((&seen["index"][0]["name"], &seen["index"][0]["state"]), (&"m".into(), &"READY".into()));
    assert_eq!((&seen["response"]["model_name"], &seen["response"]["id"]), (&"m".into(), &"patients".into()));
    assert_eq!(seen["absent"]["status"], "404", "{}", seen["absent"]);
    assert_eq!(seen["absent"]["message"], "no such model");

    let mut decrypt =
        ["decrypt", "--json", "--dir", directory.to_str().unwrap(), "--tensor"].map(String::from).to_vec();
    decrypt.extend((0..20).map(|index| format!("{}/answer-{index}.bin", directory.display())));
    assert_eq!(tiresias(&decrypt).json(), gateway.evaluate("m", &fixture("features.npy")));
}
