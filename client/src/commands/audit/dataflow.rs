//! What the clinic sent, byte for byte: each of them belongs to a field that the protocol has, or is named as one that it has
//! not. Frames are read by the table of the wire format's own document.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tiresias_evidence::commitment;

use super::check::Check;
use crate::oip;

/// The document of the wire format, of which the table of a request's frame is read.
const WIRE: &str = include_str!("../../../../keys/WIRE.md");

/// The heading of that table.
const REQUEST: &str = "### 8.1 Request";

/// Bytes of a frame in front of its polynomials, and behind them.
const HEAD: usize = 72;
const TAIL: usize = 33;

/// Headers that a client sends, and what they tell.
const HEADERS: [(&str, &str); 6] = [
    ("host", "the gateway's name, as the clinic was given it"),
    ("content-type", "that a body is binary"),
    ("content-length", "the size of a body: vectors and model"),
    (oip::HEADER_LENGTH, "how many bytes of a body are JSON"),
    ("if-none-match", "the id of the circuit card that the client has"),
    ("accept", "what it reads"),
];

/// Values of the JSON part of a request, and what they tell.
const JSON: [(&str, &str); 8] = [
    ("parameters.config_id", "which circuit card: model and version"),
    ("parameters.evaluation_key", "the id of the clinic's evaluation key"),
    ("inputs[].name", "always the same word"),
    ("inputs[].datatype", "always the same word"),
    ("inputs[].shape[]", "how many vectors"),
    ("inputs[].parameters.binary_data_size", "their size"),
    ("outputs[].name", "scores or label"),
    ("outputs[].parameters.binary_data", "always the same word"),
];

/// A request with a header and a value of which the protocol knows nothing.
const PLANTED: &[u8] = b"POST / HTTP/1.1\r\nx-planted: 1\r\ncontent-length: 22\r\n\
    inference-header-content-length: 22\r\n\r\n{\"planted\":{\"name\":1}}";

/// A field of what the clinic sent.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Field {
    pub(super) part: &'static str,
    pub(super) field: String,
    pub(super) bytes: usize,
    pub(super) times: usize,
    pub(super) tells: String,
}

/// The fields, in order.
#[derive(Default)]
pub(super) struct Flow {
    fields: BTreeMap<(u8, String), Field>,
    unknown: Vec<String>,
    total: usize,
}

impl Flow {
    /// Reads all that a clinic sent on one connection.
    pub(super) fn read(&mut self, sent: &[u8]) {
        self.total += sent.len();
        let mut rest = sent;
        while !rest.is_empty() {
            let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") else {
                return self.unknown.push(format!("{} bytes that are no request", rest.len()));
            };
            let (head, behind) = rest.split_at(end + 4);
            let length = self.head(&String::from_utf8_lossy(head));
            let (body, next) = behind.split_at(length.body.min(behind.len()));
            if !body.is_empty() {
                self.body(body, length.json);
            }
            rest = next;
        }
    }

    /// The fields, as a table.
    pub(super) fn fields(&self) -> Vec<Field> {
        self.fields.values().cloned().collect()
    }

    /// Checks that no byte is left over.
    pub(super) fn judge(&self, check: &mut Check) {
        let known: usize = self.fields.values().map(|field| field.bytes).sum();
        check.fact("Bytes that the clinic sent, inside TLS", self.total);
        check.fact("Of these in a field that the protocol has", known);
        for unknown in &self.unknown {
            check.find(format!("a field that the protocol does not have: {unknown}"), "requests inside TLS");
        }
        if known != self.total && self.unknown.is_empty() {
            check.find(format!("{} bytes of no field", self.total.abs_diff(known)), "requests inside TLS");
        }
        let mut planted = Self::default();
        planted.read(PLANTED);
        let named = |what: &str| planted.unknown.iter().any(|unknown| unknown.contains(what));
        check.control(
            "a header that the protocol does not have: in a request that has one",
            named("x-planted"),
        );
        check.control(
            "a value that the protocol does not have: in a body that has one",
            named("planted.name"),
        );
    }

    fn head(&mut self, head: &str) -> Lengths {
        let mut lengths = Lengths::default();
        let mut lines = head.split_inclusive("\r\n");
        let first = lines.next().unwrap_or_default();
        self.add(
            0,
            "HTTP",
            "method and path",
            first.len(),
            "which model and version, or which file of the log",
        );
        for line in lines {
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                self.add(0, "HTTP", "end of the head", line.len(), "nothing");
                continue;
            };
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "content-length" => lengths.body = value.parse().unwrap_or_default(),
                oip::HEADER_LENGTH => lengths.json = value.parse().unwrap_or_default(),
                _ => {}
            }
            match HEADERS.iter().find(|(known, _)| *known == name) {
                Some((name, tells)) => self.add(1, "HTTP header", name, line.len(), tells),
                None => self.unknown.push(format!("header {name}")),
            }
        }
        lengths
    }

    fn body(&mut self, body: &[u8], json: usize) {
        let (json, mut binary) = body.split_at(json.min(body.len()));
        match serde_json::from_slice::<Value>(json) {
            Ok(value) => {
                let mut values = Vec::new();
                leaves(&value, String::new(), &mut values);
                let mut used = 0;
                for (path, length) in values {
                    used += length;
                    match JSON.iter().find(|(known, _)| *known == path) {
                        Some((_, tells)) => self.add(2, "JSON", &path, length, tells),
                        None => self.unknown.push(format!("JSON value {path}")),
                    }
                }
                self.add(2, "JSON", "names and punctuation", json.len() - used.min(json.len()), "nothing");
            }
            Err(_) => self.unknown.push("a body whose first part is no JSON".to_owned()),
        }
        while !binary.is_empty() {
            let Some((element, rest)) = oip::split_element(binary) else {
                return self.unknown.push("an element that ends early".to_owned());
            };
            self.add(
                3,
                "tensor",
                "length of an element",
                4,
                "the size of a frame, the same for all of a model",
            );
            self.frame(element);
            binary = rest;
        }
    }

    /// A frame by the rows of the document's table: fixed fields, polynomials between, and the trailer.
    fn frame(&mut self, frame: &[u8]) {
        if frame.len() < HEAD + TAIL || !frame.starts_with(b"TRSQ") || commitment::digest(frame).is_none() {
            return self.unknown.push("an element that is no whole frame of a request".to_owned());
        }
        for row in rows(WIRE, REQUEST) {
            match (row.offset.parse::<usize>(), row.length.parse::<usize>()) {
                (Ok(offset), Ok(length)) => {
                    self.add(4, "frame", &format!("{offset}: {}", row.field), length, tells(&row.field));
                }
                _ if row.offset.starts_with("end - 33") => {
                    self.add(6, "frame", &row.field, 32, tells(&row.field));
                }
                _ if row.offset.starts_with("end - 1") => {
                    self.add(6, "frame", &row.field, 1, tells(&row.field));
                }
                _ => {}
            }
        }
        let polynomials = frame.len() - HEAD - TAIL;
        self.add(
            5,
            "frame",
            "72 on: polynomials b",
            polynomials,
            "ciphertexts: nothing without the secret key",
        );
    }

    fn add(&mut self, order: u8, part: &'static str, field: &str, bytes: usize, tells: &str) {
        let entry = self.fields.entry((order, field.to_owned())).or_default();
        entry.part = part;
        field.clone_into(&mut entry.field);
        entry.bytes += bytes;
        entry.times += 1;
        tells.clone_into(&mut entry.tells);
    }
}

