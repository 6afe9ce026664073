//! What a tenant may have: budgets that outlive the process, rates, and a fair share of a busy gateway.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;
#[path = "common/probe.rs"]
mod probe;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use authority::{Authority, TLS};
use common::{
    Gateway, Setup,
    http::{Connection, Reply, client_config},
};
use probe::{HEADER_LENGTH, Probe};
use serde_json::Value;

/// A gateway for tenants `client` and `b`, each with settings of its own, and a data directory.
fn start(everyone: &str, client: &str, b: &str) -> Probe {
    let setup = Setup::model("flooded").own_certificates();
    let authority = Authority::new(&setup.path("tls"), &["client", "b"]);
    let tenants = authority.tenant("client", client) + &authority.tenant("b", b);
    let setup = setup.settings(&format!("data = \"data\"\n{TLS}{everyone}\n{tenants}"));
    Probe::start(setup)
}

fn send(gateway: &Gateway, name: &str, request: &[u8]) -> Reply {
    let config = client_config(&gateway.certificate("ca.pem"), Some((&gateway.path("tls"), name)));
    let mut connection = Connection::open(gateway.address, config).unwrap();
    connection.write(request).unwrap();
    connection.reply().unwrap()
}

/// What a successful answer says is left.
fn left(reply: &Reply) -> Option<u64> {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let json = match reply.header(HEADER_LENGTH) {
        Some(length) => &reply.body[..length.parse().unwrap()],
        None => &reply.body,
    };
    let json: Value = serde_json::from_slice(json).unwrap();
    json["parameters"].get("budget_left").map(|left| left.as_u64().unwrap())
}

#[test]
fn a_budget_is_spent_by_tenant_and_model_and_outlives_the_process() {
    let Probe { mut gateway, .. } = {
        let probe = start("[budget]\nvectors = 1000", "", "vectors = 5");
        // The probe's own good request is the first vector.
        assert_eq!(left(&probe.gateway.get("/v2/models/m")), Some(999));
        let (one, many) = (probe.infer_many(1), probe.infer_many(6));
        assert_eq!(left(&probe.gateway.send(&many).unwrap()), Some(993));
        let spent = send(&probe.gateway, "b", &many);
        let error = probe.is_refusal("six of five", &spent, 403, "budget_spent");
        assert_eq!(error["action"], "ask_model_owner");
        assert!(error["error"].as_str().unwrap().contains("has 5 score vectors left"), "{error}");
        for wanted in (0..5).rev() {
            assert_eq!(left(&send(&probe.gateway, "b", &one)), Some(wanted));
        }
        let spent = send(&probe.gateway, "b", &one);
        let error = probe.is_refusal("one of none", &spent, 403, "budget_spent");
        assert!(error["error"].as_str().unwrap().contains("is spent"), "{error}");
        assert_eq!(left(&probe.gateway.send(&one).unwrap()), Some(992), "others have theirs");
        let metrics = probe.gateway.get_metrics("/metrics");
        assert!(metrics.contains("request_failure_total{reason=\"budget_spent\"} 2\n"), "{metrics}");
        probe
    };
    // A new version grants nothing.
    gateway.import("gemm.onnx", "m", &[]);
    gateway.reload(2);
    assert_eq!(left(&gateway.get("/v2/models/m/versions/2")), Some(992));
    // A clean end keeps the exact number.
    gateway.terminate();
    gateway = gateway.restarted();
    assert_eq!(left(&gateway.get("/v2/models/m")), Some(992));
    // A crash costs less than a block, which is 1 % of the budget, and grants nothing.
    gateway.kill();
    gateway = gateway.restarted();
    let after = left(&gateway.get("/v2/models/m")).unwrap();
    assert!((983..=992).contains(&after), "{after}");
}

#[test]
fn a_crash_under_load_never_undercharges() {
    const BUDGET: u64 = 5000;
    const BLOCK: u64 = BUDGET / 100;
    let mut probe = start(&format!("[budget]\nvectors = {BUDGET}"), "", "");
    let (mut asked, mut answered) = (1, 1);
    for _crash in 0..3 {
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        let request = probe.infer_many(3);
        let gateway = &probe.gateway;
        thread::scope(|scope| {
            let load = || {
                // Until the gateway is gone.
                loop {
                    let mut connection = match Connection::open(gateway.address, gateway.client_config()) {
                        Ok(connection) => connection,
                        Err(_) => return,
                    };
                    sent.fetch_add(3, Ordering::SeqCst);
                    if connection.write(&request).is_err() {
                        return;
                    }
                    match connection.reply() {
                        Ok(reply) => assert!(left(&reply).is_some()),
                        Err(_) => return,
                    }
                    received.fetch_add(3, Ordering::SeqCst);
                }
            };
            let clients: Vec<_> = (0..3).map(|_| scope.spawn(load)).collect();
            while received.load(Ordering::SeqCst) < 2 * BLOCK {
                assert!(clients.iter().all(|client| !client.is_finished()), "a client failed");
                thread::yield_now();
            }
            gateway.crash();
        });
        asked += sent.into_inner();
        answered += received.into_inner();
        probe.gateway = probe.gateway.restarted();
        let spent = BUDGET - left(&probe.gateway.get("/v2/models/m")).unwrap();
        assert!(spent >= answered, "{spent} spent, but {answered} answered");
        assert!(spent < asked + BLOCK, "{spent} spent for {asked} asked");
        // What the crash cost is spent for good.
        (asked, answered) = (spent, spent);
    }
}

