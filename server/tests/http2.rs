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

use common::Setup;
use footprint::Footprint;
use h2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, H2, HEADERS, Outcome, PADDED, PING, PREFACE,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, field, fields, frame, request_fields,
};
use probe::{HEADER_LENGTH, INFER, Probe, binary};

const PROTOCOL: u32 = 1;
const FLOW: u32 = 3;
const CLOSED: u32 = 5;
const SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;
const CALM: u32 = 11;

/// What the rule asks for.
#[derive(Clone, Copy)]
enum Wanted {
    /// The connection ends, with one of these codes.
    Connection(&'static [u32]),
    /// The stream ends, with one of these codes or with 400; ending the connection is right too.
    Stream(&'static [u32]),
    /// Nothing happens.
    Nothing,
    /// The request is answered with 200.
    Answer,
}

fn is_right(wanted: Wanted, outcome: Outcome) -> bool {
    match (wanted, outcome) {
        // Whatever the code, the connection is over; this HTTP/2 says PROTOCOL_ERROR of all frames that it cannot read.
        (Wanted::Connection(codes) | Wanted::Stream(codes), Outcome::Goodbye(code)) => {
            code == PROTOCOL || codes.contains(&code)
        }
        (Wanted::Connection(_) | Wanted::Stream(_), Outcome::Closed) => true,
        (Wanted::Stream(codes), Outcome::Reset(code)) => codes.contains(&code),
        (Wanted::Stream(_), Outcome::Status(400 | 431)) => true,
        (Wanted::Nothing, Outcome::Ignored) | (Wanted::Answer, Outcome::Status(200)) => true,
        _ => false,
    }
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&request_fields("GET", "/v2")))
}

/// A GET with more fields, or other ones.
fn headers(list: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(list))
}

fn with(more: &[(&str, &str)]) -> Vec<u8> {
    headers(&[&request_fields("GET", "/v2"), more].concat())
}

/// A POST whose body follows.
fn post(more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &fields(&[&request_fields("POST", INFER)[..], more].concat()))
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[name.to_be_bytes().as_slice(), &value.to_be_bytes()].concat())
}

fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// Section of RFC 9113 (or of RFC 7541, with an H in front), what is sent, and what it asks for.
fn frames() -> Vec<(&'static str, Vec<u8>, Wanted)> {
    use Wanted::{Answer, Connection, Nothing, Stream};
    let block = fields(&request_fields("GET", "/v2"));
    let (start, end) = block.split_at(7);
    vec![
        ("a request", get(1), Answer),
        ("4.1 an unknown kind of frame", [frame(0x42, 0xff, 0, b"what"), get(1)].concat(), Answer),
        ("4.1 unknown flags", frame(HEADERS, END_HEADERS | END_STREAM | 0x80, 1, &block), Answer),
        (
            "4.1 the reserved bit of a stream",
            frame(HEADERS, END_HEADERS | END_STREAM, 0x8000_0001, &block),
            Answer,
        ),
        ("4.2 DATA of 16,385 bytes", [post(&[]), frame(DATA, 0, 1, &[0; 16_385])].concat(), Stream(&[SIZE])),
        ("4.2 HEADERS of 16,385 bytes", frame(HEADERS, END_HEADERS, 1, &[0; 16_385]), Connection(&[SIZE])),
        (
            "4.3 a block that goes on",
            [frame(HEADERS, END_STREAM, 1, start), frame(CONTINUATION, END_HEADERS, 1, end)].concat(),
            Answer,
        ),
        (
            "4.3 a frame of another kind within a block",
            [frame(HEADERS, 0, 1, start), frame(PING, 0, 0, &[0; 8])].concat(),
            Connection(&[PROTOCOL]),
        ),
        (
            "4.3 a frame of another stream within a block",
            [frame(HEADERS, 0, 1, start), frame(CONTINUATION, END_HEADERS, 3, end)].concat(),
            Connection(&[PROTOCOL]),
        ),
        ("5.1 DATA on an idle stream", frame(DATA, END_STREAM, 1, b"x"), Connection(&[PROTOCOL, CLOSED])),
        ("5.1 RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, &number(8)), Connection(&[PROTOCOL])),
        (
            "5.1 WINDOW_UPDATE on an idle stream",
            frame(WINDOW_UPDATE, 0, 1, &number(1)),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.1 CONTINUATION without a block",
            frame(CONTINUATION, END_HEADERS, 1, &block),
            Connection(&[PROTOCOL]),
        ),
        ("5.1 DATA behind the end", [get(1), frame(DATA, END_STREAM, 1, b"x")].concat(), Stream(&[CLOSED])),
        ("5.1 HEADERS behind the end", [get(1), get(1)].concat(), Stream(&[CLOSED, PROTOCOL])),
        (
            "5.1.1 an even stream",
            frame(HEADERS, END_HEADERS | END_STREAM, 2, &block),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.1.1 a stream below one that was",
            [get(5), frame(HEADERS, END_HEADERS | END_STREAM, 3, &block)].concat(),
            Connection(&[PROTOCOL, CLOSED]),
        ),
        ("5.3 a stream that depends on itself", frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9]), Stream(&[PROTOCOL])),
        ("6.1 DATA on stream 0", frame(DATA, 0, 0, b"x"), Connection(&[PROTOCOL])),
        (
            "6.1 DATA with more padding than bytes",
            [post(&[]), frame(DATA, PADDED, 1, &[9, 1, 2])].concat(),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.2 HEADERS on stream 0",
            frame(HEADERS, END_HEADERS | END_STREAM, 0, &block),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.2 HEADERS with more padding than bytes",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &[200, 1]),
            Connection(&[PROTOCOL]),
        ),
        ("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 9]), Connection(&[PROTOCOL])),
        ("6.3 PRIORITY of four bytes", frame(PRIORITY, 0, 1, &[0; 4]), Stream(&[SIZE])),
        ("6.3 PRIORITY", [frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 9]), get(1)].concat(), Answer),
        ("6.4 RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &number(8)), Connection(&[PROTOCOL])),
        (
            "6.4 RST_STREAM of three bytes",
            [post(&[]), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            Connection(&[SIZE]),
        ),
        ("6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), Connection(&[PROTOCOL])),
        ("6.5 SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5]), Connection(&[SIZE])),
        ("6.5 an acknowledgement with bytes", frame(SETTINGS, ACK, 0, &[0; 6]), Connection(&[SIZE])),
        ("6.5.2 ENABLE_PUSH of 2", setting(2, 2), Connection(&[PROTOCOL])),
        ("6.5.2 a window of 2^31", setting(4, 1 << 31), Connection(&[FLOW])),
        ("6.5.2 frames of 16,383 bytes", setting(5, 16_383), Connection(&[PROTOCOL])),
        ("6.5.2 frames of 2^24 bytes", setting(5, 1 << 24), Connection(&[PROTOCOL])),
        ("6.5.2 an unknown setting", [setting(0xff, 7), get(1)].concat(), Answer),
        (
            "6.6 PUSH_PROMISE of a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0; 8]),
            Connection(&[PROTOCOL]),
        ),
        ("6.7 PING on a stream", frame(PING, 0, 1, &[0; 8]), Connection(&[PROTOCOL])),
        ("6.7 PING of seven bytes", frame(PING, 0, 0, &[0; 7]), Connection(&[SIZE])),
        ("6.7 an answer to no PING", frame(PING, ACK, 0, &[0; 8]), Nothing),
        ("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Connection(&[PROTOCOL])),
        ("6.9 WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, &number(0)), Connection(&[PROTOCOL])),
        (
            "6.9 WINDOW_UPDATE of 0 on a stream",
            [post(&[]), frame(WINDOW_UPDATE, 0, 1, &number(0))].concat(),
            Stream(&[PROTOCOL]),
        ),
        ("6.9 WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Connection(&[SIZE])),
        (
            "6.9.1 a window beyond 2^31",
            [
                frame(WINDOW_UPDATE, 0, 0, &number(0x7fff_ffff)),
                frame(WINDOW_UPDATE, 0, 0, &number(0x7fff_ffff)),
            ]
            .concat(),
            Connection(&[FLOW]),
        ),
        (
            "6.9.1 a stream's window beyond 2^31",
            [post(&[]), frame(WINDOW_UPDATE, 0, 1, &number(0x7fff_ffff))].concat(),
            Stream(&[FLOW]),
        ),
        ("8.2.1 a name in capitals", with(&[("X-Name", "v")]), Stream(&[PROTOCOL])),
        ("8.2.1 a line end in a value", with(&[("x", "a\r\nb")]), Stream(&[PROTOCOL])),
        ("8.2.2 connection", with(&[("connection", "close")]), Stream(&[PROTOCOL])),
        ("8.2.2 transfer-encoding", with(&[("transfer-encoding", "chunked")]), Stream(&[PROTOCOL])),
        ("8.2.2 te other than trailers", with(&[("te", "gzip")]), Stream(&[PROTOCOL])),
        ("8.3 an unknown pseudo-header", with(&[(":colour", "red")]), Stream(&[PROTOCOL])),
        (
            "8.3 a pseudo-header behind others",
            headers(&[
                (":method", "GET"),
                (":scheme", "https"),
                ("x", "y"),
                (":path", "/v2"),
                (":authority", "a"),
            ]),
            Stream(&[PROTOCOL]),
        ),
        ("8.3 a status in a request", with(&[(":status", "200")]), Stream(&[PROTOCOL])),
        (
            "8.3.1 no method",
            headers(&[(":scheme", "https"), (":path", "/v2"), (":authority", "localhost")]),
            Stream(&[PROTOCOL]),
        ),
        (
            "8.3.1 no path",
            headers(&[(":method", "GET"), (":scheme", "https"), (":authority", "localhost")]),
            Stream(&[PROTOCOL]),
        ),
        (
            "8.3.1 no scheme",
            headers(&[(":method", "GET"), (":path", "/v2"), (":authority", "localhost")]),
            Stream(&[PROTOCOL]),
        ),
        ("8.3.1 an empty path", headers(&request_fields("GET", "")), Stream(&[PROTOCOL])),
        (
            "8.3.1 two methods",
            headers(&[
                (":method", "GET"),
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/v2"),
                (":authority", "a"),
            ]),
            Stream(&[PROTOCOL]),
        ),
        (
            "8.1.1 a body longer than stated",
            [post(&[("content-length", "1")]), frame(DATA, END_STREAM, 1, b"xy")].concat(),
            Stream(&[PROTOCOL]),
        ),
        (
            "8.1.1 a body shorter than stated",
            [post(&[("content-length", "9")]), frame(DATA, END_STREAM, 1, b"xy")].concat(),
            Stream(&[PROTOCOL]),
        ),
        (
            "8.1 trailers that do not end",
            [post(&[]), frame(HEADERS, END_HEADERS, 1, &field("x", "y"))].concat(),
            Stream(&[PROTOCOL]),
        ),
        (
            "H2.3.3 an index beyond the table",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xbe]),
            Connection(&[COMPRESSION]),
        ),
        (
            "H4.2 a table larger than allowed",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[&[0x3f, 0xff, 0xff, 0x7f], block.as_slice()].concat(),
            ),
            Connection(&[COMPRESSION]),
        ),
        (
            "H5.1 an integer without an end",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 16]),
            Connection(&[COMPRESSION]),
        ),
        (
            "H5.2 a Huffman code of the end",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 0x84, 0xff, 0xff, 0xff, 0xff, 0]),
            Connection(&[COMPRESSION]),
        ),
        (
            "H6.1 the index 0",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80]),
            Connection(&[COMPRESSION]),
        ),
        (
            "H5.2 a text longer than its block",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 0x7e, b'x']),
            Connection(&[COMPRESSION]),
        ),
    ]
}

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