#[derive(Default)]
struct Lengths {
    body: usize,
    json: usize,
}

/// What a field of a frame tells the gateway.
fn tells(field: &str) -> &'static str {
    match field {
        field if field.contains("config id") => "which circuit card: model and version",
        field if field.contains("seed") => "a public random number, from which the masks follow",
        field if field.contains("digest") => "whether bytes were damaged",
        _ => "the shape of the request, the same for all of a model",
    }
}

struct Row {
    offset: String,
    length: String,
    field: String,
}

/// The rows of the first table below a heading.
fn rows(document: &str, heading: &str) -> Vec<Row> {
    let lines = document.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        Some(Row { offset: cells.next()?, length: cells.next()?, field: cells.next()? })
    };
    lines.skip(2).filter_map(row).collect()
}

/// The values of a JSON document, each with its path and its length as it is written without spaces.
fn leaves(value: &Value, path: String, found: &mut Vec<(String, usize)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(value, format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, format!("{path}[]"), found)),
        value => found.push((path, value.to_string().len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(sent: &[u8]) -> (Flow, Check) {
        let (mut flow, mut check) = (Flow::default(), Check::new("data_flow", "", "", ""));
        flow.read(sent);
        flow.judge(&mut check);
        (flow, check)
    }

    #[test]
    fn the_documents_table_is_read() {
        let rows = rows(WIRE, REQUEST);
        let fixed: usize = rows
            .iter()
            .filter_map(|row| {
                row.offset.parse::<usize>().ok()?;
                row.length.parse::<usize>().ok()
            })
            .sum();
        assert_eq!(fixed, HEAD, "the fixed fields are all in front of the polynomials");
        assert_eq!(rows.iter().filter(|row| row.offset.starts_with("end")).count(), 2);
    }

    #[test]
    fn every_byte_of_a_request_has_a_field() {
        let (flow, check) = judged(b"GET /v2/models/m/config HTTP/1.1\r\nhost: localhost:1\r\n\r\nGET /log/checkpoint HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(check.findings, []);
        assert_eq!(flow.fields().iter().map(|field| field.times).sum::<usize>(), 6);
    }

    #[test]
    fn what_the_protocol_does_not_have_is_named_and_never_quoted() {
        for (sent, unknown) in [
            ("GET / HTTP/1.1\r\nx-patient: secret\r\n\r\n", "header x-patient"),
            (
                "POST / HTTP/1.1\r\ncontent-length: 20\r\ninference-header-content-length: 20\r\n\r\n{\"patient\":\"secret\"}",
                "JSON value patient",
            ),
            (
                "POST / HTTP/1.1\r\ncontent-length: 10\r\ninference-header-content-length: 2\r\n\r\n{}\x04\0\0\0secr",
                "no whole frame",
            ),
            ("secret", "no request"),
        ] {
            let (_, check) = judged(sent.as_bytes());
            assert!(check.findings.iter().any(|found| found.what.contains(unknown)), "{:?}", check.findings);
            assert!(!format!("{:?}", check.findings).contains("secr"));
        }
    }
}
