//! Who may talk to the gateway: TLS versions, client certificates, tenants and the hybrid key exchange.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use authority::{Authority, key_hash};

use common::{
    HANG, Setup,
    http::{Connection, client_config, client_config_with, request},
    rows,
};
use rustls::{AlertDescription, ClientConfig, crypto::aws_lc_rs};
use tiresias_client::{Error, oip};

/// The alert with which the gateway ended the handshake.
fn alert(gateway: &common::Gateway, config: ClientConfig) -> AlertDescription {
    let opened = Connection::open(gateway.address, config);
    // In TLS 1.3 a client learns of its refusal from the first read.
    let error = opened.and_then(|mut connection| connection.byte()).unwrap_err();
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => unreachable!("no alert but {error}"),
    }
}

#[test]
fn tls_12_is_refused() {
    let gateway = Setup::model("flooded").start();
    // TLS 1.2, two of its best suites, X25519, ECDSA and RSA-PSS with SHA-256, and no supported_versions.
    let mut hello = vec![0x03, 0x03];
    hello.extend([0x5a; 32]);
    hello.extend([0x00, 0x00, 0x04, 0xc0, 0x2b, 0xc0, 0x2f, 0x01, 0x00]);
    let extensions = [
        0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x1d, 0x00, 0x0d, 0x00, 0x06, 0x00, 0x04, 0x04, 0x03, 0x08,
        0x04,
    ];
    hello.extend([0x00, extensions.len() as u8]);
    hello.extend(extensions);
    let mut record = vec![0x16, 0x03, 0x01, 0x00, hello.len() as u8 + 4, 0x01, 0x00, 0x00, hello.len() as u8];
    record.extend(hello);
    let mut socket = TcpStream::connect(gateway.address).unwrap();
    socket.set_read_timeout(Some(HANG)).unwrap();
    socket.write_all(&record).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 70], "the fatal alert protocol_version");
    gateway.wait_for_log("a TLS handshake failed");
    assert!(gateway.get_metrics("/metrics").contains("tiresias_tls_handshake_failure_total 1\n"));
}

#[tokio::test]
async fn clients_need_a_certificate_of_the_clients_authority() {
    let gateway = Setup::model("flooded").start();
    let ca = gateway.certificate("ca.pem");
    assert_eq!(alert(&gateway, client_config(&ca, None)), AlertDescription::CertificateRequired);

    let foreign = tempfile::tempdir().unwrap();
    Authority::new(foreign.path(), &["a"]);
    let alert_of = |name| alert(&gateway, client_config(&ca, Some((foreign.path(), name))));
    assert_eq!(alert_of("a"), AlertDescription::UnknownCA);
    // Another gateway's certificates: an authority of the same name with another key.
    tiresias_server::tls::ensure_self_signed(foreign.path().join("same-name").as_path()).unwrap();
    let config = client_config(&ca, Some((&foreign.path().join("same-name"), "client")));
    alert(&gateway, config);
    // The gateway's own certificate is of the right authority, but for servers.
    alert(&gateway, client_config(&ca, Some((&gateway.path("tls"), "server"))));

    for (cert, key) in
        [(None, None), (Some(foreign.path().join("a.pem")), Some(foreign.path().join("a-key.pem")))]
    {
        let mut options = gateway.options();
        (options.cert, options.key) = (cert, key);
        let opened = tiresias_client::http::Connection::open(&options).await;
        let error = match opened {
            Err(error) => error,
            Ok(mut connection) => connection.fetch_model("m", None).await.unwrap_err(),
        };
        assert!(matches!(error, Error::Connect(_) | Error::Transport(_)), "{error}");
    }
    assert_eq!(gateway.get("/v2").status, 200, "the right client still gets in");
    assert!(!gateway.log().contains("refused"), "no request was read: {}", gateway.log());
}

#[test]
fn client_authentication_can_be_switched_off() {
    let gateway = Setup::model("flooded").flags(&["--insecure-no-client-auth"]).start();
    let config = client_config(&gateway.certificate("ca.pem"), None);
    let mut connection = Connection::open(gateway.address, config).unwrap();
    connection.write(&request("GET", "/v2/models/m/config", &[], b"")).unwrap();
    assert_eq!(connection.reply().unwrap().status, 200);
    gateway.wait_for_log("tenant=anonymous");
}

#[test]
fn a_list_of_tenants_keeps_others_out() {
    let setup = Setup::model("flooded").own_certificates();
    let directory = setup.path("own");
    Authority::new(&directory, &["a", "b"]);
    let settings = format!(
        "[tls]\ncert = \"own/server.pem\"\nkey = \"own/server-key.pem\"\nclient_ca = \"own/ca.pem\"\n\
         [[tenants]]\nname = \"clinic-a\"\npublic_key_sha256 = \"{}\"\n",
        key_hash(&directory.join("a.pem"))
    );
    let gateway = setup.settings(&settings).start();
    let get = |name, path| {
        let config = client_config(&directory.join("ca.pem"), Some((&directory, name)));
        let mut connection = Connection::open(gateway.address, config).unwrap();
        connection.write(&request("GET", path, &[], b"")).unwrap();
        connection.reply().unwrap()
    };
    assert_eq!(get("a", "/v2/models/m/config").status, 200);
    gateway.wait_for_log("tenant=clinic-a");
    // Existing or not: another tenant learns nothing about the models.
    for path in ["/v2", "/v2/health/live", "/v2/models/m/config", "/v2/models/absent", "/absent"] {
        let reply = get("b", path);
        assert_eq!(reply.status, 403, "{path}");
        let error = reply.json();
        assert_eq!(
            (error["code"].as_str(), error["action"].as_str()),
            (Some("unknown_tenant"), Some("ask_operator"))
        );
        assert_eq!(error["retryable"], false);
    }
    gateway.wait_for_log("tenant=unknown");
    let hash = key_hash(&directory.join("b.pem"));
    assert!(!gateway.log().contains(&hash[..16]), "who is unknown is not tracked");
    assert_eq!(get("a", "/v2").status, 200);
}

#[tokio::test]
async fn the_hybrid_key_exchange_can_be_required() {
    let gateway = Setup::model("flooded").flags(&["--require-hybrid"]).start();
    let mut connection = tiresias_client::http::Connection::open(&gateway.options()).await.unwrap();
    let model = connection.fetch_model("m", None).await.unwrap();
    let encrypted = model.encrypt(&rows()[0], None).unwrap();
    let body = oip::request_body(&model, None, &[&encrypted.element]);
    let answer = connection.infer(&model, body, 1).await.unwrap();
    let diagnosis = model.decrypt(0, encrypted.pending, &answer.elements[0], None).unwrap();
    assert_eq!(diagnosis.finding.scores_q(), gateway.clear_scores("m")[0]);

    let classical = |gateway: &common::Gateway| {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        client_config_with(provider, &gateway.certificate("ca.pem"), Some((&gateway.path("tls"), "client")))
    };
    assert_eq!(alert(&gateway, classical(&gateway)), AlertDescription::HandshakeFailure);

    let lenient = Setup::model("flooded").start();
    let mut connection = Connection::open(lenient.address, classical(&lenient)).unwrap();
    connection.write(&request("GET", "/v2", &[], b"")).unwrap();
    assert_eq!(connection.reply().unwrap().status, 200);
    let metrics = lenient.get_metrics("/metrics");
    assert!(metrics.contains("tiresias_tls_key_exchange_total{group=\"X25519\"} 1\n"), "{metrics}");
}
