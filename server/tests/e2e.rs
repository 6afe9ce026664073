//! From features to scores through a gateway process: what a clinic decrypts is what the clear twin computes, to the
//! last integer, by every way the protocol offers.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{
    Gateway, Setup,
    http::{Reply, request},
    rows,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::json;
use tiresias_circuits::scores::decode_phases;
use tiresias_client::{Model, diagnosis::Pending, diagnosis::RequestKey, http::Connection, oip};
use tiresias_keys::{Digest, EncryptedScores};
use tiresias_secret_key::danger::decrypt_and_keep;

const KINDS: [&str; 2] = ["flooded", "open-weights"];

fn model(gateway: &Gateway) -> Model {
    Model::from_card(gateway.get("/v2/models/m/config").body).unwrap()
}

/// Encrypts rows, each under a key of its own.
fn encrypt(model: &Model, rows: &[Vec<f64>]) -> (Vec<Vec<u8>>, Vec<Pending>) {
    rows.iter().map(|row| model.encrypt(row, None).unwrap()).map(|one| (one.element, one.pending)).unzip()
}

fn body(model: &Model, elements: &[Vec<u8>]) -> oip::Body {
    oip::request_body(model, None, &elements.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn infer_request(body: &oip::Body) -> Vec<u8> {
    let length = body.header_length.to_string();
    request("POST", "/v2/models/m/infer", &[(oip::HEADER_LENGTH, &length)], &body.bytes)
}

/// The elements of a binary response.
fn elements(reply: &Reply) -> Vec<Vec<u8>> {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let length = reply.header(oip::HEADER_LENGTH).unwrap().parse().unwrap();
    oip::read_response(&reply.body, length, "scores").unwrap().elements
}

fn decrypt(model: &Model, pending: Vec<Pending>, elements: &[Vec<u8>]) -> Vec<Vec<i64>> {
    assert_eq!(pending.len(), elements.len());
    let read = |(pending, element): (_, &Vec<u8>)| {
        model.decrypt(0, pending, element, None).unwrap().finding.scores_q().to_vec()
    };
    pending.into_iter().zip(elements).map(read).collect()
}

#[tokio::test]
async fn the_clinics_library_reads_the_clear_scores() {
    for kind in KINDS {
        let gateway = Setup::model(kind).start();
        let mut connection = Connection::open(&gateway.options()).await.unwrap();
        let model = connection.fetch_model("m", None).await.unwrap();
        assert_eq!(model.card().plan().privacy().name(), kind);
        let expected = gateway.evaluate("m", &common::fixture("features.npy"));
        assert_eq!(expected.len(), 20);
        for (index, row) in rows().iter().enumerate() {
            let encrypted = model.encrypt(row, None).unwrap();
            let request = oip::request_body(&model, None, &[&encrypted.element]);
            let answer = connection.infer(&model, request, 1).await.unwrap();
            assert!(answer.evaluate_us.is_some());
            let [element] = answer.elements.as_slice() else { panic!("one element in, one out") };
            let diagnosis = model.decrypt(index, encrypted.pending, element, None).unwrap();
            assert_eq!(serde_json::to_value(&diagnosis).unwrap(), expected[index], "{kind}");
        }
    }
}

#[tokio::test]
async fn http2_carries_the_same_requests() {
    for kind in KINDS {
        let gateway = Setup::model(kind).start();
        let mut config = gateway.client_config();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);

        let mut send = async |method: &str, path: &str, header_length: usize, body: Vec<u8>| {
            let request = Request::builder()
                .method(method)
                .uri(format!("{}{path}", gateway.url))
                .header(oip::HEADER_LENGTH, header_length)
                .body(Full::<Bytes>::from(body))
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let length =
                response.headers().get(oip::HEADER_LENGTH).map(|value| value.to_str().unwrap().parse());
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (body.to_vec(), length.map_or(0, Result::unwrap))
        };
        let model = Model::from_card(send("GET", "/v2/models/m/config", 0, Vec::new()).await.0).unwrap();
        let mut scores = Vec::new();
        for row in &rows() {
            let (sent, pending) = encrypt(&model, std::slice::from_ref(row));
            let request = body(&model, &sent);
            let (answer, length) =
                send("POST", "/v2/models/m/infer", request.header_length, request.bytes).await;
            let answer = oip::read_response(&answer, length, "scores").unwrap();
            scores.extend(decrypt(&model, pending, &answer.elements));
        }
        assert_eq!(scores, gateway.clear_scores("m"), "{kind}");
    }
}

#[test]
fn many_vectors_in_one_request_are_answered_in_order() {
    for kind in KINDS {
        let gateway = Setup::model(kind).start();
        let model = model(&gateway);
        let (sent, pending) = encrypt(&model, &rows());
        let reply = gateway.send(&infer_request(&body(&model, &sent))).unwrap();
        assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
        assert_eq!(decrypt(&model, pending, &elements(&reply)), gateway.clear_scores("m"), "{kind}");
    }
}

#[test]
fn json_with_base64_asks_and_answers_too() {
    let gateway = Setup::model("flooded").start();
    let model = model(&gateway);
    let (sent, pending) = encrypt(&model, &rows()[..3]);
    let data: Vec<String> = sent.iter().map(|element| STANDARD.encode(element)).collect();
    let form = json!({
        "id": "patient 7",
        "inputs": [{"name": "features", "datatype": "BYTES", "shape": [3], "data": data}],
    });
    let plain = request("POST", "/v2/models/m/infer", &[], form.to_string().as_bytes());
    let reply = gateway.send(&plain).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header(oip::HEADER_LENGTH), None);
    let answer = reply.json();
    assert_eq!(answer["id"], "patient 7");
    assert_eq!((&answer["model_name"], &answer["model_version"]), (&json!("m"), &json!("1")));
    assert_eq!(answer["parameters"]["config_id"], model.config().to_string());
    let output = &answer["outputs"][0];
    assert_eq!(
        (&output["name"], &output["datatype"], &output["shape"]),
        (&json!("scores"), &json!("BYTES"), &json!([3]))
    );
    let texts: Vec<String> = serde_json::from_value(output["data"].clone()).unwrap();
    let received: Vec<Vec<u8>> = texts.iter().map(|text| STANDARD.decode(text).unwrap()).collect();
    assert_eq!(decrypt(&model, pending, &received), gateway.clear_scores("m")[..3]);
}