#[test]
fn a_budget_counts_from_when_it_is_set_and_can_be_raised_while_serving() {
    let mut probe = start("", "", "vectors = 1");
    let one = probe.infer_many(1);
    assert_eq!(left(&probe.gateway.send(&one).unwrap()), None);
    assert_eq!(left(&send(&probe.gateway, "b", &one)), Some(0));
    let settings = std::fs::read_to_string(probe.gateway.path("gateway.toml")).unwrap();
    probe.gateway.change_settings(&settings.replace("vectors = 1", "vectors = 3"));
    probe.gateway.reload(2);
    assert_eq!(left(&send(&probe.gateway, "b", &one)), Some(1), "the first one still counts");
}

#[test]
fn clients_without_certificates_share_one_budget() {
    let settings = "data = \"data\"\n[budget]\nvectors = 3\n";
    let setup = Setup::model("flooded").settings(settings).flags(&["--insecure-no-client-auth"]);
    let probe = Probe::start(setup);
    let bare = client_config(&probe.gateway.certificate("ca.pem"), None);
    let one = probe.infer_many(1);
    for wanted in [1, 0] {
        let mut connection = Connection::open(probe.gateway.address, bare.clone()).unwrap();
        connection.write(&one).unwrap();
        assert_eq!(left(&connection.reply().unwrap()), Some(wanted));
    }
    assert_eq!(probe.gateway.send(&one).unwrap().status, 403);
}

#[test]
fn one_process_at_a_time_has_a_data_directory() {
    let mut gateway = start("[budget]\nvectors = 9", "", "").gateway;
    let (code, words) = gateway.second();
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("error[data_in_use]") && words.contains("another gateway uses"), "{words}");
    assert_eq!(left(&gateway.get("/v2/models/m")), Some(8));
    gateway.kill();
    let gateway = gateway.restarted();
    assert_eq!(gateway.get("/v2").status, 200, "a crash leaves no lock behind");
}

#[test]
fn a_damaged_data_directory_is_refused_by_file_and_line() {
    let gateway = start("[budget]\nvectors = 9", "", "").gateway;
    let path = gateway.path("data/budgets.jsonl");
    gateway.terminate();
    gateway.wait_for_log("shutting down");
    let setup = gateway.stopped();
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("damage\n{good}")).unwrap();
    let (code, words) = setup.refusal();
    assert_eq!(code, Some(1));
    assert!(words.contains("budgets.jsonl: line 1") && words.contains("error[data_damaged]"), "{words}");
}

#[test]
fn a_rate_is_the_tenants_own_and_names_the_second_of_its_next_turn() {
    let rate = "vectors_per_minute = 1\nburst = 4";
    let probe = start("", rate, "");
    let metadata = probe.gateway.get("/v2/models/m").json();
    assert_eq!(metadata["parameters"]["maximum_batch"], 4);
    let never = probe.gateway.send(&probe.infer_many(5)).unwrap();
    let error = probe.is_refusal("more than ever", &never, 422, "over_burst");
    assert!(error["error"].as_str().unwrap().contains("at most 4 vectors"), "{error}");
    // One of the four went with the probe's first request.
    assert_eq!(probe.gateway.send(&probe.infer_many(3)).unwrap().status, 200);
    let later = probe.gateway.send(&probe.infer_many(1)).unwrap();
    assert_eq!((later.status, &later.json()["code"]), (429, &"rate_limited".into()));
    assert_eq!((&later.json()["action"], &later.json()["retryable"]), (&"retry_later".into(), &true.into()));
    let seconds: u32 = later.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(send(&probe.gateway, "b", &probe.infer_many(5)).status, 200, "another tenant has no rate");
}

#[test]
fn a_greedy_tenant_does_not_starve_another() {
    const GREEDY: usize = 8;
    const MODEST: usize = 20;
    let probe = start("[limits]\nworkers = 1\nqueue = 2", "", "");
    let (large, small) = (probe.infer_many(64), probe.infer_many(1));
    let (stop, refused, served) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let gateway = &probe.gateway;
    thread::scope(|scope| {
        for _ in 0..GREEDY {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let reply = send(gateway, "client", &large);
                    match reply.status {
                        200 => served.fetch_add(1, Ordering::SeqCst),
                        status => {
                            assert_eq!((status, &reply.json()["code"]), (429, &"queue_full".into()));
                            refused.fetch_add(1, Ordering::SeqCst)
                        }
                    };
                }
            });
        }
        // The greedy tenant has filled every place before the modest one comes.
        while refused.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let answers: Vec<u16> = (0..MODEST).map(|_| send(gateway, "b", &small).status).collect();
        stop.store(true, Ordering::SeqCst);
        assert_eq!(answers, vec![200; MODEST], "each of the modest tenant's requests is served");
    });
    assert!(served.into_inner() > 0, "and the greedy one is served too");
}
