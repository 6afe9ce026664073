//! HTTP/2 against the letter of RFC 9113 and RFC 7541, frame by frame: what breaks a rule is refused in the way that the rule
//! asks for, or harder; what is merely odd is let pass; and floods of cheap frames cost the gateway little.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/footprint.rs"]
mod footprint;
#[path = "common/h2.rs"]
mod h2;
#[path = "common/probe.rs"]
mod probe;
#[path = "http2/rules.rs"]
mod rules;

use common::Setup;
use footprint::Footprint;
use h2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, H2, HEADERS, Outcome, PADDED, PING, PREFACE, PRIORITY,
    RST_STREAM, WINDOW_UPDATE, field, fields, frame, request_fields,
};
use probe::{HEADER_LENGTH, INFER, Probe, binary};
use rules::{CALM, PROTOCOL, REFUSED, Wanted, frames, is_right, number, setting};

#[test]
fn frames_that_break_a_rule_are_refused_as_it_asks() {
    let probe = Probe::start(Setup::model("flooded"));
    let mut wrong = Vec::new();
    let cases = frames();
    for (case, bytes, wanted) in &cases {
        let mut peer = H2::open(&probe.gateway);
        peer.send(bytes);
        let stream = if case.starts_with("5.1.1 a stream below") { 3 } else { 1 };
        let outcome = match wanted {
            Wanted::Answer => {
                peer.reply(stream).map_or_else(|other| other, |(status, _)| Outcome::Status(status))
            }
            _ => match peer.outcome(stream) {
                // The request before the case is answered first.
                Outcome::Status(200) => peer.outcome(stream),
                other => other,
            },
        };
        if !is_right(*wanted, outcome) {
            wrong.push(format!("{case}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} cases", cases.len());
    probe.alive("all cases");
    probe.finish();
}

#[test]
fn what_does_not_begin_as_http2_does_is_closed() {
    let probe = Probe::start(Setup::model("flooded").settings("[limits]\nheader_timeout_s = 1\n"));
    for bytes in
        [b"GET /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(), vec![0; 64], PREFACE[..20].to_vec()]
    {
        let mut peer = H2::silent(&probe.gateway);
        peer.send(&bytes);
        assert!(matches!(peer.outcome(1), Outcome::Closed | Outcome::Goodbye(PROTOCOL)), "{bytes:?}");
    }
    probe.finish();
}

#[test]
fn requests_over_http2_are_answered_many_at_once() {
    let probe = Probe::start(Setup::model("flooded"));
    let binary = binary(&[&probe.element]);
    let form = probe.form(1, binary.len()).to_string();
    let length = form.len().to_string();
    let head = [&request_fields("POST", INFER)[..], &[(HEADER_LENGTH, length.as_str())]].concat();
    let body = [form.as_bytes(), &binary].concat();
    let mut peer = H2::open(&probe.gateway);
    for stream in (1..40).step_by(2) {
        peer.request(stream, &head, &body);
        assert_eq!(peer.reply(stream).unwrap().0, 200);
    }
    drop(peer);
    // One more at once than the gateway allows, none of them at its end.
    let mut peer = H2::open(&probe.gateway);
    for stream in (1..67).step_by(2) {
        peer.send(&frame(HEADERS, END_HEADERS, stream, &fields(&head)));
    }
    assert!(matches!(peer.outcome(65), Outcome::Reset(REFUSED | PROTOCOL) | Outcome::Goodbye(_)));
    // The gateway's end would wait for its requests, and for this client to say that it has heard of the end.
    drop(peer);
    probe.finish();
}

#[test]
fn floods_of_cheap_frames_cost_little_and_end() {
    let probe = Probe::start(Setup::model("flooded"));
    let before = Footprint::of(probe.gateway.process());
    let block = fields(&request_fields("GET", "/v2"));
    let open = frame(HEADERS, END_HEADERS, 1, &fields(&request_fields("POST", INFER)));
    let mut next = 1;
    let mut stream = || {
        next += 2;
        next
    };
    let resets: Vec<u8> = (0..20_000)
        .flat_map(|_| {
            let stream = stream();
            [
                frame(HEADERS, END_HEADERS | END_STREAM, stream, &block),
                frame(RST_STREAM, 0, stream, &number(8)),
            ]
            .concat()
        })
        .collect();
    let many = |bytes: Vec<u8>, times: usize| bytes.repeat(times);
    for (case, begin, flood) in [
        ("resets", Vec::new(), resets),
        ("pings", Vec::new(), many(frame(PING, 0, 0, &[7; 8]), 50_000)),
        ("settings", Vec::new(), many(setting(4, 70_000), 50_000)),
        ("empty DATA", open.clone(), many(frame(DATA, 0, 1, b""), 50_000)),
        ("DATA of a byte", open.clone(), many(frame(DATA, 0, 1, b"x"), 20_000)),
        ("padding", open.clone(), many(frame(DATA, PADDED, 1, &[9; 10]), 20_000)),
        ("priorities", Vec::new(), many(frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 9]), 50_000)),
        (
            "a block without an end",
            frame(HEADERS, 0, 1, &block),
            many(frame(CONTINUATION, 0, 1, &field("x", "y")), 50_000),
        ),
        (
            "empty parts of a block",
            frame(HEADERS, 0, 1, &block),
            many(frame(CONTINUATION, 0, 1, b""), 50_000),
        ),
        ("windows", open, many(frame(WINDOW_UPDATE, 0, 1, &number(1)), 50_000)),
    ] {
        let mut peer = H2::open(&probe.gateway);
        peer.send(&begin);
        for part in flood.chunks(1 << 16) {
            if !peer.send(part) {
                break;
            }
        }
        // The rest of what it sends is lost with the connection.
        drop(peer);
        probe.alive(case);
    }
    let after = Footprint::of(probe.gateway.process());
    let grown = after.memory_kib.saturating_sub(before.memory_kib);
    println!("memory grew by {grown} KiB");
    assert!(grown < 64 << 10, "{grown} KiB");
    probe.finish();
}

#[test]
fn a_flood_of_resets_is_told_to_calm_down() {
    let probe = Probe::start(Setup::model("flooded"));
    let mut peer = H2::open(&probe.gateway);
    let block = fields(&request_fields("GET", "/v2"));
    for stream in (1..200_000).step_by(2) {
        let reset = [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &block),
            frame(RST_STREAM, 0, stream, &number(8)),
        ];
        if !peer.send(&reset.concat()) {
            break;
        }
    }
    let outcome = peer.outcome(1);
    assert!(matches!(outcome, Outcome::Goodbye(CALM) | Outcome::Closed), "{outcome:?}");
    probe.alive("resets");
    probe.finish();
}
