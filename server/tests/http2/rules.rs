//! The rules: what is sent, and how a peer that keeps to them takes it.

use crate::{
    h2::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Outcome, PADDED, PING, PRIORITY,
        PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, field, fields, frame, request_fields,
    },
    probe::INFER,
};

pub(crate) const PROTOCOL: u32 = 1;
pub(crate) const FLOW: u32 = 3;
pub(crate) const CLOSED: u32 = 5;
pub(crate) const SIZE: u32 = 6;
pub(crate) const REFUSED: u32 = 7;
pub(crate) const COMPRESSION: u32 = 9;
pub(crate) const CALM: u32 = 11;

/// What the rule asks for.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// The connection ends, with one of these codes.
    Connection(&'static [u32]),
    /// The stream ends, with one of these codes or with 400; ending the connection is right too.
    Stream(&'static [u32]),
    /// Nothing happens.
    Nothing,
    /// The request is answered with 200.
    Answer,
}

pub(crate) fn is_right(wanted: Wanted, outcome: Outcome) -> bool {
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

pub(crate) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&request_fields("GET", "/v2")))
}

/// A GET with more fields, or other ones.
pub(crate) fn headers(list: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(list))
}

pub(crate) fn with(more: &[(&str, &str)]) -> Vec<u8> {
    headers(&[&request_fields("GET", "/v2"), more].concat())
}

/// A POST whose body follows.
pub(crate) fn post(more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &fields(&[&request_fields("POST", INFER)[..], more].concat()))
}

pub(crate) fn setting(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[name.to_be_bytes().as_slice(), &value.to_be_bytes()].concat())
}

pub(crate) fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// Section of RFC 9113 (or of RFC 7541, with an H in front), what is sent, and what it asks for.
pub(crate) fn frames() -> Vec<(&'static str, Vec<u8>, Wanted)> {
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
