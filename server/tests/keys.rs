//! Evaluation keys over TLS: what is taken, what is refused, and what a crash leaves.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;

use std::sync::{Arc, LazyLock};

use authority::{Authority, TLS};
use common::{
    Gateway, Setup,
    http::{Connection, Reply, client_config, head, request},
};
use http_body_util::Full;
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tiresias_evidence::{Event, NoteVerifier, Receipt};
use tiresias_keys::{EvaluationKey, KeyId, Seed, bootstrap_parameters::N918_N2048_Q50};

/// A conforming frame of uniform residues, 23.5 MB.
static FRAME: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let seed = Seed::from_bytes([5; 32]);
    let body = EvaluationKey::rotation_mask(&N918_N2048_Q50, &seed, 0);
    let rotation = body.repeat(N918_N2048_Q50.rotation_rows());
    let keyswitch = vec![7; N918_N2048_Q50.keyswitch_rows()];
    EvaluationKey::new(&N918_N2048_Q50, seed, rotation, keyswitch).to_bytes()
});

fn path(frame: &[u8]) -> String {
    format!("/v2/keys/{}", KeyId::of_evaluation_key(frame))
}

fn ask(gateway: &Gateway, method: &str, path: &str) -> Reply {
    gateway.send(&request(method, path, &[], b"")).unwrap()
}

/// Sends a body where the gateway wants to read it.
fn put(gateway: &Gateway, path: &str, body: &[u8]) -> Reply {
    put_part(gateway, path, body.len(), body)
}

/// Declares `length` bytes and sends these, which must be enough for an answer.
fn put_part(gateway: &Gateway, path: &str, length: usize, body: &[u8]) -> Reply {
    put_with(gateway, path, &[("content-length", &length.to_string()), ("expect", "100-continue")], body)
}

fn put_with(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut connection = gateway.connect();
    let framing = [("host", "localhost"), ("connection", "close")];
    connection.write(&head("PUT", path, &[&framing, headers].concat())).unwrap();
    match connection.reply().unwrap() {
        reply if reply.status == 100 => {
            connection.write(body).unwrap();
            connection.reply().unwrap()
        }
        reply => reply,
    }
}

fn expect(reply: &Reply, status: u16, code: &str) {
    let text = String::from_utf8_lossy(&reply.body);
    assert_eq!(reply.status, status, "{text}");
    if !code.is_empty() {
        assert_eq!(reply.json()["code"], code);
    }
}

#[test]
fn a_key_is_stored_listed_and_deleted_and_outlives_a_restart() {
    let gateway = Setup::model("flooded").with_data().start();
    let path = path(&FRAME);
    expect(&ask(&gateway, "GET", &path), 404, "key_unknown");
    assert_eq!(ask(&gateway, "GET", &path).json()["action"], "upload_key");
    let uploads = [put(&gateway, &path, &FRAME), put(&gateway, &path, &FRAME)];
    expect(&uploads[0], 201, "");
    expect(&uploads[1], 200, "");
    let log = NoteVerifier::parse(gateway.log_key.as_ref().unwrap()).unwrap();
    let logged = |reply: &Reply, event| {
        let receipt = Receipt::parse(reply.json()["receipt"].as_str().unwrap()).unwrap();
        receipt.verify(&log).unwrap();
        let key = KeyId::of_evaluation_key(&FRAME);
        assert_eq!((receipt.leaf.event, receipt.leaf.key), (event, Some(*key.as_bytes())));
    };
    uploads.iter().for_each(|reply| logged(reply, Event::KeyUploaded));
    let key = ask(&gateway, "GET", &path).json();
    assert_eq!((&key["parameters"], &key["state"]), (&"N918_N2048_Q50".into(), &"ready".into()));
    assert_eq!(key["bytes"], FRAME.len());
    assert_eq!(key["expires_at"].as_u64().unwrap() - key["uploaded_at"].as_u64().unwrap(), 90 * 86_400);
    assert_eq!(ask(&gateway, "GET", "/v2/keys").json()["keys"], serde_json::json!([key]));
    expect(&ask(&gateway, "POST", &path), 405, "method_not_allowed");

    let mut gateway = gateway;
    gateway.kill();
    let gateway = gateway.restarted();
    assert_eq!(ask(&gateway, "GET", &path).json()["id"], key["id"]);
    assert!(gateway.get_metrics("/metrics").contains("tiresias_evaluation_keys 1\n"));
    let deleted = ask(&gateway, "DELETE", &path);
    expect(&deleted, 200, "");
    assert_eq!(deleted.json()["id"], key["id"]);
    logged(&deleted, Event::KeyRemoved);
    expect(&ask(&gateway, "DELETE", &path), 404, "key_unknown");
    expect(&ask(&gateway, "GET", &path), 404, "key_unknown");
}

