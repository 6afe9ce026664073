//! A real gateway whose log is cosigned by real witnesses: what it publishes, what happens when a witness is gone, and that a
//! forked log is found out.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../server/tests/common/mod.rs"]
mod common;
#[path = "../../server/tests/common/probe.rs"]
mod probe;
#[path = "../../server/tests/common/public_log.rs"]
mod public_log;
#[path = "common/witness_process.rs"]
mod witness_process;

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use common::{Gateway, HANG, Setup, gateway_command};
use probe::Probe;
use public_log::{PublicLog, answer, key_of, receipt};
use tempfile::TempDir;
use tiresias_evidence::{Checkpoint, NoteVerifier, Receipt, note::Note};
use witness_process::{WitnessProcess, setting};

/// A gateway that has made its log's key, and will be started again with a witness.
fn first_start() -> Gateway {
    let mut gateway = Setup::model("flooded").with_data().start();
    gateway.terminate();
    assert!(gateway.wait().success());
    gateway
}

fn with_settings(mut gateway: Gateway, settings: &str) -> Probe {
    gateway.change_settings(&format!("[log]\n{settings}"));
    Probe::start(gateway.stopped())
}

fn ask(probe: &Probe) -> Receipt {
    send(&probe.gateway, &probe.infer_many(1))
}

fn send(gateway: &Gateway, request: &[u8]) -> Receipt {
    receipt(&answer(&gateway.send(request).unwrap()).0)
}

/// The published checkpoint, and whether the witness has cosigned it.
fn published(gateway: &Gateway, witness: &NoteVerifier) -> (Checkpoint, bool) {
    let note = String::from_utf8(gateway.get("/checkpoint").body).unwrap();
    let checkpoint = Checkpoint::open(&note, &key_of(gateway)).unwrap();
    let cosigned = Note::parse(&note).unwrap().verify(witness).ok().flatten();
    assert!(cosigned.is_none_or(|time| time > 1_700_000_000));
    (checkpoint, cosigned.is_some())
}

/// Waits until the published checkpoint is as it should be.
fn wait_for(
    gateway: &Gateway,
    witness: &NoteVerifier,
    is_it: impl Fn(&Checkpoint, bool) -> bool,
) -> Checkpoint {
    let started = Instant::now();
    loop {
        let (checkpoint, cosigned) = published(gateway, witness);
        if is_it(&checkpoint, cosigned) {
            return checkpoint;
        }
        assert!(started.elapsed() < HANG, "{checkpoint:?}, cosigned: {cosigned}\n{}", gateway.log());
        thread::sleep(Duration::from_millis(20));
    }
}

fn metric(gateway: &Gateway, line: &str) -> bool {
    gateway.get_metrics("/metrics").lines().any(|found| found == line)
}

fn health(gateway: &Gateway) -> String {
    let health = gateway.get_metrics("/health");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    health.rsplit_once("\r\n\r\n").unwrap().1.to_owned()
}

fn stop(probe: Probe) -> Gateway {
    let mut gateway = probe.gateway;
    gateway.terminate();
    assert!(gateway.wait().success());
    gateway
}

