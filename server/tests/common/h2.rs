//! HTTP/2 by raw frames, so that a test can also send what no client would. Headers are literals without Huffman codes, and the
//! peer is told to keep no table, so that each answer's status can be read by itself.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io;

use crate::common::{Gateway, http::Connection};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// One field, which enters no table.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let mut length = Vec::new();
        if text.len() < 127 {
            length.push(text.len() as u8);
        } else {
            length.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                length.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            length.push(rest as u8);
        }
        [&length, text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}

/// A block of fields.
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// The four fields that every request has.
pub(crate) fn request_fields<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
}

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    fn number(&self, at: usize) -> u32 {
        self.payload.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
    }
}

/// How the peer took something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// The stream was answered with a status.
    Status(u16),
    /// The stream was reset with an error code.
    Reset(u32),
    /// The connection was ended with an error code.
    Goodbye(u32),
    /// The connection was closed without a word.
    Closed,
    /// A PING came back, and nothing else has happened before.
    Ignored,
}

/// A connection that speaks HTTP/2.
pub(crate) struct H2 {
    pub(crate) connection: Connection,
}

impl H2 {
    /// Connects and exchanges settings.
    pub(crate) fn open(gateway: &Gateway) -> Self {
        let mut opened = Self::silent(gateway);
        // No table, and windows for long answers.
        let settings = [0, 1, 0, 0, 0, 0, 0, 4, 0x3f, 0xff, 0xff, 0xff];
        opened.send(&[PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat());
        opened
    }

    /// Connects and says nothing.
    pub(crate) fn silent(gateway: &Gateway) -> Self {
        let mut config = gateway.client_config();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self { connection: Connection::open(gateway.address, config).unwrap() }
    }

    /// Sends, also to a peer that may have gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.connection.write(bytes).is_ok()
    }

    /// Reads a frame.
    pub(crate) fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        for byte in &mut head {
            *byte = self.connection.byte()?;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = self.connection.bytes(length)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// What becomes of the stream, or else of the connection. PINGs are sent behind, to see that nothing becomes of it: more
    /// than one, because a PING overtakes what the gateway has to think about.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        const ROUNDS: usize = 5;
        let ping = frame(PING, 0, 0, b"are you?");
        self.send(&ping);
        let mut pongs = 0;
        loop {
            let Ok(frame) = self.read() else { return Outcome::Closed };
            match frame.kind {
                HEADERS if frame.stream == stream => {
                    return Outcome::Status(status(&frame.payload).unwrap_or(0));
                }
                RST_STREAM if frame.stream == stream => return Outcome::Reset(frame.number(0)),
                GOAWAY => return Outcome::Goodbye(frame.number(4)),
                PING if frame.flags & ACK != 0 && frame.payload == b"are you?" => {
                    pongs += 1;
                    if pongs == ROUNDS {
                        return Outcome::Ignored;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(4));
                    self.send(&ping);
                }
                _ => {}
            }
        }
    }

    /// The status and the body of an answer, if one comes.
    pub(crate) fn reply(&mut self, stream: u32) -> Result<(u16, Vec<u8>), Outcome> {
        let (mut found, mut body) = (0, Vec::new());
        loop {
            let Ok(frame) = self.read() else { return Err(Outcome::Closed) };
            match frame.kind {
                GOAWAY => return Err(Outcome::Goodbye(frame.number(4))),
                RST_STREAM if frame.stream == stream => return Err(Outcome::Reset(frame.number(0))),
                HEADERS if frame.stream == stream => found = status(&frame.payload).unwrap_or(0),
                DATA if frame.stream == stream => {
                    body.extend_from_slice(&frame.payload);
                    let increment = (frame.payload.len() as u32).to_be_bytes();
                    if !frame.payload.is_empty() {
                        self.send(&super_frame(&increment));
                    }
                }
                _ => continue,
            }
            if frame.stream == stream && frame.flags & END_STREAM != 0 && frame.kind <= HEADERS {
                return Ok((found, body));
            }
        }
    }

    /// Sends a whole request on a stream.
    pub(crate) fn request(&mut self, stream: u32, head: &[(&str, &str)], body: &[u8]) {
        let end = if body.is_empty() { END_STREAM } else { 0 };
        let mut bytes = frame(HEADERS, END_HEADERS | end, stream, &fields(head));
        let mut chunks = body.chunks(16_384).peekable();
        while let Some(chunk) = chunks.next() {
            let end = if chunks.peek().is_none() { END_STREAM } else { 0 };
            bytes.extend(frame(DATA, end, stream, chunk));
        }
        self.send(&bytes);
    }
}

/// More room for answers on the connection.
fn super_frame(increment: &[u8; 4]) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, 0, increment)
}

/// The status at the beginning of a block of fields.
fn status(block: &[u8]) -> Option<u16> {
    const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let mut block = block;
    // The new size of the table comes first.
    while block.first()? & 0xe0 == 0x20 {
        block = &block[1..];
    }
    let first = *block.first()?;
    if first & 0x80 != 0 {
        return STATIC.get(usize::from(first & 0x7f).checked_sub(8)?).copied();
    }
    // A literal whose name stands at 8 to 14 of the static table.
    let length = *block.get(1)?;
    let value = block.get(2..2 + usize::from(length & 0x7f))?;
    let digits = if length & 0x80 == 0 { value.to_vec() } else { huffman_digits(value) };
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// Digits in HPACK's Huffman code: 0 to 2 have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let (mut rest, mut digits) = (bits.as_slice(), Vec::new());
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    while rest.len() >= 5 {
        match number(&rest[..5]) {
            digit @ 0..=2 => {
                digits.push(b'0' + digit);
                rest = &rest[5..];
            }
            _ if rest.len() >= 6 && (0b01_1001..=0b01_1111).contains(&number(&rest[..6])) => {
                digits.push(b'3' + number(&rest[..6]) - 0b01_1001);
                rest = &rest[6..];
            }
            _ => break,
        }
    }
    digits
}
