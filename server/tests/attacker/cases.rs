//! Requests that are wrong in some way, or only look as if they were. Each is made from a number, and is the same every time.

use serde_json::{Value, json};

use crate::probe::{HEADER_LENGTH, INFER, Probe, TRAILER, binary, sealed};

/// Numbers that a seed fixes.
#[derive(Clone)]
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 32) as usize * end) >> 32
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A request, before it has the form of a version of HTTP.
pub(crate) struct Case {
    pub(crate) kind: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The whole bytes, of what only HTTP/1.1 can say.
    pub(crate) raw: Option<Vec<u8>>,
}

/// What cases are made of.
pub(crate) struct Material {
    element: Vec<u8>,
    forms: [Value; 2],
    config: String,
}

/// The kinds that both versions of HTTP can say, and behind them those of HTTP/1.1 alone.
const KINDS: [&str; 25] = [
    "good",
    "truncated",
    "flipped bits",
    "flipped bits, sealed",
    "a length prefix",
    "the header length",
    "a swapped type",
    "changed JSON",
    "a path",
    "a method",
    "another card",
    "a key",
    "twins",
    "too many vectors",
    "base64",
    "an encoding",
    "many headers",
    "a tile",
    "an operator's route",
    "nested JSON",
    "a body where none belongs",
    "chunks",
    "two framings",
    "noise",
    "a stated length",
];
const OF_HTTP_1: usize = 4;

impl Material {
    pub(crate) fn of(probe: &Probe) -> Self {
        let size = 4 + probe.element.len();
        let config = probe.model.config().to_string();
        Self { element: probe.element.clone(), forms: [probe.form(1, size), probe.form(2, 2 * size)], config }
    }

    /// A request of HTTP/1.1, or one that HTTP/2 can say too.
    pub(crate) fn case(&self, sequence: &mut Sequence, http_1: bool) -> Case {
        let kinds = if http_1 { KINDS.len() } else { KINDS.len() - OF_HTTP_1 };
        let kind = KINDS[sequence.below(kinds)];
        let mut case = self.infer(kind, &self.forms[0], &binary(&[&self.element]));
        self.spoil(kind, &mut case, sequence);
        case
    }

    fn infer(&self, kind: &'static str, form: &Value, binary: &[u8]) -> Case {
        let form = form.to_string();
        let headers = vec![(HEADER_LENGTH.to_owned(), form.len().to_string())];
        let body = [form.as_bytes(), binary].concat();
        Case { kind, method: "POST", path: INFER.to_owned(), headers, body, raw: None }
    }

