//! Certificates that change while the gateway serves: revoked, replaced, or of a tenant that is gone.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/authority.rs"]
mod authority;
mod common;

use std::{fs, sync::Arc};

use authority::{Authority, CRL, TLS};
use common::{
    Gateway, Setup,
    http::{Connection, Reply, client_config, request},
};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::{AlertDescription, ClientConfig};
use rustls_pki_types::ServerName;

const CONFIG: &str = "/v2/models/m/config";

/// A gateway for clients `client` and `b`, with an empty revocation list.
fn start(more: &str) -> (Gateway, Authority) {
    let setup = Setup::model("flooded").own_certificates();
    let authority = Authority::new(&setup.path("tls"), &["client", "b"]);
    authority.revoke(&[]);
    (setup.settings(&format!("{TLS}{CRL}{more}")).start(), authority)
}

fn identity(gateway: &Gateway, name: &str) -> ClientConfig {
    client_config(&gateway.certificate("ca.pem"), Some((&gateway.path("tls"), name)))
}

fn open(gateway: &Gateway, name: &str) -> Connection {
    let mut connection = Connection::open(gateway.address, identity(gateway, name)).unwrap();
    assert_eq!(connection.get(CONFIG).unwrap().status, 200);
    connection
}

/// The alert that a client gets instead of an answer.
fn alert(gateway: &Gateway, config: ClientConfig) -> AlertDescription {
    let opened = Connection::open(gateway.address, config);
    let error = opened.and_then(|mut connection| connection.get(CONFIG)).unwrap_err();
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => unreachable!("no alert but {error}"),
    }
}

fn is_refused(reply: &Reply, code: &str) {
    let error = reply.json();
    assert_eq!((reply.status, error["code"].as_str()), (403, Some(code)), "{error}");
    assert_eq!((&error["action"], &error["retryable"]), (&"ask_operator".into(), &false.into()));
}

#[test]
fn a_revoked_client_is_out_with_its_open_connections_and_old_sessions() {
    let (gateway, authority) = start("");
    let (mut good, mut bad) = (open(&gateway, "client"), open(&gateway, "b"));
    let sessions = identity(&gateway, "b");
    for resumed in [false, true] {
        let mut connection = Connection::open(gateway.address, sessions.clone()).unwrap();
        assert_eq!(connection.get(CONFIG).unwrap().status, 200);
        assert_eq!(connection.is_resumed(), resumed, "sessions can be resumed before the reload");
    }

    authority.revoke(&["b"]);
    assert_eq!(bad.get(CONFIG).unwrap().status, 200, "nothing changes before the reload");
    gateway.reload(2);
    is_refused(&bad.get(CONFIG).unwrap(), "certificate_revoked");
    assert!(bad.get(CONFIG).is_err(), "the connection has ended");
    for config in [sessions, identity(&gateway, "b")] {
        assert_eq!(alert(&gateway, config), AlertDescription::CertificateRevoked);
    }
    gateway.wait_for_log("the client certificate is revoked");
    assert_eq!(good.get(CONFIG).unwrap().status, 200, "another client's connection goes on");

    authority.revoke(&[]);
    gateway.reload(3);
    open(&gateway, "b");
    let metrics = gateway.get_metrics("/metrics");
    assert!(metrics.contains("tiresias_reload_total{result=\"ok\"} 2\n"), "{metrics}");
}

#[test]
fn a_resumed_session_is_checked_against_the_present() {
    let (gateway, authority) = start("");
    let sessions = identity(&gateway, "b");
    let mut first = Connection::open(gateway.address, sessions.clone()).unwrap();
    assert_eq!(first.get(CONFIG).unwrap().status, 200);
    // A reload of the same files ends the sessions of before, and nothing else.
    gateway.reload(2);
    let mut second = Connection::open(gateway.address, sessions.clone()).unwrap();
    assert!(!second.is_resumed());
    assert_eq!((first.get(CONFIG).unwrap().status, second.get(CONFIG).unwrap().status), (200, 200));
    authority.revoke(&["b"]);
    gateway.reload(3);
    is_refused(&first.get(CONFIG).unwrap(), "certificate_revoked");
    is_refused(&second.get(CONFIG).unwrap(), "certificate_revoked");
}

