//! Models that come and go while the gateway serves: by SIGHUP, by the repository routes, and what requests for
//! retired ones are told.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;
#[path = "common/probe.rs"]
mod probe;

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use authority::{Authority, TLS};
use common::{
    Gateway, Setup,
    http::{Connection, Reply, client_config, head, request},
    rows,
};
use probe::{HEADER_LENGTH, INFER, Probe, infer};
use serde_json::{Value, json};
use tiresias_client::{Model, oip};

/// Takes a version away at once, as a careful operator does.
fn remove(gateway: &Gateway, version: &str) {
    let aside = gateway.path("aside");
    fs::create_dir_all(&aside).unwrap();
    fs::rename(gateway.path("models").join(version), aside.join(version.replace('/', "-"))).unwrap();
}

fn config_id(gateway: &Gateway, path: &str) -> String {
    gateway.get(path).json()["parameters"]["config_id"].as_str().unwrap().to_owned()
}

fn is_retired(reply: &Reply, newest: Option<(&str, &str)>, case: &str) {
    let error = reply.json();
    assert_eq!((reply.status, error["code"].as_str()), (410, Some("config_retired")), "{case}: {error}");
    assert_eq!((&error["action"], &error["retryable"]), (&"fetch_config".into(), &false.into()));
    let named = error["config_id"].as_str().zip(error["version"].as_str());
    assert_eq!(named, newest, "{case}");
}

#[test]
fn requests_for_a_retired_card_are_told_which_one_to_fetch() {
    // Version 1 has elements of another size than version 2.
    let setup = Setup::model("open-weights").import("gemm.onnx", "m", &["--privacy", "flooded"]);
    let data = setup.path("data");
    let setup = setup.import("gemm.onnx", "n", &[]).flags(&["--data", data.to_str().unwrap()]);
    let probe = Probe::start(setup);
    let (stated, element) =
        (probe.infer_form(|_| {}), probe.infer_form(|form| form["parameters"] = json!({})));
    remove(&probe.gateway, "m/2");
    probe.alive("a removed directory, before the reload");
    probe.gateway.reload(2);
    let first = config_id(&probe.gateway, "/v2/models/m");
    let check = |gateway: &Gateway, first: &str| {
        let newest = Some((first, "1"));
        is_retired(&gateway.send(&stated).unwrap(), newest, "a stated config_id");
        is_retired(&gateway.send(&element).unwrap(), newest, "an element of another size");
        for path in ["", "/ready", "/config"] {
            is_retired(&gateway.get(&format!("/v2/models/m/versions/2{path}")), newest, path);
        }
        let by_version = request("POST", "/v2/models/m/versions/2/infer", &[], b"{}");
        is_retired(&gateway.send(&by_version).unwrap(), newest, "infer by version");
        assert_eq!(gateway.get("/v2/models/m/versions/9").status, 404);
        let mut unknown = json!({"parameters": {"config_id": "0".repeat(64)}, "inputs": []});
        let reply = gateway.send(&infer(INFER, &unknown.to_string(), b"")).unwrap();
        assert_eq!((reply.status, &reply.json()["code"]), (409, &"config_mismatch".into()));
        // A card that is served, if not by this name, is not retired.
        unknown["parameters"]["config_id"] = config_id(gateway, "/v2/models/n").into();
        assert_eq!(gateway.send(&infer(INFER, &unknown.to_string(), b"")).unwrap().status, 409);
    };
    let mut gateway = probe.gateway;
    check(&gateway, &first);
    gateway.terminate();
    gateway = gateway.restarted();
    check(&gateway, &first);
    gateway.kill();
    // What a crash leaves of a line is as if it had never been written.
    let path = gateway.path("data/served.jsonl");
    fs::write(&path, [fs::read(&path).unwrap(), b"{\"config_id\":\"".to_vec()].concat()).unwrap();
    gateway = gateway.restarted();
    check(&gateway, &first);

    // All versions gone: there is nothing to fetch.
    remove(&gateway, "m/1");
    gateway.reload(2);
    is_retired(&gateway.get("/v2/models/m"), None, "a model without versions");
    is_retired(&gateway.send(&stated).unwrap(), None, "the same for infer");
    assert_eq!(gateway.get("/v2/models/n").status, 200);
}