#[test]
fn what_is_published_is_cosigned_under_load_and_to_the_end() {
    let gateway = first_start();
    let (log_key, data) = (key_of(&gateway), TempDir::new().unwrap());
    // Over TLS, with the certificate that the gateway made for trials.
    let tls = |name: &str| gateway.certificate(name).to_str().unwrap().to_owned();
    let (cert, key) = (tls("server.pem"), tls("server-key.pem"));
    let mut witness = WitnessProcess::start(data.path(), &log_key, &["--tls-cert", &cert, "--tls-key", &key]);
    assert!(witness.url.starts_with("https://"), "{}", witness.url);
    let port = witness.url.rsplit_once(':').unwrap().1;
    let settings = setting(&format!("https://localhost:{port}"), &witness.key);
    let probe = with_settings(gateway, &(settings + "witness_ca = \"tls/ca.pem\"\n"));
    let gateway = &probe.gateway;
    let first = wait_for(gateway, &witness.key, |_, cosigned| cosigned);

    // Under load it is always a cosigned one, and it goes on; also over a crash of the witness.
    let (done, request) = (AtomicBool::new(false), probe.infer_many(1));
    let (receipts, seen) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut receipts = Vec::new();
            while !done.load(Ordering::Acquire) {
                receipts.push(send(gateway, &request));
            }
            receipts
        });
        let mut seen = vec![first];
        for round in 0..4 {
            let last = seen.last().unwrap().size;
            let next = wait_for(gateway, &witness.key, |checkpoint, cosigned| {
                assert!(cosigned && checkpoint.size >= last, "{checkpoint:?}");
                checkpoint.size > last
            });
            assert!(witness.record().unwrap().size >= next.size);
            seen.push(next);
            if round == 1 {
                witness.crash_and_restart();
            }
        }
        done.store(true, Ordering::Release);
        (asking.join().unwrap(), seen)
    });
    let newest = receipts.last().unwrap().verify(&log_key).unwrap().size;
    // Nothing more is asked, and the witness has all.
    wait_for(gateway, &witness.key, |checkpoint, cosigned| cosigned && checkpoint.size == newest);
    assert!(metric(gateway, &format!("tiresias_log_witnessed_size {newest}")));
    assert!(metric(gateway, "tiresias_log_forked 0") && metric(gateway, "tiresias_log_unwitnessed 0"));
    assert_eq!(health(gateway), "{\"ready\":true,\"log\":\"ok\",\"witnesses\":\"ok\"}");

    // What a stop leaves is cosigned too, and whole: receipts, tiles, and every checkpoint that was ever shown.
    let last = ask(&probe);
    let gateway = stop(probe);
    let public = gateway.path("data/log/public");
    let note = fs::read_to_string(public.join("checkpoint")).unwrap();
    assert!(Note::parse(&note).unwrap().verify(&witness.key).unwrap().is_some());
    let log = PublicLog::read(&public, &log_key);
    receipts.iter().chain([&last]).for_each(|receipt| log.has(receipt, &log_key));
    seen.iter().for_each(|checkpoint| log.continues(checkpoint));
    assert_eq!(witness.record().unwrap().size, log.entries.len() as u64);

    // A restart goes on with it at once, and a crash at any time.
    let mut gateway = gateway.restarted();
    assert!(published(&gateway, &witness.key).1);
    gateway.kill();
    let gateway = gateway.restarted();
    assert!(published(&gateway, &witness.key).1);
    assert!(!gateway.log().contains("ERROR"), "{}", gateway.log());
}

#[test]
fn a_published_checkpoint_has_its_tiles_while_the_log_runs_ahead() {
    let gateway = first_start();
    let (log_key, data) = (key_of(&gateway), TempDir::new().unwrap());
    let witness = WitnessProcess::start(data.path(), &log_key, &[]);
    // Rounds are far apart, so that full tiles take the place of partial ones that the published checkpoint needs.
    let settings = witness.setting().replace("witness_every = 1", "witness_every = 3600");
    let probe = with_settings(gateway, &settings);
    let cosigned = wait_for(&probe.gateway, &witness.key, |_, cosigned| cosigned);
    while ask(&probe).index < 300 {}
    let newest = probe.gateway.path("data/log/newest");
    let started = Instant::now();
    while fs::read_to_string(&newest).map_or(0, |note| Checkpoint::open(&note, &log_key).unwrap().size) < 301
    {
        assert!(started.elapsed() < HANG);
        thread::sleep(Duration::from_millis(20));
    }
    let public = probe.gateway.path("data/log/public");
    let log = PublicLog::read(&public, &log_key);
    assert_eq!(log.entries.len() as u64, cosigned.size);
    // After a crash the log is held against its newest checkpoint, and not against the published one.
    let mut gateway = probe.gateway;
    gateway.kill();
    let journal = gateway.path("data/log/journal");
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..250 * 36]).unwrap();
    let setup = gateway.stopped();
    let (code, said) = setup.refused();
    assert!(code == Some(1) && said.contains("error[log_damaged]"), "{said}");
    fs::write(&journal, &whole).unwrap();
    let gateway = setup.start();
    assert!(published(&gateway, &witness.key).1);
    PublicLog::read(&public, &log_key);
}