#[tokio::test]
async fn a_revoked_client_is_out_on_http2_too() {
    let (gateway, authority) = start("");
    let mut config = identity(&gateway, "b");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut get = async || {
        let request = Request::get(format!("{}{CONFIG}", gateway.url)).body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(get().await.0, 200);
    authority.revoke(&["b"]);
    gateway.reload(2);
    let (status, body) = get().await;
    assert_eq!(status, 403);
    assert!(String::from_utf8_lossy(&body).contains("certificate_revoked"));
    // The gateway says goodbye, and the connection's task comes to its end.
    connection.await.unwrap().unwrap();
}

#[test]
fn lists_that_are_stale_or_of_another_authority_refuse() {
    let (gateway, authority) = start("");
    authority.write_list(&[], 2025);
    gateway.reload(2);
    alert(&gateway, identity(&gateway, "client"));
    gateway.wait_for_log("a revocation list has expired");

    for (generation, directory, why) in [
        (3, "foreign", "no revocation list covers the client certificate"),
        (4, "same-name/tls", "a revocation list is not signed by the client's authority"),
    ] {
        Authority::new(&gateway.path(directory), &["x"]).revoke(&["x"]);
        fs::copy(gateway.path(directory).join("crl.pem"), gateway.path("tls/crl.pem")).unwrap();
        gateway.reload(generation);
        alert(&gateway, identity(&gateway, "client"));
        gateway.wait_for_log(why);
    }

    // A list that is none keeps the old state, which here admits no one; the right one helps again.
    fs::write(gateway.path("tls/crl.pem"), "no list").unwrap();
    gateway.reload(5);
    gateway.wait_for_log("not a PEM file with certificate revocation lists");
    authority.revoke(&[]);
    gateway.reload(6);
    open(&gateway, "client");
}

#[test]
fn a_tenant_that_is_removed_is_out_with_its_open_connections() {
    let setup = Setup::model("flooded").own_certificates();
    let authority = Authority::new(&setup.path("tls"), &["client", "b"]);
    let both = format!("{TLS}{}{}", authority.tenant("client", ""), authority.tenant("b", ""));
    let mut gateway = setup.settings(&both).start();
    let (mut good, mut bad) = (open(&gateway, "client"), open(&gateway, "b"));
    gateway.change_settings(&format!("{TLS}{}", authority.tenant("client", "")));
    gateway.reload(2);
    is_refused(&bad.get(CONFIG).unwrap(), "unknown_tenant");
    assert!(bad.get(CONFIG).is_err(), "the connection has ended");
    assert_eq!(good.get(CONFIG).unwrap().status, 200);

    gateway.change_settings(&format!("{both}colour = 1\n"));
    gateway.reload(3);
    gateway.wait_for_log("the configuration stays as it was");
    let mut still = Connection::open(gateway.address, identity(&gateway, "b")).unwrap();
    is_refused(&still.get(CONFIG).unwrap(), "unknown_tenant");
    let metrics = gateway.get_metrics("/metrics");
    for line in ["tiresias_reload_total{result=\"ok\"} 1\n", "tiresias_reload_total{result=\"failed\"} 1\n"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    gateway.change_settings(&both);
    gateway.reload(4);
    open(&gateway, "b");
}

#[test]
fn the_gateways_certificate_changes_as_often_as_it_is_replaced() {
    let (gateway, mut authority) = start("");
    let mut first = open(&gateway, "client");
    let mut seen = vec![first.certificate()];
    for generation in 2..5 {
        authority.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
        gateway.reload(generation);
        let certificate = open(&gateway, "client").certificate();
        assert!(!seen.contains(&certificate));
        seen.push(certificate);
    }
    // Half of a replacement: the certificate is new and its key is not.
    let key = fs::read(gateway.path("tls/server-key.pem")).unwrap();
    authority.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    fs::write(gateway.path("tls/server-key.pem"), key).unwrap();
    gateway.reload(5);
    gateway.wait_for_log("the certificates stay as they were");
    assert_eq!(Some(&open(&gateway, "client").certificate()), seen.last());
    authority.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    gateway.reload(6);
    assert!(!seen.contains(&open(&gateway, "client").certificate()));
    assert_eq!(first.get(CONFIG).unwrap().status, 200, "connections of before go on");

    // Another authority: its clients get in, those of the old one are out.
    fs::remove_dir_all(gateway.path("tls")).unwrap();
    Authority::new(&gateway.path("tls"), &["client"]).revoke(&[]);
    gateway.reload(7);
    is_refused(&first.get(CONFIG).unwrap(), "certificate_revoked");
    open(&gateway, "client");
    assert_eq!(gateway.send(&request("GET", "/v2", &[], b"")).unwrap().status, 200);
}

#[test]
fn every_authority_of_a_chain_needs_its_list() {
    let (mut gateway, mut root) = start("");
    let mut sub = root.subordinate("sub");
    sub.issue("c", ExtendedKeyUsagePurpose::ClientAuth);
    alert(&gateway, identity(&gateway, "c"));
    gateway.wait_for_log("no revocation list covers the client certificate");
    sub.revoke(&[]);
    gateway.change_settings(&format!("{TLS}client_crl = [\"tls/crl.pem\", \"tls/sub-crl.pem\"]\n"));
    gateway.reload(2);
    open(&gateway, "c");
    open(&gateway, "client");
    root.revoke(&["sub"]);
    gateway.reload(3);
    assert_eq!(alert(&gateway, identity(&gateway, "c")), AlertDescription::CertificateRevoked);
    open(&gateway, "client");
}
