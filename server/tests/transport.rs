//! Requests that break below the protocol: in HTTP's framing, in size, in time, or before there is any HTTP.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/probe.rs"]
mod probe;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
};

use common::{
    HANG, Setup,
    http::{head, request},
};
use probe::{HEADER_LENGTH, INFER, Probe, binary};

const SETTINGS: &str = "[limits]\nbatch = 2\n";

fn probe() -> Probe {
    Probe::start(Setup::model("flooded").settings(SETTINGS))
}

/// The body of a good request and the headers of a request with it, without a Content-Length.
fn good_body(probe: &Probe) -> (Vec<u8>, [(&'static str, String); 2]) {
    let binary = binary(&[&probe.element]);
    let form = probe.form(1, binary.len()).to_string();
    let headers = [("host", "localhost".to_owned()), (HEADER_LENGTH, form.len().to_string())];
    ([form.as_bytes(), &binary].concat(), headers)
}

fn head_with(headers: &[(&'static str, String)], name: &str, value: &str) -> Vec<u8> {
    let mut all: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.push((name, value));
    head("POST", INFER, &all)
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The longest body that the model takes, as its metadata says.
fn limit(probe: &Probe) -> usize {
    let metadata = probe.gateway.get("/v2/models/m").json();
    metadata["parameters"]["maximum_body_bytes"].as_u64().unwrap() as usize
}

#[test]
fn a_content_length_that_lies_harms_no_one() {
    let probe = probe();
    let (body, headers) = good_body(&probe);
    for (case, stated) in [("one short", body.len() - 1), ("half", body.len() / 2)] {
        let request = [head_with(&headers, "content-length", &stated.to_string()), body.clone()].concat();
        probe.refused(case, &request, 422, "malformed_request");
    }
    let longer = head_with(&headers, "content-length", &(body.len() + 1).to_string());
    let mut connection = probe.gateway.connect();
    connection.write(&[longer, body.clone()].concat()).unwrap();
    connection.finish_writing().unwrap();
    // The peer has stopped sending but still listens.
    probe.is_refusal("one long", &connection.reply().unwrap(), 400, "incomplete_body");
    probe.alive("one long");
    for lie in ["-1", "x", "1, 2", "18446744073709551616"] {
        let reply = probe.gateway.send(&head_with(&headers, "content-length", lie)).unwrap();
        assert_eq!((reply.status, reply.body.len()), (400, 0), "{lie}");
        probe.alive(lie);
    }
    probe.finish();
}

#[test]
fn bodies_over_the_limit_are_refused() {
    let probe = probe();
    let limit = limit(&probe);
    let (body, headers) = good_body(&probe);
    for stated in [limit + 1, 1 << 40, usize::MAX - 2] {
        // Nothing of the body is sent: the answer comes before it.
        let head = head_with(&headers, "content-length", &stated.to_string());
        let error = probe.refused(&format!("{stated} bytes"), &head, 413, "too_large");
        assert!(error["error"].as_str().unwrap().contains(&limit.to_string()));
    }
    let chunked = head_with(&headers, "transfer-encoding", "chunked");
    let good = [chunked.clone(), chunk(&body[..9]), chunk(&body[9..]), chunk(b"")].concat();
    assert_eq!(probe.gateway.send(&good).unwrap().status, 200, "chunks are fine");
    // The last chunk never comes: one byte over the limit is enough to be refused.
    let endless = [chunked.clone(), chunk(&vec![b' '; limit]), chunk(b" ")].concat();
    probe.refused("chunks over the limit", &endless, 413, "too_large");
    let most = [head_with(&headers, "content-length", &limit.to_string()), vec![b' '; limit]].concat();
    probe.refused("a body at the limit", &most, 422, "malformed_request");
    let mut connection = probe.gateway.connect();
    connection.write(&[chunked, b"xyz\r\n".to_vec()].concat()).unwrap();
    assert_eq!(connection.reply().unwrap().status, 400, "a chunk size that is no number");
    probe.alive("a chunk size that is no number");
    probe.finish();
}

#[test]
fn compressed_bodies_are_refused() {
    let probe = probe();
    let (_, headers) = good_body(&probe);
    for encoding in ["gzip", "deflate, br", "zstd"] {
        let mut headers = headers.to_vec();
        headers.push(("content-encoding", encoding.into()));
        let head = head_with(&headers, "content-length", "10");
        probe.refused(encoding, &head, 415, "unsupported_encoding");
    }
    probe.finish();
}

#[test]
fn heads_that_are_too_large_or_no_http_end_their_connection() {
    let probe = probe();
    let many = "a: b\r\n".repeat(10_000);
    // The limit is 64 KiB in front of the end of the head; one read may go beyond it.
    let wide = format!("wide: {}\r\n", "w".repeat(400 << 10));
    for (case, text, status) in [
        ("10,000 headers", format!("GET /v2 HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"), 431),
        ("65 headers", format!("GET /v2 HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65)), 431),
        ("a header of 400 KiB", format!("GET /v2 HTTP/1.1\r\nhost: localhost\r\n{wide}\r\n"), 431),
        (
            "a path of 400 KiB",
            format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "p".repeat(400 << 10)),
            431,
        ),
        ("no HTTP", "once upon a time\r\n\r\n".into(), 400),
        ("a header without a name", "GET /v2 HTTP/1.1\r\n: x\r\n\r\n".into(), 400),
        ("a zero in a header", "GET /v2 HTTP/1.1\r\nx: \0\r\n\r\n".into(), 400),
        ("HTTP/9.9", "GET /v2 HTTP/9.9\r\nhost: localhost\r\n\r\n".into(), 400),
    ] {
        // Where more was sent than the gateway would read, the connection may end before its answer is read.
        match probe.gateway.send(text.as_bytes()) {
            Ok(reply) => assert_eq!((reply.status, reply.body.len()), (status, 0), "{case}"),
            Err(_) => assert!(text.len() > 16 << 10, "{case} has an answer"),
        }
        probe.alive(case);
    }
    probe.finish();
}

#[test]
fn what_is_no_tls_gets_no_http() {
    let probe = probe();
    let garbage: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (case, bytes) in [
        ("plain HTTP", request("GET", "/v2", &[], b"")),
        ("garbage", garbage),
        ("zeros", vec![0; 4096]),
        ("an endless TLS record", [b"\x16\x03\x01\xff\xff".as_slice(), &[0; 512]].concat()),
        ("nothing", Vec::new()),
    ] {
        let mut socket = TcpStream::connect(probe.gateway.address).unwrap();
        socket.set_read_timeout(Some(HANG)).unwrap();
        socket.write_all(&bytes).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A reset connection is an answer as good as an alert.
        let _ = socket.read_to_end(&mut answer);
        assert!(answer.len() < 64 && !answer.windows(4).any(|window| window == b"HTTP"), "{case}");
        probe.alive(case);
    }
    probe.finish();
}

#[test]
fn a_connection_that_ends_within_a_body_harms_no_one() {
    let probe = probe();
    let (body, headers) = good_body(&probe);
    let head = head_with(&headers, "content-length", &body.len().to_string());
    for sent in [0, 1, body.len() / 2, body.len() - 1] {
        let mut connection = probe.gateway.connect();
        connection.write(&[&head, &body[..sent]].concat()).unwrap();
        drop(connection);
        probe.alive("a connection that ended within a body");
    }
    // The whole request is there, but nobody waits for its answer.
    let mut connection = probe.gateway.connect();
    connection.write(&[head, body].concat()).unwrap();
    drop(connection);
    probe.alive("an answer that nobody waits for");
    probe.finish();
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_refused() {
    let settings = "[limits]\nbody_timeout_s = 1\n";
    let probe = Probe::start(Setup::model("flooded").settings(settings));
    let (body, headers) = good_body(&probe);
    let head = head_with(&headers, "content-length", &body.len().to_string());
    probe.refused("half a body", &[&head, &body[..body.len() / 2]].concat(), 408, "body_timeout");
    probe.finish();
}

#[test]
fn a_full_queue_refuses_and_recovers() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 50;
    let settings = "[limits]\nworkers = 1\nqueue = 0\nbatch = 256\n";
    let probe = Probe::start(Setup::model("flooded").settings(settings));
    let request = probe.infer_many(256);
    let (gateway, mut refused) = (&probe.gateway, 0);
    for _round in 0..ROUNDS {
        let replies: Vec<_> = thread::scope(|scope| {
            let send = || scope.spawn(|| gateway.send(&request).unwrap());
            let clients: Vec<_> = (0..CLIENTS).map(|_| send()).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        assert!(replies.iter().any(|reply| reply.status == 200), "someone is served");
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            probe.is_refusal("a full queue", reply, 429, "queue_full");
            refused += 1;
        }
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "{CLIENTS} clients at once never filled a queue of none in {ROUNDS} rounds");
    probe.alive("a full queue");
    probe.finish();
}

#[test]
fn bodies_in_flight_have_room_set_aside_and_no_more() {
    let settings = "[limits]\nbatch = 4096\nbody_mib = 64\n";
    // Without client certificates there is one tenant, who may have all of it.
    let setup = Setup::model("flooded").settings(settings).flags(&["--insecure-no-client-auth"]);
    let probe = Probe::start(setup);
    let (_, headers) = good_body(&probe);
    let announce = |mib: usize| {
        let mut headers = headers.to_vec();
        headers.push(("expect", "100-continue".into()));
        let mut connection = probe.gateway.connect();
        connection.write(&head_with(&headers, "content-length", &(mib << 20).to_string())).unwrap();
        let reply = connection.reply().unwrap();
        (connection, reply)
    };
    let (holders, replies): (Vec<_>, Vec<_>) = (0..3).map(|_| announce(21)).unzip();
    assert!(replies.iter().all(|reply| reply.status == 100), "there is room for three large bodies");
    let (_, reply) = announce(2);
    probe.is_refusal("one body more", &reply, 429, "queue_full");
    probe.alive("room that is nearly full");
    drop(holders);
    let freed = (0..10_000).any(|_attempt| announce(2).1.status == 100);
    assert!(freed, "a connection that ended gives its room back");
    probe.finish();
}

#[test]
fn a_peer_that_says_nothing_after_its_handshake_is_cut_off() {
    let probe = Probe::start(Setup::model("flooded").settings("[limits]\nheader_timeout_s = 1\n"));
    let silence = probe.gateway.connect().byte().unwrap_err();
    // The test's own read gives up far later than the gateway.
    assert!(!matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    probe.finish();
}
