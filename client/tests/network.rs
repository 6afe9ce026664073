//! Connections that fail: what is tried again, what is never sent twice, and how a proxy is used.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{collections::HashSet, io::Write as _, net::SocketAddr};

use common::{
    and, command, relay,
    relay::{Act, Backend, Requests, refusal},
    through, with_features,
};
use gateway::{Gateway, Setup, fixture};
use serde_json::json;
use tiresias_client::{Model, cli::GatewayArgs, http::Connection, oip};

/// The fixture features through a relay, one patient a request.
fn infer(gateway: &Gateway, url: &str, more: &[&str]) -> common::Ended {
    let arguments = and(&through(&gateway.command("infer"), url), &["--json", "--batch", "1"]);
    with_features(&and(&arguments, more), &fixture("features.npy"))
}

fn expected(gateway: &Gateway) -> Vec<serde_json::Value> {
    gateway.evaluate("m", &fixture("features.npy"))
}

#[test]
fn connecting_is_tried_again() {
    let gateway = Setup::model("flooded").start();
    let address = gateway.address;
    // Closed at once twice, closed in the middle of the handshake once.
    let flaky = relay::Bytes::start(move |number, client| match number {
        0 | 1 => None,
        2 => {
            let mut hello = [0; 5];
            std::io::Read::read_exact(client, &mut hello).unwrap();
            None
        }
        _ => Some(address),
    });
    assert_eq!(infer(&gateway, &flaky.url(), &[]).json(), expected(&gateway));
    assert_eq!(flaky.sent().len(), 4);

    let closed = relay::Bytes::start(|_, _| None);
    infer(&gateway, &closed.url(), &["--retries", "1"]).failed("connect");
    assert_eq!(closed.sent().len(), 2);
    infer(&gateway, &closed.url(), &["--retries", "0"]).failed("connect");
    assert_eq!(closed.sent().len(), 3);
}

#[test]
fn a_gateway_that_says_nothing_is_given_up() {
    let gateway = Setup::model("flooded").start();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let silent = relay::Bytes::start(move |_, _| {
        let _ = wait.lock().unwrap().recv();
        None
    });
    let ended = infer(&gateway, &silent.url(), &["--retries", "0", "--connect-timeout", "1"]);
    ended.failed("connect");
    assert!(ended.err.contains("longer than 1 seconds"), "{}", ended.err);
    drop(release);
}

#[test]
fn certificate_errors_are_not_tried_again() {
    let gateway = Setup::model("flooded").start();
    let other = Setup::model("flooded").start();
    let address = gateway.address;
    let counted = relay::Bytes::start(move |_, _| Some(address));
    let with_ca = |certificates: &Gateway| {
        let arguments = and(&through(&certificates.command("infer"), &counted.url()), &["--retries", "5"]);
        with_features(&arguments, &fixture("features.npy"))
    };
    // The clinic does not trust the gateway.
    let ended = with_ca(&other);
    ended.failed("connect");
    assert!(ended.err.contains("--ca"), "{}", ended.err);
    assert_eq!(counted.sent().len(), 1);

    // The gateway does not trust the clinic: it says so behind the handshake, while the client may be writing.
    let mut arguments = through(&other.command("infer"), &counted.url());
    let ca = arguments.iter().position(|argument| argument == "--ca").unwrap();
    arguments[ca + 1] = gateway.certificate("ca.pem").to_str().unwrap().into();
    let ended = with_features(&and(&arguments, &["--retries", "5"]), &fixture("features.npy"));
    assert!(ended.err.contains("error[connect]") || ended.err.contains("error[transport]"), "{}", ended.err);
    assert_eq!(counted.sent().len(), 2);
}

#[test]
fn what_may_have_been_evaluated_is_never_sent_again() {
    let gateway = Setup::model("flooded").start();
    let backend = Backend::of(&gateway);
    // The fourth patient's request arrives whole, and the connection breaks.
    let relay =
        Requests::start(&gateway, move |seen, before| match seen.target.ends_with("/infer") && before == 3 {
            true => Act::Cut,
            false => Act::Forward(backend.clone()),
        });
    let ended = infer(&gateway, &relay.url, &["--retries", "5"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("error[transport]"), "{}", ended.err);
    assert_eq!(relay.inferences().len(), 4, "the request that was cut off came once");
    // What was answered before is printed.
    let lines: Vec<serde_json::Value> =
        ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, expected(&gateway)[..3]);

    // An answer that does not come.
    let backend = Backend::of(&gateway);
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let relay = Requests::start(&gateway, move |seen, _| {
        if seen.target.ends_with("/infer") {
            let _ = wait.lock().unwrap().recv();
            return Act::Cut;
        }
        Act::Forward(backend.clone())
    });
    infer(&gateway, &relay.url, &["--timeout", "1"]).failed("transport");
    assert_eq!(relay.inferences().len(), 1);
    drop(release);
}

