//! What operators install: the unit, the image's root, the list of system calls, alerts and the dashboard are right about
//! this very program. And landlock, which holds the running gateway.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;
#[path = "common/probe.rs"]
mod probe;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use authority::{Authority, TLS};
use common::{Gateway, Setup, program};
use probe::Probe;
use serde_json::Value;

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Runs a tool that not every machine has. `None`, and a word on it, where it is missing.
fn tool(name: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(name).args(arguments).output() {
        Ok(output) => Some(output),
        Err(_) => {
            println!("SKIPPED: {name} is not here");
            None
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word).filter(|word| word.starts_with("tiresias_")).map(str::to_owned).collect()
}

/// What `/metrics` of a gateway prints that has done everything that is counted.
fn metrics() -> String {
    let key = "witness.example/w1+eb762cc2+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    let witnesses = format!(
        "[log]\nwitness_every = 1\nwitnesses = [{{ url = \"http://127.0.0.1:1\", key = \"{key}\" }}]\n"
    );
    let setup =
        Setup::model("flooded").with_data().settings(&format!("device = \"cpu-worker\"\n{witnesses}"));
    let probe = Probe::start(setup);
    let gateway = &probe.gateway;
    let rubbish = gateway.send(&common::http::request("GET", "/rubbish", &[], b"")).unwrap();
    assert_eq!(rubbish.status, 404);
    gateway.reload(2);
    gateway.wait_for_log("a witness does not cosign");
    TcpStream::connect(gateway.address).unwrap().write_all(b"no TLS\r\n").unwrap();
    gateway.wait_for_log("a TLS handshake failed");
    let page = gateway.get_metrics("/metrics");
    page.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn alerts_and_the_dashboard_name_the_metrics_that_there_are() {
    let page = metrics();
    let printed: BTreeSet<String> =
        page.lines().filter(|line| !line.starts_with('#')).flat_map(names).collect();
    assert!(printed.len() > 30 && printed.contains("tiresias_log_witness_failure_total"), "{page}");
    let [alerts, dashboard] =
        ["alerts.yml", "dashboard.json"].map(|name| names(&fs::read_to_string(deployed(name)).unwrap()));
    for (file, named) in [("the alerts", &alerts), ("the dashboard", &dashboard)] {
        let unknown: Vec<_> = named.difference(&printed).collect();
        assert!(
            named.len() > 10 && unknown.is_empty(),
            "{file} name metrics that there are not: {unknown:?}"
        );
    }
    // A histogram is shown by its buckets, its sum and its count.
    let unshown: Vec<_> = printed.difference(&dashboard).collect();
    assert!(unshown.is_empty(), "the dashboard leaves these out: {unshown:?}");
}

#[test]
fn the_runbook_has_a_word_on_every_alert() {
    let alerts = fs::read_to_string(deployed("alerts.yml")).unwrap();
    let runbook =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.md")).unwrap();
    let alerts: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        assert!(runbook.contains(&format!("### {alert}\n")), "{alert} is not in the runbook");
    }
    if let Some(checked) = tool("promtool", &["check", "rules", deployed("alerts.yml").to_str().unwrap()]) {
        assert!(checked.status.success(), "{}", text(&checked.stderr));
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_reads() {
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(deployed("dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "an id twice");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            assert_eq!(query.matches('(').count(), query.matches(')').count(), "{query}");
            assert!(query.contains("instance=~\"$instance\""), "{query}");
        }
    }
}

#[test]
fn systemd_reads_the_unit_and_finds_little_exposed() {
    let directory = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(deployed("tiresias-gateway.service")).unwrap();
    let unit = unit.replace("/usr/local/bin/tiresias-gateway", program().to_str().unwrap());
    let unit: String =
        unit.lines().filter(|line| !line.starts_with("Documentation=")).map(|l| format!("{l}\n")).collect();
    let path = directory.path().join("tiresias-gateway.service");
    fs::write(&path, unit).unwrap();
    let path = path.to_str().unwrap();
    let Some(verified) = tool("systemd-analyze", &["verify", path]) else { return };
    let said = text(&verified.stderr);
    assert!(verified.status.success() && !said.contains("tiresias-gateway.service"), "{said}");
    let arguments = ["security", "--offline=yes", "--threshold=15", path];
    let Some(exposed) = tool("systemd-analyze", &arguments) else { return };
    if text(&exposed.stderr).contains("unrecognized option") {
        println!("SKIPPED: this systemd-analyze cannot look at a file");
        return;
    }
    assert!(exposed.status.success(), "{}", text(&exposed.stdout));
}

#[test]
fn the_images_root_has_all_that_the_program_loads() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let root = root.to_str().unwrap();
    let made = Command::new(deployed("root")).arg(program()).arg(root).output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(!Path::new(root).join("bin/sh").exists() && !Path::new(root).join("usr/bin/env").exists());
    let arguments = ["--user", "--map-root-user", "chroot", root, "/usr/bin/tiresias-gateway", "--version"];
    let Some(ran) = tool("unshare", &arguments) else { return };
    if text(&ran.stderr).starts_with("unshare: ") {
        println!("SKIPPED: no user namespaces here");
        return;
    }
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(text(&ran.stdout).starts_with("tiresias-gateway "));
}

/// System calls of a gateway that starts, answers, reloads, stores and ends.
#[test]
fn the_images_list_of_system_calls_has_all_that_the_gateway_uses() {
    if tool("strace", &["-V"]).is_none() {
        return;
    }
    let setup = Setup::model("flooded").with_data();
    let trace = setup.path("trace");
    let setup = setup.after(format!("set -- strace -f -qq -c -U name -o {} \"$@\"", trace.display()));
    let mut gateway = Probe::start(setup).gateway;
    // The tracer has the number of the process; what it traces is its child.
    let tracer = gateway.process();
    let children = fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
    let traced = children.split_whitespace().next().unwrap();
    let signal = |name: &str| assert!(Command::new("kill").args([name, traced]).status().unwrap().success());
    assert_eq!(gateway.get("/checkpoint").status, 200);
    gateway.get_metrics("/metrics");
    signal("-HUP");
    gateway.wait_for_log(" generation=2\n");
    signal("-TERM");
    gateway.wait();
    let trace = fs::read_to_string(trace).unwrap();
    let used: BTreeSet<&str> = trace
        .lines()
        .map(str::trim)
        .filter(|line| line.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
        .collect();
    assert!(used.len() > 20 && used.contains("accept4"), "{trace}");
    let profile: Value =
        serde_json::from_str(&fs::read_to_string(deployed("seccomp.json")).unwrap()).unwrap();
    let listed: BTreeSet<&str> = profile["syscalls"][0]["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let missing: Vec<_> =
        used.difference(&listed).filter(|name| !["", "syscall", "total"].contains(name)).collect();
    assert!(missing.is_empty(), "not in seccomp.json: {missing:?}");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    for dangerous in
        ["ptrace", "mount", "setuid", "bpf", "init_module", "process_vm_readv", "unshare", "setns"]
    {
        assert!(!listed.contains(dangerous), "{dangerous}");
    }
}

/// A gateway whose configuration moves its certificates out of the folders that it had at its start, and is read again.
fn moved_certificates(sandbox: &str) -> Option<(Gateway, Vec<u8>)> {
    let setup = Setup::model("flooded").own_certificates();
    Authority::new(&setup.path("tls"), &["client"]);
    let settings = format!("sandbox = \"{sandbox}\"\ndata = \"data\"\n{TLS}");
    let (code, words) = check(&setup, &settings);
    assert_eq!(code, Some(0), "{words}");
    let mut gateway = setup.settings(&settings).start();
    if sandbox == "auto" && gateway.log().contains("landlock does not hold") {
        println!("SKIPPED: no landlock here");
        return None;
    }
    let before = gateway.connect().certificate();
    let elsewhere = tempfile::tempdir().unwrap();
    // The same authority's files, and a new certificate.
    let mut other = Authority::new(&elsewhere.path().join("tls"), &["client"]);
    other.issue("server", rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    let name = |file: &str| format!("= \"{}/tls/{file}\"", elsewhere.path().display());
    let moved = settings.replace("= \"tls/server.pem\"", &name("server.pem"));
    let moved = moved.replace("= \"tls/server-key.pem\"", &name("server-key.pem"));
    gateway.change_settings(&moved);
    gateway.reload(2);
    Some((gateway, before))
}

fn check(setup: &Setup, settings: &str) -> (Option<i32>, String) {
    let path = setup.path("check.toml");
    fs::write(&path, format!("repo = \"models\"\nlisten = \"127.0.0.1:0\"\n{settings}")).unwrap();
    let output = Command::new(program()).arg("check-config").arg("--config").arg(path).output().unwrap();
    (output.status.code(), text(&output.stderr))
}

#[test]
fn landlock_leaves_a_gateway_its_own_folders_and_no_others() {
    let Some((gateway, before)) = moved_certificates("auto") else { return };
    assert!(gateway.log().contains("landlock holds the gateway"), "{}", gateway.log());
    gateway.wait_for_log("the certificates stay as they were");
    assert!(gateway.log().contains("Permission denied"), "{}", gateway.log());
    assert_eq!(gateway.connect().certificate(), before);
    // What is its own it reads and writes as before.
    gateway.import("gemm.onnx", "m", &[]);
    gateway.reload(3);
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    assert!(gateway.path("data/log/journal").is_file());
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.process())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().filter(|word| ["0", "1"].contains(word)).count() == 2, "{core}");
}

#[test]
fn without_the_sandbox_the_same_files_are_read() {
    let (gateway, _) = moved_certificates("off").unwrap();
    let log = gateway.log();
    assert!(log.contains(" reloaded generation=2") && !log.contains("stay as they were"), "{log}");
}

#[test]
fn a_sandbox_that_is_required_refuses_what_it_cannot_hold() {
    let setup = Setup::model("flooded").settings("sandbox = \"required\"\ndevice = \"cpu-worker\"\n");
    let (code, words) = setup.refusal();
    assert_eq!(code, Some(1));
    assert!(words.contains("error[no_sandbox]"), "{words}");
}
