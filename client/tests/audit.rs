//! `tiresias audit`: an honest gateway passes, and one that leaks does not: a stand-in logs one feature, keeps a key in its memory or
//! stores one. A search whose control does not hit fails too, and what was not looked at is said.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use common::{Ended, stand_in, start, tiresias};
use gateway::{Gateway, Setup, gateway_command, program};
use serde_json::Value;
use tempfile::TempDir;

/// All checks, in the order of the page.
const CHECKS: [&str; 8] =
    ["symbols", "memory", "files", "wire", "data_flow", "evidence", "behaviour", "sbom"];

struct Audit {
    directory: TempDir,
    ended: Ended,
    /// `audit.json`.
    json: Value,
}

impl Audit {
    /// Runs `audit` with these arguments, to a new folder.
    fn run(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::run_in(directory, arguments)
    }

    fn run_in(directory: TempDir, arguments: &[&str]) -> Self {
        let out = directory.path().join("evidence");
        let ended = tiresias(&[&["audit", "--out", out.to_str().unwrap()], arguments].concat());
        let json = fs::read(out.join("audit.json")).map_err(|_| format!("{ended:?}")).unwrap();
        Self { directory, json: serde_json::from_slice(&json).unwrap(), ended }
    }

    /// Of a gateway that the audit starts from the stand-in.
    fn of(leak: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = stand_in::script(directory.path(), leak, "stands_in_for_a_gateway");
        Self::run_in(directory, &["--gateway-bin", program.to_str().unwrap()])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("evidence").join(name)
    }