#[tokio::test]
async fn a_connection_closed_between_two_requests_is_opened_again() {
    let gateway = Setup::model("flooded").start();
    let backend = Backend::of(&gateway);
    let relay = Requests::start(&gateway, move |_, _| Act::ForwardAndClose(backend.clone()));
    let options = GatewayArgs { gateway: relay.url.clone(), ..gateway.options() };
    let mut connection = Connection::open(&options).await.unwrap();
    let model = connection.fetch_model("m", None).await.unwrap();
    for (row, expected) in gateway::rows().iter().zip(gateway.clear_scores("m")) {
        // Blocks the thread, as encryption would: the close must be seen by the request itself.
        relay.wait_for_close();
        let encrypted = model.encrypt(row, None).unwrap();
        let body = oip::request_body(&model, None, &[&encrypted.element]);
        let answer = connection.infer(&model, body, 1).await.unwrap();
        let diagnosis = model.decrypt(0, encrypted.pending, &answer.elements[0], None).unwrap();
        assert_eq!(diagnosis.finding.scores_q(), expected);
    }
    let seen = relay.seen();
    assert_eq!(seen.len(), 21, "none was sent twice");
    assert!(seen.windows(2).all(|pair| pair[0].connection < pair[1].connection));
}

#[tokio::test]
async fn a_refusal_is_read_where_the_gateway_reads_no_further() {
    let gateway = Setup::model("flooded").start();
    // For a model that the gateway does not have: it answers before the body and closes.
    let card = String::from_utf8(gateway.get("/v2/models/m/config").body).unwrap();
    let model = Model::from_card(card.replacen("\"m\"", "\"absent\"", 1).into_bytes()).unwrap();
    let element = model.encrypt(&gateway::rows()[0], None).unwrap().element;
    let elements = vec![element.as_slice(); 128];
    for _ in 0..20 {
        let mut connection = Connection::open(&gateway.options()).await.unwrap();
        let body = oip::request_body(&model, None, &elements);
        let error = connection.infer(&model, body, elements.len()).await.unwrap_err();
        assert_eq!(error.code(), "unknown_model", "{error}");
    }
}

#[test]
fn a_refusal_for_now_is_asked_again_with_fresh_ciphertexts() {
    let gateway = Setup::model("flooded").start();
    let busy = json!({"error": "busy", "code": "queue_full", "action": "retry_later", "retryable": true});
    let (backend, form) = (Backend::of(&gateway), busy.clone());
    let relay =
        Requests::start(&gateway, move |seen, before| match (seen.target.ends_with("/infer"), before) {
            (true, 0) => Act::Reply(refusal(429, "retry-after: 1\r\n", &form)),
            (true, 1) => Act::Reply(refusal(503, "", &form)),
            (false, 0) if seen.target.ends_with("/config") => Act::Reply(refusal(503, "", &form)),
            _ => Act::Forward(backend.clone()),
        });
    assert_eq!(infer(&gateway, &relay.url, &[]).json(), expected(&gateway));
    let bodies: HashSet<Vec<u8>> = relay.inferences().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies.len(), 22, "every attempt is encrypted under a key of its own");

    // Final where the gateway does not say that it may pass, wants more time than there is, or goes on refusing.
    let refused = |status: u16, headers: &'static str, retryable: bool, more: &[&str]| {
        let backend = Backend::of(&gateway);
        let mut form = busy.clone();
        form["retryable"] = retryable.into();
        let relay = Requests::start(&gateway, move |seen, _| match seen.target.ends_with("/infer") {
            true => Act::Reply(refusal(status, headers, &form)),
            false => Act::Forward(backend.clone()),
        });
        infer(&gateway, &relay.url, more).failed("queue_full");
        relay.inferences().len()
    };
    assert_eq!(refused(429, "", false, &[]), 1);
    assert_eq!(refused(500, "", true, &[]), 1);
    assert_eq!(refused(429, "retry-after: 3600\r\n", true, &[]), 1);
    assert_eq!(refused(429, "retry-after: 2\r\n", true, &["--timeout", "1"]), 1);
    assert_eq!(refused(503, "", true, &["--retries", "0"]), 1);
    assert_eq!(refused(503, "", true, &["--retries", "2"]), 3);
}