#[test]
fn a_card_changes_its_etag_with_the_reload() {
    let gateway = Setup::model("flooded").start();
    let path = "/v2/models/m/config";
    let etag = |reply: &Reply| reply.header("etag").unwrap().to_owned();
    let first = etag(&gateway.get(path));
    let ask = |etag: &str| gateway.send(&request("GET", path, &[("if-none-match", etag)], b"")).unwrap();
    assert_eq!(ask(&first).status, 304);
    gateway.import("gemm.onnx", "m", &[]);
    assert_eq!(ask(&first).status, 304, "not before the reload");
    gateway.reload(2);
    let reply = ask(&first);
    assert_eq!(reply.status, 200);
    assert_ne!(etag(&reply), first);
    assert_eq!(reply.body, fs::read(gateway.path("models/m/2/card.json")).unwrap());
    assert_eq!(ask(&etag(&reply)).status, 304);
    assert_eq!(etag(&gateway.get("/v2/models/m/versions/1/config")), first);
}

#[test]
fn what_is_broken_takes_nothing_down() {
    let gateway = Setup::model("flooded").start();
    let model = gateway.path("models/m/1/model.bin");
    let good = fs::read(&model).unwrap();
    fs::write(&model, b"broken").unwrap();
    gateway.import("gemm.onnx", "n", &[]);
    gateway.reload(2);
    gateway.wait_for_log("a version of a model could not be loaded");
    assert_eq!((gateway.get("/v2/models/m").status, gateway.get("/v2/models/n").status), (200, 200));

    for name in ["m", "n"] {
        fs::rename(gateway.path("models").join(name), gateway.path(name)).unwrap();
    }
    gateway.reload(3);
    gateway.wait_for_log("holds no model: it stays as it was");
    assert_eq!((gateway.get("/v2/models/m").status, gateway.get("/v2/models/n").status), (200, 200));

    fs::rename(gateway.path("m"), gateway.path("models/m")).unwrap();
    fs::write(&model, good).unwrap();
    gateway.reload(4);
    assert_eq!((gateway.get("/v2/models/m").status, gateway.get("/v2/models/n").status), (200, 410));
    let metrics = gateway.get_metrics("/metrics");
    for line in ["tiresias_reload_total{result=\"ok\"} 1\n", "tiresias_reload_total{result=\"failed\"} 2\n"] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[test]
fn operators_load_and_unload_models_and_no_one_else() {
    let setup = Setup::model("flooded").own_certificates();
    let authority = Authority::new(&setup.path("tls"), &["client", "op"]);
    let tenants = authority.tenant("client", "") + &authority.tenant("op", "operator = true");
    let gateway = setup.import("gemm.onnx", "n", &[]).settings(&format!("{TLS}{tenants}")).start();
    let post = |name: &str, path: &str, body: &str| {
        let config = client_config(&gateway.certificate("ca.pem"), Some((&gateway.path("tls"), name)));
        let mut connection = Connection::open(gateway.address, config).unwrap();
        let path = format!("/v2/repository/{path}");
        connection.write(&request("POST", &path, &[], body.as_bytes())).unwrap();
        connection.reply().unwrap()
    };
    let refused = |reply: Reply, status: u16, code: &str| {
        assert_eq!((reply.status, &reply.json()["code"]), (status, &code.into()));
    };
    let index = |body: &str| {
        let entries = post("client", "index", body).json();
        let words = |entry: &Value| {
            ["name", "version", "state", "reason"].map(|key| entry[key].as_str().unwrap()).join(" ")
        };
        entries.as_array().unwrap().iter().map(words).collect::<Vec<_>>()
    };
    for route in ["models/m/load", "models/m/unload", "models/absent/load"] {
        refused(post("client", route, ""), 403, "not_operator");
    }
    assert_eq!(index(""), ["m 1 READY ", "n 1 READY "]);

    gateway.import("gemm.onnx", "m", &[]);
    assert_eq!(index("{}").len(), 2, "an import is not served before it is loaded");
    let loaded = post("op", "models/m/load", "");
    assert_eq!((loaded.status, loaded.json()), (200, json!({})));
    assert_eq!(index("{\"ready\": true}"), ["m 1 READY ", "m 2 READY ", "n 1 READY "]);

    assert_eq!(post("op", "models/m/unload", "{\"parameters\":{\"unload_dependents\":true}}").status, 200);
    gateway.reload(2);
    assert_eq!(index(""), ["m 1 UNAVAILABLE unloaded", "m 2 UNAVAILABLE unloaded", "n 1 READY "]);
    assert_eq!(index("{\"ready\": true}"), ["n 1 READY "]);
    is_retired(&gateway.get("/v2/models/m"), None, "an unloaded model");
    remove(&gateway, "m/2");
    assert_eq!(post("op", "models/m/load", "{}").status, 200);
    assert_eq!(index(""), ["m 1 READY ", "n 1 READY "]);

    gateway.import("gemm.onnx", "m", &[]);
    fs::remove_file(gateway.path("models/m/2/model.bin")).unwrap();
    refused(post("op", "models/m/load", ""), 422, "load_failed");
    assert_eq!(index(""), ["m 1 READY ", "m 2 UNAVAILABLE io", "n 1 READY "]);
    for name in ["absent", "..", "%2e%2e"] {
        refused(post("op", &format!("models/{name}/load"), ""), 404, "unknown_model");
        refused(post("op", &format!("models/{name}/unload"), ""), 404, "unknown_model");
    }
    for body in ["{\"parameters\":{\"config\":\"x\"}}", "[]", "x", "{\"parameters\":7}"] {
        refused(post("op", "models/m/load", body), 422, "malformed_request");
    }
    refused(post("op", "index", "{\"ready\": 1}"), 422, "malformed_request");
    refused(post("op", "models/m/load", &" ".repeat(20_000)), 413, "too_large");
    // A restart begins with all that is in the repository.
    assert_eq!(post("op", "models/n/unload", "").status, 200);
    fs::remove_dir_all(gateway.path("models/m/2")).unwrap();
    gateway.terminate();
    let gateway = gateway.restarted();
    assert_eq!(gateway.get("/v2/models/n").status, 200);
}

/// One client that uses a version until it is retired, on one connection or on a fresh one each time.
struct Client<'a> {
    gateway: &'a Gateway,
    connection: Option<Connection>,
    keep: bool,
}