#[test]
fn without_its_witness_the_gateway_goes_on_and_says_so() {
    let gateway = first_start();
    let (log_key, data) = (key_of(&gateway), TempDir::new().unwrap());
    let mut witness = WitnessProcess::start(data.path(), &log_key, &[]);
    let setting = witness.setting();
    witness.terminate();
    let probe = with_settings(gateway, &setting);
    let gateway = &probe.gateway;
    gateway.wait_for_log("it cannot be reached");
    let mut newest = 0;
    while !metric(gateway, "tiresias_log_unwitnessed 1") {
        newest = ask(&probe).verify(&log_key).unwrap().size;
    }
    gateway.wait_for_log("checkpoints are published without cosignatures until they do");
    wait_for(gateway, &witness.key, |checkpoint, cosigned| !cosigned && checkpoint.size >= newest);
    assert_eq!(health(gateway), "{\"ready\":true,\"log\":\"ok\",\"witnesses\":\"unanswered\"}");
    assert!(gateway.get_metrics("/metrics").contains("tiresias_log_witness_failure_total{"));

    witness.start_again();
    gateway.wait_for_log("checkpoints are published with cosignatures again");
    let cosigned = wait_for(gateway, &witness.key, |_, cosigned| cosigned);
    assert!(cosigned.size >= newest);
    assert_eq!(health(gateway), "{\"ready\":true,\"log\":\"ok\",\"witnesses\":\"ok\"}");
    assert!(metric(gateway, "tiresias_log_unwitnessed 0"));
    probe.finish();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => assert!(fs::copy(&path, to.join(name)).is_ok()),
        }
    }
}

/// The cheat: two gateways with one log's key, each with a history of its own behind the copy.
#[test]
fn a_log_that_forks_is_found_out() {
    let honest = first_start();
    let (log_key, data) = (key_of(&honest), TempDir::new().unwrap());
    let witness = WitnessProcess::start(data.path(), &log_key, &[]);
    let probe = with_settings(honest, &witness.setting());
    ask(&probe);
    wait_for(&probe.gateway, &witness.key, |checkpoint, cosigned| cosigned && checkpoint.size >= 3);
    let honest = stop(probe);
    let forked = Setup::empty().with_data().settings(&format!("[log]\n{}", witness.setting()));
    copy(&honest.path("models"), &forked.path("models"));
    copy(&honest.path("data"), &forked.path("data"));

    // The first history goes on, and the witness with it.
    let probe = Probe::start(honest.stopped());
    (0..5).for_each(|_| drop(ask(&probe)));
    wait_for(&probe.gateway, &witness.key, |checkpoint, cosigned| cosigned && checkpoint.size >= 9);
    let honest = stop(probe);
    let known = witness.record().unwrap();

    // The second one is shorter than what the witness knows, and longer after a while.
    let probe = Probe::start(forked);
    let gateway = &probe.gateway;
    gateway.wait_for_log("it has cosigned more leaves than this log has");
    while ask(&probe).verify(&log_key).unwrap().size < known.size + 3 {}
    gateway.wait_for_log("it has cosigned another history of this log");
    assert!(gateway.log().contains(" ERROR LOG FORKED: "), "{}", gateway.log());
    assert!(metric(gateway, "tiresias_log_forked 1"));
    assert_eq!(health(gateway), "{\"ready\":true,\"log\":\"ok\",\"witnesses\":\"forked\"}");
    assert!(gateway.get_metrics("/metrics").contains("reason=\"forked\""));
    // Its clients get their answers, and nothing of its own is ever cosigned.
    ask(&probe);
    wait_for(gateway, &witness.key, |checkpoint, cosigned| {
        assert!(!cosigned || checkpoint.size < known.size);
        !cosigned && checkpoint.size > known.size
    });
    assert_eq!(witness.record().as_ref(), Some(&known));
    drop(stop(probe));

    let gateway = honest.restarted();
    wait_for(&gateway, &witness.key, |checkpoint, cosigned| cosigned && checkpoint.size > known.size);
    assert_eq!(health(&gateway), "{\"ready\":true,\"log\":\"ok\",\"witnesses\":\"ok\"}");
}