    fn check(&self, id: &str) -> &Value {
        let checks = self.json["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap()
    }

    /// The outcomes of all checks.
    fn statuses(&self) -> Vec<&str> {
        CHECKS.iter().map(|id| self.check(id)["status"].as_str().unwrap()).collect()
    }

    /// Whether a check has found this, in a place that has this in it.
    fn found(&self, id: &str, what: &str, place: &str) -> bool {
        let findings = self.check(id)["findings"].as_array().unwrap();
        let has = |value: &Value, part: &str| value.as_str().unwrap().contains(part);
        findings.iter().any(|found| has(&found["what"], what) && has(&found["place"], place))
    }

    /// The audit failed, with a code and a finding, and said where its page is.
    fn failed(&self) {
        self.ended.failed_after_output("audit_failed");
        assert_eq!(self.json["status"], "failed");
        let page = fs::read_to_string(self.path("audit.html")).unwrap();
        assert!(page.contains("Failed: ") && self.ended.err.contains("audit.html"), "{:?}", self.ended);
    }
}

/// Called by the script of the stand-in.
#[test]
#[ignore = "stands for a leaking gateway, where a script of this test program asks for it"]
fn stands_in_for_a_gateway() {
    stand_in::run();
}

#[test]
fn an_honest_gateway_passes_and_every_claim_has_its_file() {
    program();
    let audit = Audit::run(&[]);
    assert_eq!(audit.ended.code, Some(0), "{:?}", audit.ended);
    let expected = ["passed", "passed", "passed", "passed", "passed", "passed", "listed", "listed"];
    assert_eq!(audit.statuses(), expected, "{:?}", audit.ended);
    for id in &CHECKS[..6] {
        assert!(!audit.check(id)["controls"].as_array().unwrap().is_empty(), "{id} has a control");
    }
    let page = fs::read_to_string(audit.path("audit.html")).unwrap();
    let links: Vec<&str> =
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(links.len() > 50, "{}", links.len());
    for link in links {
        match link.strip_prefix('#') {
            Some(id) => assert!(page.contains(&format!("id=\"{id}\"")), "{link}"),
            None => assert!(fs::metadata(audit.path(link)).unwrap().len() > 0, "{link}"),
        }
    }
    assert_eq!(page.matches("<b>Shows.</b>").count(), page.matches("<b>Does not show.</b>").count());
    for part in ["164.312", "GDPR", "Article 15", "NOT CHECKED", "polynomials b", "aws-lc-rs", "UNWITNESSED"]
    {
        assert!(page.contains(part), "{part}");
    }
    let list: Value = serde_json::from_slice(&fs::read(audit.path("sbom.cdx.json")).unwrap()).unwrap();
    assert_eq!(list["bomFormat"], "CycloneDX");

    // What is there is not written over.
    let out = audit.path("");
    tiresias(&["audit", "--out", out.to_str().unwrap()]).failed("output_exists");
}

#[test]
fn a_gateway_that_logs_one_feature_fails() {
    let audit = Audit::of("log-a-feature");
    audit.failed();
    assert!(audit.found("files", "one feature as one number in plain notation", "/gateway.log"), "{audit:?}");
    assert_eq!((audit.statuses()[2], audit.statuses()[3]), ("failed", "passed"));
    // The finding is named, and its value is not.
    let log = audit.check("files").to_string();
    assert!(!log.contains("feature=") && !audit.ended.err.contains("feature="), "{log}");
}

#[test]
fn a_gateway_that_keeps_a_key_fails() {
    let audit = Audit::of("keep-a-key");
    audit.failed();
    assert!(audit.found("memory", "a secret key as key bits, packed", "the memory of process "), "{audit:?}");
    assert_eq!(audit.statuses()[2..6], ["passed"; 4], "{audit:?}");
    // The stand-in is no program of this project, and the one behind it is not all that runs.
    assert!(audit.ended.out.contains("its table of symbols is whole"), "{audit:?}");
}

#[test]
fn a_gateway_that_stores_a_key_fails() {
    let audit = Audit::of("store-a-key");
    audit.failed();
    assert!(audit.found("files", "key bits, packed, in hexadecimal", "/data/cache.bin"), "{audit:?}");
}

/// A gateway with a head of 30 features.
fn running() -> Gateway {
    program();
    let setup = Setup::empty().with_data();
    let mut rows = String::new();
    for row in 0..40_u32 {
        let cells: Vec<String> = (0..30_u32).map(|at| ((row * 37 + at * 11) % 101).to_string()).collect();
        let _ = writeln!(rows, "{}", cells.join(","));
    }
    let (calibration, repo) = (setup.path("calibration.csv"), setup.path("models"));
    fs::write(&calibration, rows).unwrap();
    let head = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/wdbc_head.onnx");
    let [head, calibration, repo] =
        [&head, &calibration, &repo].map(|path| path.to_str().unwrap().to_owned());
    gateway_command(&["import", &head, "--calibration", &calibration, "--name", "m", "--repo", &repo]);
    setup.start()
}

/// The arguments that name a running gateway.
fn naming(gateway: &Gateway) -> Vec<String> {
    let mut arguments = gateway.command("audit");
    arguments.remove(0);
    arguments.extend(["--log-key".to_owned(), gateway.log_key.clone().unwrap()]);
    arguments
}

#[test]
fn a_running_gateway_is_audited_as_far_as_it_is_named() {
    let gateway = running();
    let naming = naming(&gateway);
    let naming: Vec<&str> = naming.iter().map(String::as_str).collect();
    let data = gateway.path("data");
    let files = ["--gateway-files", data.to_str().unwrap()];
    let process = gateway.process().to_string();

    // Nothing but its address: what cannot be looked at is not done, and the audit is incomplete.
    let audit = Audit::run(&naming);
    assert_eq!(audit.ended.code, Some(3), "{:?}", audit.ended);
    let not_done = "not_done";
    let expected = [not_done, not_done, not_done, "passed", "passed", "passed", not_done, not_done];
    assert_eq!(audit.statuses(), expected);

    // Another process is not the gateway, and the controls know it. This one has code that decrypts.
    let witness = gateway.path("witness");
    let mut other = start(&[
        "witness",
        "--name",
        "witness.example/w",
        "--data",
        witness.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--log-key",
        gateway.log_key.as_deref().unwrap(),
    ]);
    let mut ready = String::new();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let wrong = other.id().to_string();
    let audit = Audit::run(&[&naming[..], &files, &["--pid", &wrong]].concat());
    other.kill().unwrap();
    other.wait().unwrap();
    audit.failed();
    assert_eq!((audit.statuses()[0], audit.statuses()[1]), ("failed", "failed"));
    assert!(audit.found("symbols", "code named tiresias_secret_key", "/tiresias"), "{audit:?}");
    assert!(audit.ended.out.contains("the control did not hit: another patient's"), "{:?}", audit.ended);

    let may_read = fs::File::open(format!("/proc/{process}/mem")).is_ok();
    let restricted =
        fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|scope| scope.trim() != "0");
    if !may_read || restricted {
        println!("SKIPPED: a process that is not its own child may not be read here");
        return;
    }
    let audit = Audit::run(&[&naming[..], &files, &["--pid", &process]].concat());
    assert_eq!(audit.ended.code, Some(0), "{:?}", audit.ended);
    assert_eq!(audit.statuses()[..6], ["passed"; 6]);
}

#[test]
fn advisories_are_looked_up_where_a_database_is_named() {
    program();
    let database = tempfile::tempdir().unwrap();
    let folder = database.path().join("crates/hyper");
    fs::create_dir_all(&folder).unwrap();
    let advisory = "```toml\n[advisory]\nid = \"RUSTSEC-2099-0042\"\npackage = \"hyper\"\ndate = \"2099-01-01\"\n\
                    [versions]\npatched = []\n```\n# A planted one\n";
    fs::write(folder.join("RUSTSEC-2099-0042.md"), advisory).unwrap();
    let audit = Audit::run(&["--no-strace", "--advisory-db", database.path().to_str().unwrap()]);
    audit.failed();
    assert!(audit.found("sbom", "RUSTSEC-2099-0042 concerns hyper", "crates/hyper/RUSTSEC-2099-0042.md"));
    assert!(audit.check("behaviour").to_string().contains("not traced: --no-strace was given"));
    assert_eq!(audit.statuses()[..6], ["passed"; 6]);
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.ended)
    }
}
