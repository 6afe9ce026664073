//! How the gateway ends, and when it does not begin.

mod common;
#[path = "common/probe.rs"]
mod probe;

use std::{fs, net::TcpListener, net::TcpStream, process::Command, thread};

use common::{Setup, http::head, program};
use probe::{HEADER_LENGTH, INFER, Probe, binary};

#[test]
fn a_request_in_flight_is_answered_before_the_end() {
    let mut probe = Probe::start(Setup::model("flooded"));
    let elements = probe.elements(64);
    let binary = binary(&elements.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let form = probe.form(64, binary.len()).to_string();
    let body = [form.as_bytes(), &binary].concat();
    let (length, header_length) = (body.len().to_string(), form.len().to_string());
    let head = head(
        "POST",
        INFER,
        &[
            ("host", "localhost"),
            ("content-length", &length),
            (HEADER_LENGTH, &header_length),
            ("expect", "100-continue"),
        ],
    );
    let mut idle = probe.gateway.connect();
    let mut connection = probe.gateway.connect();
    connection.write(&head).unwrap();
    assert_eq!(connection.reply().unwrap().status, 100, "the gateway waits for the body");

    probe.gateway.terminate();
    probe.gateway.wait_for_log("shutting down");
    assert!(TcpStream::connect(probe.gateway.address).is_err(), "new connections are refused");
    assert!(idle.byte().is_err(), "idle connections are closed");
    let health = probe.gateway.get_metrics("/health");
    assert!(health.starts_with("HTTP/1.1 503 ") && health.ends_with("{\"ready\":false}"), "{health}");

    connection.write(&body).unwrap();
    let reply = connection.reply().unwrap();
    assert_eq!(reply.status, 200);
    let answer = probe.model.card().plan().response_shape().encoded_len();
    assert!(reply.body.len() > 64 * answer);
    assert!(connection.byte().is_err(), "the connection ends behind its answer");
    assert_eq!(probe.gateway.wait().code(), Some(0));
    assert!(!probe.gateway.log().contains("panicked"));
}

#[test]
fn an_evaluation_that_runs_is_finished_before_the_end() {
    const ROUNDS: usize = 20;
    for round in 0..ROUNDS {
        let mut probe = Probe::start(Setup::model("flooded"));
        let request = probe.infer_many(256);
        let gateway = &probe.gateway;
        let (reply, was_running) = thread::scope(|scope| {
            let answer = scope.spawn(|| gateway.send(&request).unwrap());
            let mut running = false;
            while !running && !answer.is_finished() {
                running = gateway.get_metrics("/metrics").contains("tiresias_pending_request_count 1\n");
            }
            gateway.terminate();
            (answer.join().unwrap(), running)
        });
        assert_eq!(reply.status, 200);
        assert_eq!(probe.gateway.wait().code(), Some(0));
        if was_running {
            return;
        }
        assert!(round + 1 < ROUNDS, "no evaluation was long enough to be seen");
    }
}

#[test]
fn a_connection_that_never_spoke_does_not_hold_up_the_end() {
    let settings = "[limits]\nheader_timeout_s = 3600\nshutdown_timeout_s = 3\n";
    let mut probe = Probe::start(Setup::model("flooded").settings(settings));
    let silent = TcpStream::connect(probe.gateway.address).unwrap();
    // Connections are accepted in order: once this one is served, the silent one is in the gateway's hands.
    probe.alive("a silent connection");
    probe.gateway.terminate();
    assert_eq!(probe.gateway.wait().code(), Some(0));
    drop(silent);
    let log = probe.gateway.log();
    assert!(!log.contains("still in flight"), "there was no request in flight: {log}");
}

#[test]
fn a_repository_that_is_not_whole_is_refused() {
    let refusal = |setup: Setup, parts: &[&str]| {
        let (code, words) = setup.refusal();
        assert_eq!(code, Some(1), "{words}");
        assert!(words.lines().last().unwrap().starts_with("tiresias-gateway: "), "{words}");
        assert!(!words.contains("panicked"), "{words}");
        for part in parts {
            assert!(words.contains(part), "{words} lacks {part}");
        }
    };
    refusal(Setup::empty(), &["holds no model", "import one first"]);

    let missing = Setup::empty();
    fs::remove_dir(missing.path("models")).unwrap();
    refusal(missing, &["models", "No such file"]);

    let model = |change: fn(Vec<u8>) -> Vec<u8>| {
        let setup = Setup::model("flooded");
        let path = setup.path("models/m/1/model.bin");
        fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
        setup
    };
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 1].to_vec();
    refusal(model(cut), &["model.bin", "import the head again"]);
    refusal(model(|_| Vec::new()), &["model.bin", "import the head again"]);
    let flip = |mut bytes: Vec<u8>| {
        bytes[10] ^= 1;
        bytes
    };
    refusal(model(flip), &["model.bin", "belong to another card"]);

    let card = |from: &str, to: &str| {
        let setup = Setup::model("flooded");
        let path = setup.path("models/m/1/card.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "the test's own text: {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        setup
    };
    refusal(card("\"flooded\"", "\"open-weights\""), &["card.json", "states another"]);
    refusal(card("\"version\": 1", "\"version\": 2"), &["card.json", "not that of its directory"]);
    refusal(
        card("\"gateway_seed\": \"", "\"gateway_seed\": \"0"),
        &["card.json", "64 lowercase hexadecimal"],
    );
    refusal(card("{", ""), &["card.json", "malformed"]);
    // A valid card, but not the one that the weights were stored with.
    refusal(card("}\n", "}\n\n"), &["model.bin", "belong to another card"]);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refusal = |setup: Setup, parts: &[&str]| {
        let (code, words) = setup.refusal();
        assert_eq!(code, Some(1), "{words}");
        assert!(words.contains("tiresias-gateway: error[") && !words.contains("panicked"), "{words}");
        for part in parts {
            assert!(words.contains(part), "{words} lacks {part}");
        }
    };
    let model = || Setup::model("flooded");
    refusal(model().settings("colour = 1\n"), &["gateway.toml", "colour", "line 1"]);
    refusal(model().settings("[limits]\nbatches = 1\n"), &["gateway.toml", "batches"]);
    refusal(model().settings("[limits]\nbatch = \"many\"\n"), &["gateway.toml", "batch"]);
    refusal(model().settings("[limits]\nbatch = 0\n"), &["batch 1 to 4096"]);
    refusal(model().settings("[limits\n"), &["gateway.toml"]);
    refusal(
        model().settings("[[tenants]]\nname = \"a\"\npublic_key_sha256 = \"AB\"\n"),
        &["public_key_sha256"],
    );
    refusal(model().settings("device = \"gpu\"\n"), &["gateway.toml", "auto, cpu or cuda:N"]);
    refusal(model().own_certificates(), &["--tls-cert", "--tls-self-signed"]);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refusal(model().flags(&["--listen", &address]), &[&address, "in use"]);

    for (name, content, part) in
        [("key.pem", None, "No such file"), ("key.pem", Some("no key"), "private key")]
    {
        let setup = model().own_certificates();
        tiresias_server::tls::ensure_self_signed(&setup.path("own")).unwrap();
        let key = setup.path(name);
        if let Some(content) = content {
            fs::write(&key, content).unwrap();
        }
        let settings =
            format!("[tls]\ncert = \"own/server.pem\"\nkey = \"{name}\"\nclient_ca = \"own/ca.pem\"\n");
        refusal(setup.settings(&settings), &[key.to_str().unwrap(), part]);
    }
    let setup = model().own_certificates();
    tiresias_server::tls::ensure_self_signed(&setup.path("own")).unwrap();
    let foreign =
        "[tls]\ncert = \"own/server.pem\"\nkey = \"own/client-key.pem\"\nclient_ca = \"own/ca.pem\"\n";
    refusal(setup.settings(foreign), &["TLS"]);
}

#[test]
fn a_wrong_command_line_is_no_failure_but_wrong_usage() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["serve", "--colour"],
        &["serve", "--listen", "nowhere"],
        &["import", "head.onnx"],
        &["import", "h.onnx", "--calibration", "f.npy", "--name", "m", "--repo", "r", "--bits", "many"],
        &["inspect", "--repo", "r"],
        &["evaluate", "--repo", "r", "--name", "m"],
    ] {
        let output = Command::new(program()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8(output.stderr).unwrap().contains("--help"), "{arguments:?}");
    }
}