impl Client<'_> {
    fn send(&mut self, method: &str, path: &str, header_length: usize, body: &[u8]) -> Reply {
        let (length, header_length) = (body.len().to_string(), header_length.to_string());
        let headers = [("host", "localhost"), ("content-length", &length), (HEADER_LENGTH, &header_length)];
        let request = [head(method, path, &headers), body.to_vec()].concat();
        let mut connection = self.connection.take().unwrap_or_else(|| self.gateway.connect());
        connection.write(&request).unwrap();
        let reply = connection.reply().unwrap();
        self.connection = self.keep.then_some(connection);
        reply
    }

    /// Returns how many answers were scores and how often a version was retired.
    fn run(&mut self, scores: &[i64], stop: &AtomicBool, retired: &AtomicUsize) -> usize {
        let row = &rows()[0];
        let (mut answered, mut model) = (0, None);
        while !stop.load(Ordering::Relaxed) {
            let current = model.get_or_insert_with(|| {
                let reply = self.send("GET", "/v2/models/m/config", 0, b"");
                assert_eq!(reply.status, 200);
                Model::from_card(reply.body).unwrap()
            });
            let encrypted = current.encrypt(row, None).unwrap();
            let body = oip::request_body(current, None, &[&encrypted.element]);
            let path = format!("/v2/models/m/versions/{}/infer", current.card().version());
            let reply = self.send("POST", &path, body.header_length, &body.bytes);
            match reply.status {
                200 => {
                    let length = reply.header(HEADER_LENGTH).unwrap().parse().unwrap();
                    let answer = oip::read_response(&reply.body, length, "scores").unwrap();
                    let diagnosis = current.decrypt(0, encrypted.pending, &answer.elements[0], None).unwrap();
                    assert_eq!(diagnosis.finding.scores_q(), scores);
                    answered += 1;
                }
                _ => {
                    let error = reply.json();
                    assert_eq!((reply.status, &error["code"]), (410, &"config_retired".into()), "{error}");
                    assert!(error["config_id"].as_str().is_some_and(|id| id != current.config().to_string()));
                    retired.fetch_add(1, Ordering::Relaxed);
                    model = None;
                }
            }
        }
        answered
    }
}

#[test]
fn a_reload_under_load_loses_no_request() {
    const CLIENTS: usize = 4;
    const ROUNDS: u32 = 200;
    let gateway = Setup::model("flooded").import("gemm.onnx", "m", &[]).start();
    let scores = gateway.clear_scores("m").remove(0);
    let (stop, retired) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; CLIENTS]);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let mut client = Client { gateway: &gateway, connection: None, keep: index % 2 == 0 };
                let (scores, stop, retired) = (&scores, &stop, &retired[index]);
                scope.spawn(move || client.run(scores, stop, retired))
            })
            .collect();
        let seen = || retired.iter().all(|count| count.load(Ordering::Relaxed) >= 2);
        for round in (1..=ROUNDS).take_while(|_| !seen()) {
            assert!(clients.iter().all(|client| !client.is_finished()), "a client failed");
            gateway.import("gemm.onnx", "m", &[]);
            remove(&gateway, &format!("m/{round}"));
            gateway.reload(round + 1);
        }
        stop.store(true, Ordering::Relaxed);
        for (client, retired) in clients.into_iter().zip(&retired) {
            assert!(client.join().unwrap() > 0);
            assert!(retired.load(Ordering::Relaxed) >= 2, "{ROUNDS} versions were not retired under it");
        }
    });
    assert!(!gateway.log().contains("ERROR"), "{}", gateway.log());
}