#[test]
fn the_same_request_gets_a_fresh_answer_each_time() {
    let gateway = Setup::model("flooded").start();
    let model = model(&gateway);
    let (sent, pending) = encrypt(&model, &rows()[..1]);
    let request = infer_request(&body(&model, &sent));
    let first = elements(&gateway.send(&request).unwrap()).remove(0);
    let second = elements(&gateway.send(&request).unwrap()).remove(0);
    // The header, the config id and the request's digest are the same; the ciphertext behind them is another.
    assert_eq!(first[..72], second[..72]);
    let same = first[72..].iter().zip(&second[72..]).filter(|(one, other)| one == other).count();
    assert!(same < (first.len() - 72) / 50, "{same} bytes are the same; chance makes one in 256 so");
    let plan = model.card().plan();
    let shape = plan.response_shape();
    for answer in [first, second] {
        let answer =
            EncryptedScores::from_bytes(&answer, &shape, model.config(), &pending[0].digest).unwrap();
        let RequestKey::OneTime(key) = &pending[0].key else { unreachable!("scores need no other key") };
        let phases = decrypt_and_keep(key, &answer, &shape).unwrap();
        assert_eq!(decode_phases(plan, phases.as_slice()), gateway.clear_scores("m")[0]);
    }
}

#[tokio::test]
async fn the_newest_version_answers_unless_another_is_named() {
    let setup =
        Setup::model("flooded").import("matmul_only.onnx", "m", &[]).import("gemm.onnx", "other", &[]);
    let gateway = setup.start();
    let mut connection = Connection::open(&gateway.options()).await.unwrap();
    let newest = connection.fetch_model("m", None).await.unwrap();
    assert_eq!(newest.card().version(), 2);
    let oldest = connection.fetch_model("m", Some(1)).await.unwrap();
    assert_eq!(oldest.card().version(), 1);
    assert_ne!(oldest.config(), newest.config());
    let (sent, pending) = encrypt(&newest, &rows());
    let answer = connection.infer(&newest, body(&newest, &sent), sent.len()).await.unwrap();
    assert_eq!(decrypt(&newest, pending, &answer.elements), gateway.clear_scores("m"));
    let (sent, pending) = encrypt(&oldest, &rows());
    let answer = connection.infer(&oldest, body(&oldest, &sent), sent.len()).await.unwrap();
    // Version 1 of `m` and version 1 of `other` are the same head.
    assert_eq!(decrypt(&oldest, pending, &answer.elements), gateway.clear_scores("other"));
}

#[test]
fn metrics_count_requests_and_name_no_one() {
    let gateway = Setup::model("flooded").start();
    let model = model(&gateway);
    let (sent, _) = encrypt(&model, &rows()[..4]);
    let (single, batch) = (body(&model, &sent[..1]), body(&model, &sent));
    let mut response_bytes = 0;
    for (request, vectors) in [(&single, 1), (&single, 1), (&batch, 4)] {
        let reply = gateway.send(&infer_request(request)).unwrap();
        assert_eq!(elements(&reply).len(), vectors);
        response_bytes += reply.body.len();
    }
    assert_eq!(gateway.get("/v2/models/absent").status, 404);
    let text = gateway.get_metrics("/metrics");
    let request_bytes = 2 * single.bytes.len() + batch.bytes.len();
    for line in [
        "tiresias_inference_request_success_total{model=\"m\",version=\"1\"} 3",
        "tiresias_inference_count_total{model=\"m\",version=\"1\"} 6",
        "tiresias_inference_request_failure_total{reason=\"unknown_model\"} 1",
        "tiresias_tls_key_exchange_total{group=\"X25519MLKEM768\"} 5",
        "tiresias_tls_handshake_failure_total 0",
        "tiresias_pending_request_count 0",
        "tiresias_request_duration_seconds_count 3",
        "tiresias_compute_infer_duration_seconds_count 3",
        &format!("tiresias_request_bytes_total {request_bytes}"),
        &format!("tiresias_response_bytes_total {response_bytes}"),
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // Labels are the documented ones, so that no tenant and no request can be told from another.
    for label in text.split(['{', ',']).filter_map(|part| part.split_once("=\"")).map(|(label, _)| label) {
        assert!(["model", "version", "reason", "result", "group", "le"].contains(&label), "{label}");
    }
    let certificate = CertificateDer::from_pem_file(gateway.certificate("client.pem")).unwrap();
    let key = webpki::EndEntityCert::try_from(&certificate).unwrap().subject_public_key_info();
    let tenant = Digest::of(&key).to_string();
    assert!(gateway.log().contains(&tenant[..16]), "the log names the tenant by the hash of its key");
    for secret in [&tenant[..16], &model.config().to_string()[..16], "127.0.0.1", "Tiresias clinic"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(gateway.get_metrics("/health").ends_with("{\"ready\":true}"));
    assert!(gateway.get_metrics("/v2").starts_with("HTTP/1.1 404 "));
}