/// A CONNECT proxy that asks for a name and a password, and counts.
fn proxy(gateway: SocketAddr, answer: &'static str) -> (relay::Bytes, std::sync::mpsc::Receiver<String>) {
    let (heads, received) = std::sync::mpsc::channel();
    let heads = std::sync::Mutex::new(heads);
    let proxy = relay::Bytes::start(move |_, client| {
        let head = relay::read_head(client);
        // user:open sesame
        let known = head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpvcgvuihnlc2ftzq==");
        heads.lock().unwrap().send(head).unwrap();
        let answer = if known { answer } else { "HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n" };
        client.write_all(answer.as_bytes()).unwrap();
        answer.starts_with("HTTP/1.1 200").then_some(gateway)
    });
    (proxy, received)
}

#[test]
fn a_proxy_carries_tls_from_end_to_end() {
    let gateway = Setup::model("flooded").start();
    let (proxy, heads) = proxy(gateway.address, "HTTP/1.1 200 Connection established\r\n\r\n");
    let url = format!("http://user:open%20sesame@{}", proxy.address);
    assert_eq!(infer(&gateway, &gateway.url, &["--proxy", &url]).json(), expected(&gateway));
    let head = heads.recv().unwrap();
    assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", gateway.address)), "{head}");
    let sent = proxy.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0][0], 0x16, "a TLS handshake");
    for plain in ["HTTP/1.1", "/v2/models", "config_id", "binary_data_size"] {
        assert!(!sent[0].windows(plain.len()).any(|bytes| bytes == plain.as_bytes()), "{plain}");
    }

    // From the environment, with exceptions.
    let run = |variables: &[(&str, &str)]| {
        let features = fixture("features.npy");
        let arguments = and(&gateway.command("infer"), &["--json", "--features", features.to_str().unwrap()]);
        let ended: common::Ended =
            command(&arguments).envs(variables.iter().copied()).output().unwrap().into();
        assert_eq!(ended.json(), expected(&gateway));
        proxy.sent().len()
    };
    assert_eq!(run(&[("HTTPS_PROXY", &url)]), 2);
    assert_eq!(run(&[("https_proxy", &url), ("NO_PROXY", "example.org")]), 3);
    for exceptions in ["*", "127.0.0.1", "127.0.0.0/8, localhost"] {
        assert_eq!(run(&[("HTTPS_PROXY", &url), ("NO_PROXY", exceptions)]), 3, "{exceptions}");
    }
    assert_eq!(run(&[("https_proxy", &url), ("no_proxy", "*")]), 3);
    assert_eq!(run(&[("HTTPS_PROXY", "")]), 3);
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_password() {
    let gateway = Setup::model("flooded").start();
    let failed = |answer: &'static str, user: &str, code: &str, attempts: usize| {
        let (proxy, _heads) = proxy(gateway.address, answer);
        let url = format!("http://{user}@{}", proxy.address);
        let ended = infer(&gateway, &gateway.url, &["--proxy", &url, "--retries", "2"]);
        ended.failed(code);
        assert!(!ended.err.contains("sesame"), "{}", ended.err);
        assert_eq!(proxy.sent().len(), attempts, "{answer}");
    };
    failed("", "user:wrong-sesame", "proxy", 1);
    failed("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", "user:open%20sesame", "proxy", 1);
    failed("HTTP/1.1 502 Later\r\ncontent-length: 0\r\n\r\n", "user:open%20sesame", "proxy", 3);
    failed("220 smtp.example ESMTP\r\n", "user:open%20sesame", "proxy", 3);
    let long = Box::leak(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).into_boxed_str());
    failed(long, "user:open%20sesame", "proxy", 3);

    let wrong = |url: &str| {
        let ended = infer(&gateway, &gateway.url, &["--proxy", url]);
        ended.wrong_usage();
        assert!(!ended.err.contains("sesame"), "{}", ended.err);
    };
    wrong("https://user:sesame@127.0.0.1:1");
    wrong("socks5://user:sesame@127.0.0.1:1");
    wrong("http:/user:sesame");
    infer(&gateway, &gateway.url, &["--proxy", "http://127.0.0.1:1", "--retries", "0"]).failed("proxy");
}
