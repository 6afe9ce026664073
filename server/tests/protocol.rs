//! The routes beside inference, as the Open Inference Protocol states them.

mod common;

use common::{Setup, http::request};
use serde_json::json;
use tiresias_keys::ConfigId;

#[test]
fn health_metadata_and_index_have_their_documented_form() {
    let setup = Setup::model("flooded").import("gemm.onnx", "m", &["--bits", "6"]);
    let gateway = setup.import("gemm.onnx", "n", &["--privacy", "open-weights"]).start();
    for (path, expected) in [
        ("/v2/health/live", json!({"live": true})),
        ("/v2/health/ready", json!({"live": true, "ready": true})),
        ("/v2/models/m/ready", json!({"name": "m", "ready": true})),
        ("/v2/models/m/versions/1/ready", json!({"name": "m", "ready": true})),
        (
            "/v2",
            json!({
                "name": "tiresias-gateway",
                "version": env!("CARGO_PKG_VERSION"),
                "extensions": ["binary_tensor_data", "model_repository", "tiresias_config", "tiresias_approval"],
            }),
        ),
    ] {
        let reply = gateway.get(path);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{path}");
        assert_eq!(reply.json(), expected, "{path}");
    }

    let index = gateway.send(&request("POST", "/v2/repository/index", &[], b"{}")).unwrap();
    let entry = |name, version| json!({"name": name, "version": version, "state": "READY", "reason": ""});
    assert_eq!(index.json(), json!([entry("m", "1"), entry("m", "2"), entry("n", "1")]));

    let config = ConfigId::of_card(&gateway.get("/v2/models/m/versions/2/config").body).to_string();
    let tensor = |name| json!([{"name": name, "datatype": "BYTES", "shape": [-1]}]);
    for path in ["/v2/models/m", "/v2/models/m/versions/2"] {
        let mut metadata = gateway.get(path).json();
        let parameters = metadata["parameters"].take();
        assert_eq!(parameters["config_id"], config);
        assert_eq!(parameters["maximum_batch"], 256);
        assert!(parameters["maximum_body_bytes"].as_u64().unwrap() > 256 * 25_000);
        assert_eq!(
            metadata,
            json!({
                "name": "m",
                "versions": ["1", "2"],
                "platform": "tiresias_linear",
                "inputs": tensor("features"),
                "outputs": tensor("scores"),
                "parameters": null,
            })
        );
    }
    assert_ne!(gateway.get("/v2/models/m/versions/1").json()["parameters"]["config_id"], config);
}

#[test]
fn cards_are_served_byte_for_byte_with_their_id_as_etag() {
    let gateway = Setup::model("flooded").start();
    let path = "/v2/models/m/config";
    let reply = gateway.get(path);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.body, std::fs::read(gateway.path("models/m/1/card.json")).unwrap());
    let etag = reply.header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", ConfigId::of_card(&reply.body)));
    for known in [etag.clone(), format!("\"other\", {etag}"), "*".into()] {
        let reply = gateway.send(&request("GET", path, &[("if-none-match", &known)], b"")).unwrap();
        assert_eq!((reply.status, reply.header("etag"), reply.body.len()), (304, Some(etag.as_str()), 0));
    }
    for unknown in ["\"other\"", "", &etag[1..]] {
        let again = gateway.send(&request("GET", path, &[("if-none-match", unknown)], b"")).unwrap();
        assert_eq!((again.status, again.body), (200, reply.body.clone()), "{unknown}");
    }
}

#[test]
fn unknown_query_parameters_change_nothing() {
    let gateway = Setup::model("flooded").start();
    for path in ["/v2", "/v2/health/live", "/v2/models/m", "/v2/models/m/config"] {
        let (plain, with_query) = (gateway.get(path), gateway.get(&format!("{path}?verbose=1&x=%2F&&y")));
        assert_eq!((plain.status, plain.body), (with_query.status, with_query.body), "{path}");
    }
}

#[test]
fn the_log_has_one_line_a_request() {
    let mut gateway = Setup::model("flooded").start();
    assert_eq!(gateway.get("/v2/models/m/config").status, 200);
    assert_eq!(gateway.get("/v2/absent-7c1f?secret=9d2e").status, 404);
    gateway.terminate();
    gateway.wait_for_log("shutting down");
    assert!(gateway.wait().success());
    let log = gateway.log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!((lines("answered"), lines("refused")), (1, 1), "{log}");
    assert_eq!(lines("route=\"config\" status=200"), 1, "{log}");
    assert_eq!(lines("status=404 code=\"unknown_route\""), 1, "{log}");
    for private in ["7c1f", "9d2e", "127.0.0.1"] {
        assert_eq!(lines(private), 0, "paths, queries and addresses stay out of the log: {log}");
    }
}