#[test]
fn what_is_no_key_is_refused_before_it_is_read_where_that_can_be() {
    let gateway = Setup::model("flooded").with_data().settings("[keys]\nper_tenant = 1\n").start();
    let good = path(&FRAME);
    let length = FRAME.len().to_string();
    let mut changed = FRAME.clone();
    changed[1 << 20] ^= 0x10;
    let mut other_set = FRAME.clone();
    other_set[5] = 9;
    let random: Vec<u8> = (0..64_u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let huge = [("content-length", "10000000000")];
    let overflow = [("content-length", "99999999999999999999")];
    for (reply, status, code) in [
        (put_with(&gateway, &good, &huge, b""), 413, "key_too_large"),
        (put_with(&gateway, &good, &overflow, b""), 400, ""),
        (
            put_with(&gateway, &good, &[("transfer-encoding", "chunked")], b"0\r\n\r\n"),
            411,
            "length_required",
        ),
        (put(&gateway, &good, b""), 422, "malformed_request"),
        (put(&gateway, &good, &FRAME[..FRAME.len() - 1]), 422, "malformed_request"),
        // The first bytes suffice for these.
        (put_part(&gateway, &good, FRAME.len(), &random), 422, "malformed_key"),
        (put_part(&gateway, &good, FRAME.len(), &other_set[..8]), 422, "malformed_key"),
        (put(&gateway, &good, &changed), 422, "wrong_key_id"),
        (put(&gateway, &path(&changed), &changed), 422, "malformed_key"),
        (put(&gateway, "/v2/keys/short", &FRAME), 422, "malformed_key"),
        (
            put_with(&gateway, &good, &[("content-length", &length), ("content-encoding", "gzip")], b""),
            415,
            "unsupported_encoding",
        ),
    ] {
        expect(&reply, status, code);
        assert_eq!(ask(&gateway, "GET", "/v2/health/ready").status, 200);
    }
    assert_eq!(ask(&gateway, "GET", "/v2/keys").json()["keys"], serde_json::json!([]));
    expect(&put(&gateway, &good, &FRAME), 201, "");
    expect(&put(&gateway, &path(&changed), &changed), 409, "key_limit");
    assert!(!gateway.log().contains("panicked"));
}

#[test]
fn a_crash_during_an_upload_leaves_no_key() {
    let gateway = Setup::model("flooded").with_data().start();
    let data = gateway.path("data");
    let path = path(&FRAME);
    let mut connection = gateway.connect();
    let length = FRAME.len().to_string();
    connection.write(&head("PUT", &path, &[("host", "localhost"), ("content-length", &length)])).unwrap();
    connection.write(&FRAME[..20_000_000]).unwrap();
    let incoming = data.join("keys/incoming");
    let started = || incoming.read_dir().is_ok_and(|mut files| files.next().is_some());
    while !started() {
        std::thread::yield_now();
    }
    let mut gateway = gateway;
    gateway.kill();
    assert!(started(), "the crash left a part");
    let gateway = gateway.restarted();
    assert!(!started());
    expect(&ask(&gateway, "GET", &path), 404, "key_unknown");
    expect(&put(&gateway, &path, &FRAME), 201, "");
}

#[tokio::test]
async fn http2_carries_a_key() {
    let gateway = Setup::model("flooded").with_data().start();
    let mut config = gateway.client_config();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut send = async |method: &str, body: &'static [u8]| {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{}", gateway.url, path(&FRAME)))
            .header("content-length", body.len())
            .body(Full::<Bytes>::from(body))
            .unwrap();
        sender.send_request(request).await.unwrap().status().as_u16()
    };
    assert_eq!(send("PUT", &FRAME).await, 201);
    assert_eq!(send("GET", b"").await, 200);
    // It is there: its body is not read.
    assert_eq!(send("PUT", &FRAME).await, 200);
    assert_eq!(send("DELETE", b"").await, 200);
    assert_eq!(send("GET", b"").await, 404);
}

#[test]
fn a_key_of_another_tenant_does_not_exist() {
    let setup = Setup::empty().import("gemm.onnx", "m", &[]).with_data().own_certificates().settings(TLS);
    let directory = setup.path("tls");
    Authority::new(&directory, &["a", "b"]);
    let gateway = setup.start();
    let send = |name: &str, method: &str, path: &str, body: &[u8]| {
        let config = client_config(&directory.join("ca.pem"), Some((&directory, name)));
        let mut connection = Connection::open(gateway.address, config).unwrap();
        connection.write(&request(method, path, &[], body)).unwrap();
        connection.reply().unwrap()
    };
    let path = path(&FRAME);
    expect(&send("a", "PUT", &path, &FRAME), 201, "");
    let unknown = send("b", "GET", &path, b"");
    expect(&unknown, 404, "key_unknown");
    let nobodys = send("b", "GET", &format!("/v2/keys/{}", "0".repeat(64)), b"");
    assert_eq!(unknown.body, nobodys.body);
    expect(&send("b", "DELETE", &path, b""), 404, "key_unknown");
    assert_eq!(send("b", "GET", "/v2/keys", b"").json()["keys"], serde_json::json!([]));
    expect(&send("a", "GET", &path, b""), 200, "");
}