    fn spoil(&self, kind: &'static str, case: &mut Case, sequence: &mut Sequence) {
        let json = self.forms[0].to_string().len();
        match kind {
            "truncated" => case.body.truncate(sequence.below(case.body.len())),
            "flipped bits" => flip(&mut case.body, sequence),
            "flipped bits, sealed" => {
                let mut element = self.element.clone();
                let end = element.len() - TRAILER;
                flip(&mut element[..end], sequence);
                *case = self.infer(kind, &self.forms[0], &binary(&[&sealed(element)]));
            }
            "a length prefix" => {
                let lie =
                    *sequence.pick(&[0, 1, 3, 25_704, 0x7fff_ffff, 0x8000_0000, u32::MAX - 3, u32::MAX]);
                case.body[json..json + 4].copy_from_slice(&lie.to_le_bytes());
            }
            "the header length" => {
                let lies =
                    ["-1", "", "0", "1", "x", "1e3", "0x5", "18446744073709551616", "99999", " 7", "+7"];
                let some = sequence.below(case.body.len() + 2).to_string();
                let lie = if sequence.below(2) == 0 { some } else { (*sequence.pick(&lies)).to_owned() };
                case.headers[0].1 = lie;
            }
            "a swapped type" => {
                let mut form = self.forms[0].clone();
                swap(&mut form, sequence);
                *case = self.infer(kind, &form, &binary(&[&self.element]));
            }
            "changed JSON" => {
                for _ in 0..1 + sequence.below(4) {
                    let at = sequence.below(json);
                    case.body[at] = *sequence.pick(b"{}[]\",:0-9.eE\\ \n\0\xff\xc3u");
                }
            }
            "a path" => self.path(case, sequence),
            "a method" => {
                let methods =
                    ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW", "M-SEARCH"];
                case.method = *sequence.pick(&methods);
            }
            "another card" => {
                let mut form = self.forms[0].clone();
                let others = ["", "0", "x", &"0".repeat(64), &self.config.to_uppercase(), &"f".repeat(4000)];
                form["parameters"]["config_id"] = (*sequence.pick(&others)).into();
                *case = self.infer(kind, &form, &binary(&[&self.element]));
            }
            "a key" => {
                let ids =
                    [self.config.as_str(), "0", "", "..", &"a".repeat(64), &"F".repeat(64), &"9".repeat(65)];
                case.path = format!("/v2/keys/{}", sequence.pick(&ids));
                case.method = *sequence.pick(&["GET", "PUT", "DELETE", "POST"]);
                case.body = if case.method == "PUT" { sequence.bytes(300) } else { Vec::new() };
            }
            "twins" => *case = self.infer(kind, &self.forms[1], &binary(&[&self.element, &self.element])),
            "too many vectors" => {
                let count = 5 + sequence.below(6);
                let mut form = self.forms[0].clone();
                form["inputs"][0]["shape"] = json!([count]);
                form["inputs"][0]["parameters"]["binary_data_size"] = json!(count * (4 + self.element.len()));
                *case = self.infer(kind, &form, &binary(&vec![self.element.as_slice(); count]));
            }
            "base64" => {
                let data =
                    *sequence.pick(&["", "A", "AAAA", "%%%%", "AA==AA", "\u{e9}", "AAAA\n", "=", "___-"]);
                let mut form = self.forms[0].clone();
                form["inputs"][0]["parameters"] = json!({});
                form["inputs"][0]["data"] = json!(vec![data; 1 + sequence.below(3)]);
                *case = self.infer(kind, &form, b"");
                case.headers.clear();
            }
            "an encoding" => {
                let encoding = *sequence.pick(&["gzip", "br", "zstd", "identity", "deflate, gzip", ""]);
                case.headers.push(("content-encoding".to_owned(), encoding.to_owned()));
            }
            "many headers" => {
                let count = sequence.below(300);
                case.headers.extend((0..count).map(|number| (format!("x-{number}"), "v".repeat(number))));
            }
            "a tile" => {
                let names = [
                    "0/000",
                    "0/000.p/1",
                    "entries/000.p/1",
                    "9/x999/000",
                    "0/../../journal",
                    "0/%2e%2e",
                    "-1/0",
                    "0/000.p/999",
                    "",
                ];
                (case.method, case.path) = ("GET", format!("/tile/{}", sequence.pick(&names)));
                case.body.clear();
            }
            "an operator's route" => {
                case.path = format!(
                    "/v2/repository/models/{}",
                    sequence.pick(&["m/load", "m/unload", "x/load", "../load"])
                );
                case.body.truncate(sequence.below(64));
            }
            "nested JSON" => {
                let depth = 1 + sequence.below(12_000);
                case.body =
                    sequence.pick(&["[", "{\"inputs\":", "{\"parameters\":{\"x\":["]).repeat(depth).into();
                case.body.truncate(16 << 10);
                case.headers.clear();
            }
            "a body where none belongs" => {
                case.method = "GET";
                case.path =
                    (*sequence.pick(&["/v2", "/v2/models/m", "/v2/health/ready", "/checkpoint", "/v2/keys"]))
                        .to_owned();
            }
            "chunks" | "two framings" | "noise" | "a stated length" => {
                case.raw = Some(raw(kind, case, sequence))
            }
            _ => {}
        }
    }