#[test]
fn more_than_half_of_several_witnesses_are_enough() {
    let gateway = first_start();
    let (log_key, data) = (key_of(&gateway), TempDir::new().unwrap());
    let start = |name: &str| WitnessProcess::start(&data.path().join(name), &log_key, &[]);
    let (first, mut second, third) = (start("1"), start("2"), start("3"));
    second.terminate();
    let entries = [&first, &second, &third].map(|witness| {
        let setting = witness.setting();
        setting.split_once('[').unwrap().1.split_once(']').unwrap().0.to_owned()
    });
    let settings = format!("witnesses = [{}]\nwitness_every = 1\n", entries.join(", "));
    let probe = with_settings(gateway, &settings);
    for _ in 0..2 {
        let newest = ask(&probe).verify(&log_key).unwrap().size;
        for key in [&first.key, &third.key] {
            wait_for(&probe.gateway, key, |checkpoint, cosigned| cosigned && checkpoint.size >= newest);
        }
    }
    assert!(!published(&probe.gateway, &second.key).1);
    assert_eq!(health(&probe.gateway), "{\"ready\":true,\"log\":\"ok\",\"witnesses\":\"ok\"}");
    // Two of them are too few where all three are asked for.
    let mut gateway = stop(probe);
    gateway.change_settings(&format!("[log]\n{settings}witness_quorum = 3\n"));
    let probe = Probe::start(gateway.stopped());
    probe.gateway.wait_for_log("checkpoints are published without cosignatures until they do");
    wait_for(&probe.gateway, &first.key, |_, cosigned| !cosigned);
    second.start_again();
    probe.gateway.wait_for_log("checkpoints are published with cosignatures again");
    wait_for(&probe.gateway, &second.key, |_, cosigned| cosigned);
    assert!(published(&probe.gateway, &third.key).1);
    probe.finish();
}

#[test]
fn a_witness_follows_a_log_to_its_next_key() {
    let gateway = first_start();
    let (old, data) = (key_of(&gateway), TempDir::new().unwrap());
    let witness = WitnessProcess::start(data.path(), &old, &[]);
    let probe = with_settings(gateway, &witness.setting());
    wait_for(&probe.gateway, &witness.key, |_, cosigned| cosigned);
    let gateway = stop(probe);
    let log = gateway.path("data");
    let log = log.to_str().unwrap();
    let rotated = gateway_command(&["log", "rotate", "--data", log]);
    let rotated: serde_json::Value = serde_json::from_str(&rotated).unwrap();
    let new = NoteVerifier::parse(rotated["keys"][0].as_str().unwrap()).unwrap();
    // While both keys sign, the old one is enough for the witness.
    let probe = Probe::start(gateway.stopped());
    let newest = ask(&probe).verify(&old).unwrap().size;
    assert_eq!(key_of(&probe.gateway), new);
    wait_for(&probe.gateway, &witness.key, |checkpoint, cosigned| cosigned && checkpoint.size >= newest);
    let gateway = stop(probe);
    gateway_command(&["log", "rotate", "--finish", "--data", log]);
    let mut gateway = gateway.restarted();
    gateway.wait_for_log("it does not know this log's key");
    // Its operator adds the new key.
    drop(witness);
    let keys = data.path().join("keys");
    fs::write(&keys, format!("{new}\n")).unwrap();
    let witness = WitnessProcess::start(data.path(), &old, &["--log-keys", keys.to_str().unwrap()]);
    gateway.terminate();
    assert!(gateway.wait().success());
    gateway.change_settings(&format!("[log]\n{}", witness.setting()));
    let gateway = gateway.restarted();
    wait_for(&gateway, &witness.key, |checkpoint, cosigned| cosigned && checkpoint.size > newest);
}
