//! `check-config`: what works is summed up, what does not is named, and nothing is touched.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;

use std::{fs, path::PathBuf, process::Command};

use authority::{Authority, CRL, TLS};
use common::{Setup, program};
use serde_json::Value;

struct Case {
    setup: Setup,
    authority: Authority,
}

struct Outcome {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Outcome {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

impl Case {
    fn new() -> Self {
        let setup = Setup::model("flooded").import("gemm.onnx", "open", &["--privacy", "open-weights"]);
        let authority = Authority::new(&setup.path("tls"), &["client"]);
        authority.revoke(&[]);
        Self { setup, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.setup.path(name)
    }

    fn check(&self, settings: &str, flags: &[&str]) -> Outcome {
        let path = self.path("gateway.toml");
        let base = "repo = \"models\"\nlisten = \"127.0.0.1:8443\"\ndata = \"data\"\n";
        fs::write(&path, format!("{base}{settings}")).unwrap();
        let mut command = Command::new(program());
        let output = command.arg("check-config").arg("--config").arg(path).args(flags).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[test]
fn a_good_configuration_is_summed_up_and_left_alone() {
    let case = Case::new();
    let settings = format!("{TLS}{CRL}");
    let found = case.check(&settings, &["--json"]);
    assert_eq!((found.code, found.err.as_str()), (Some(0), ""));
    let json = found.json();
    assert_eq!(json["ok"], true);
    assert_eq!((json["client_auth"].as_bool(), json["revocation_lists"].as_u64()), (Some(true), Some(1)));
    let models = json["models"].as_array().unwrap();
    let names: Vec<_> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["m", "open"]);
    assert_eq!(models[0]["config_id"].as_str().unwrap().len(), 64);
    let warnings = json["warnings"].as_array().unwrap();
    // Only what is protected can lose its protection.
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let words = warnings[0].as_str().unwrap();
    assert!(words.contains("model m") && words.contains("9 honest score vectors"), "{words}");
    assert!(!case.path("data").exists(), "nothing is made");

    let text = case.check(&settings, &[]);
    assert_eq!(text.code, Some(0));
    for part in ["127.0.0.1:8443", "m version 1, flooded", "open version 1, open-weights", "warning"] {
        assert!(text.out.contains(part), "{}", text.out);
    }

    let by_key = case.check(&format!("{settings}[budget]\nvectors = 5\n"), &["--json"]).json();
    assert!(by_key["warnings"][0].as_str().unwrap().contains("counted by client key"), "{by_key}");
    let tenant = case.authority.tenant("client", "vectors = 5");
    let listed = case.check(&format!("{settings}{tenant}"), &["--json"]).json();
    assert_eq!((listed["tenants"].as_u64(), listed["warnings"].as_array().unwrap().len()), (Some(1), 0));
}

#[test]
fn each_error_names_its_file_and_rule() {
    let case = Case::new();
    fs::write(case.path("broken.pem"), "broken").unwrap();
    fs::create_dir(case.path("data")).unwrap();
    fs::write(case.path("data/budgets.jsonl"), "x\ny\n").unwrap();
    fs::write(case.path("data/served.jsonl"), "x\ny\n").unwrap();
    fs::write(case.path("models/m/1/model.bin"), "broken").unwrap();
    fs::remove_file(case.path("models/open/1/card.json")).unwrap();
    let settings = format!("{TLS}client_crl = [\"broken.pem\"]\n");
    let found = case.check(&settings, &["--json"]);
    assert_eq!(found.code, Some(1));
    assert!(found.err.starts_with("tiresias-gateway: error[check_failed]: "), "{}", found.err);
    let json = found.json();
    assert_eq!(json["ok"], false);
    let errors: Vec<_> = json["errors"].as_array().unwrap().iter().collect();
    for (code, file, rule) in [
        ("tls", "broken.pem", "revocation lists"),
        ("bad_model", "models/m/1/model.bin", "import the head again"),
        ("io", "models/open/1/card.json", "No such file"),
        ("data_damaged", "budgets.jsonl", "line 1"),
        ("data_damaged", "served.jsonl", "line 1"),
    ] {
        let named = |error: &&&Value| {
            let words = error["error"].as_str().unwrap();
            error["code"] == code && words.contains(file) && words.contains(rule)
        };
        assert_eq!(errors.iter().filter(named).count(), 1, "{file}: {json}");
    }
    assert_eq!(errors.len(), 5, "{json}");

    let text = case.check(&settings, &[]);
    assert_eq!(text.code, Some(1));
    assert_eq!(text.out.lines().filter(|line| line.trim_start().starts_with("error  [")).count(), 5);
}

#[test]
fn settings_that_cannot_be_are_refused_by_the_same_rules_as_at_a_start() {
    let case = Case::new();
    for (settings, flags, part) in [
        (format!("{TLS}[budget]\nvectors = -1\n"), &[][..], "gateway.toml"),
        (format!("{TLS}colour = 1\n"), &[], "colour"),
        (format!("{TLS}[[tenants]]\nname = \"a\"\npublic_key_sha256 = \"x\"\n"), &[], "gateway.toml: "),
        (TLS.to_owned(), &["--insecure-no-client-auth"], "exclude each other"),
        (TLS.to_owned(), &["--repo", "nowhere"], "nowhere"),
        (TLS.to_owned(), &["--client-crl", "absent.pem"], "absent.pem"),
    ] {
        let found = case.check(&settings, flags);
        assert_eq!(found.code, Some(1), "{}", found.out);
        assert!(found.out.contains(part), "{part}: {}{}", found.out, found.err);
    }
}

#[test]
fn witnesses_are_summed_up_and_their_authority_is_read() {
    let case = Case::new();
    let key = tiresias_evidence::LogKey::from_seed("witness.example/w1", &[1; 32]).unwrap();
    let entry = |url: &str| {
        let key = key.cosignature_verifier();
        format!("{TLS}[log]\nwitnesses = [{{ url = \"{url}\", key = \"{key}\" }}]\n")
    };
    let good = entry("https://witness.example") + "witness_ca = \"tls/ca.pem\"\n";
    let found = case.check(&good, &["--json"]).json();
    assert_eq!((&found["witnesses"], &found["witness_quorum"]), (&"witness.example/w1".into(), &1.into()));
    for (settings, part) in [
        (entry("http://witness.example"), "https://"),
        (good.replace("tls/ca.pem", "absent.pem"), "absent.pem"),
        (good.replace("tls/ca.pem", "tls/server-key.pem"), "server-key.pem"),
        (good.clone() + "witness_quorum = 2\n", "witness_quorum 1 to"),
        (good + "enabled = false\n", "witnesses need a log"),
    ] {
        let found = case.check(&settings, &[]);
        assert!(found.code == Some(1) && found.out.contains(part), "{part}: {}{}", found.out, found.err);
    }
}

#[test]
fn a_gateway_that_serves_does_not_mind() {
    let case = Case::new();
    let settings = format!("{TLS}{CRL}");
    let data = case.path("data");
    let gateway =
        case.setup.own_certificates().settings(&settings).flags(&["--data", data.to_str().unwrap()]).start();
    let repo = gateway.path("models");
    let arguments =
        ["--listen", "127.0.0.1:0", "--repo", repo.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let mut command = Command::new(program());
    command.arg("check-config").arg("--config").arg(gateway.path("gateway.toml")).args(arguments);
    assert!(command.output().unwrap().status.success());
    assert_eq!(gateway.get("/v2").status, 200);
}