    fn path(&self, case: &mut Case, sequence: &mut Sequence) {
        let paths = [
            "/",
            "//",
            "/v2/",
            "/v2/models",
            "/v2/models//infer",
            "/v2/models/m/versions/0/infer",
            "/v2/models/m/versions/-1/infer",
            "/v2/models/m/versions/99999999999/infer",
            "/v2/models/%00/infer",
            "/v2/models/../m/infer",
            "/v2/models/m/infer?x=y",
            "/v2/models/m/infer/",
            "/V2/MODELS/M/INFER",
            "/metrics",
            "/health",
            "/v2/models/m/versions/1/infer/infer",
            "*",
        ];
        case.path = (*sequence.pick(&paths)).to_owned();
        if sequence.below(8) == 0 {
            case.path = format!("/v2/models/{}/infer", "m".repeat(sequence.below(9000)));
        }
    }
}

fn flip(bytes: &mut [u8], sequence: &mut Sequence) {
    for _ in 0..1 + sequence.below(8) {
        bytes[sequence.below(bytes.len())] ^= 1 << sequence.below(8);
    }
}

/// Puts something of another type somewhere.
fn swap(form: &mut Value, sequence: &mut Sequence) {
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!([]),
        json!({}),
        json!([[1]]),
        json!({"a": 1}),
    ];
    let places = [
        "",
        "/parameters",
        "/parameters/config_id",
        "/inputs",
        "/inputs/0",
        "/inputs/0/name",
        "/inputs/0/datatype",
        "/inputs/0/shape",
        "/inputs/0/shape/0",
        "/inputs/0/parameters",
        "/inputs/0/parameters/binary_data_size",
        "/outputs",
        "/outputs/0",
        "/outputs/0/name",
        "/outputs/0/parameters/binary_data",
    ];
    let place: &&str = sequence.pick(&places);
    if let Some(place) = form.pointer_mut(place) {
        *place = sequence.pick(&others).clone();
    }
}

/// What only HTTP/1.1 can say.
fn raw(kind: &str, case: &Case, sequence: &mut Sequence) -> Vec<u8> {
    let start =
        format!("POST {INFER} HTTP/1.1\r\nhost: localhost\r\n{HEADER_LENGTH}: {}\r\n", case.headers[0].1);
    let length = case.body.len();
    match kind {
        "chunks" => {
            let sizes = ["1", "0", "ffffffffffffffff", "10000000000000000", "-1", "0x5", "5;ext=\"", "", "g"];
            let mut text = format!("{start}transfer-encoding: chunked\r\n\r\n").into_bytes();
            for _ in 0..1 + sequence.below(4) {
                text.extend(format!("{}\r\n", sequence.pick(&sizes)).bytes());
                text.extend(sequence.bytes(5));
                text.extend(b"\r\n");
            }
            text.extend(b"0\r\n\r\n");
            text
        }
        "two framings" => {
            let lines = [
                format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
                format!("content-length: {length}\r\ncontent-length: 5\r\n"),
                format!("content-length: {length}\r\ntransfer-encoding: identity\r\n"),
                "transfer-encoding: chunked, chunked\r\n".to_owned(),
                format!("content-length : {length}\r\n"),
                format!("content-length: {length}, {length}\r\n"),
                format!("content-length: +{length}\r\n"),
                format!("content-length: {length}\r\n folded: x\r\n"),
                "transfer-encoding: xchunked\r\n".to_owned(),
            ];
            [format!("{start}{}\r\n", sequence.pick(&lines)).as_bytes(), &case.body].concat()
        }
        "noise" => {
            let count = 1 + sequence.below(600);
            [sequence.bytes(count), b"\r\n\r\n".to_vec()].concat()
        }
        _ => {
            let stated = *sequence.pick(&[
                "0",
                "1",
                "999999999999",
                "18446744073709551615",
                "18446744073709551616",
                "-5",
                "1 1",
                "0x10",
                "",
            ]);
            [format!("{start}content-length: {stated}\r\n\r\n").as_bytes(), &case.body].concat()
        }
    }
}
