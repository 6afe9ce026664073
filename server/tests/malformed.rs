//! Bodies that break a rule: of the protocol, of the model, or of the ciphertext's format.

mod common;
#[path = "common/probe.rs"]
mod probe;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Setup, http::request, rows};
use probe::{BODY_AT, HEADER_LENGTH, INFER, Probe, TRAILER, binary, infer, sealed};
use serde_json::{Value, json};
use tiresias_client::Model;

const SETTINGS: &str = "[limits]\nbatch = 4\n";

fn probe(privacy: &str) -> Probe {
    let setup = Setup::model(privacy).import("gemm.onnx", "twin", &["--privacy", privacy]);
    Probe::start(setup.import("gemm.onnx", "other-kind", &["--privacy", other(privacy)]).settings(SETTINGS))
}

fn other(privacy: &str) -> &'static str {
    if privacy == "flooded" { "open-weights" } else { "flooded" }
}

#[test]
fn damaged_elements_are_refused() {
    for privacy in ["flooded", "open-weights"] {
        let probe = probe(privacy);
        let good = &probe.element;
        let length = good.len();
        let refused = |case: &str, element: &[u8]| {
            probe.refused(case, &probe.infer_elements(&[element]), 422, "malformed_ciphertext");
        };
        refused("one byte short", &good[..length - 1]);
        refused("one byte long", &[good.as_slice(), &[1]].concat());
        refused("half", &good[..length / 2]);
        refused("the header alone", &good[..8]);
        refused("empty", b"");
        refused("zeros", &vec![0; length]);
        refused("ones", &vec![0xff; length]);
        refused("sealed zeros", &sealed(vec![0; length]));

        let middle = BODY_AT + (length - BODY_AT - TRAILER) / 2;
        let places = [0, 3, 4, 5, 6, 7, 8, 39, 40, 71, BODY_AT, middle, length - 34, length - 33, length - 2];
        for at in places.into_iter().chain([length - 1]) {
            let mut element = good.clone();
            element[at] ^= 1 << (at % 8);
            refused(&format!("{privacy}, a flipped bit in byte {at}"), &element);
            if at < 8 {
                refused(&format!("{privacy}, the same in a sealed frame"), &sealed(element));
            }
        }
        // The first and the last coefficient of each polynomial, 50 bits a coefficient.
        let polynomials = if privacy == "flooded" { 2 } else { 1 };
        let polynomial_len = (length - BODY_AT - TRAILER) / polynomials;
        for polynomial in 0..polynomials {
            let first = BODY_AT + polynomial * polynomial_len;
            for at in [first, first + polynomial_len - 7] {
                let mut element = good.clone();
                element[at..at + 7].fill(0xff);
                refused(&format!("{privacy}, a coefficient above q at {at}, sealed"), &sealed(element));
            }
        }
        refused("good and bad: one short", &good[..length - 1]);
        let same = probe.infer_elements(&[good, good]);
        probe.refused("one client seed in two elements", &same, 422, "malformed_request");
        let two = probe.infer_elements(&[good, &good[..length - 1]]);
        probe.refused("the second of two is short", &two, 422, "malformed_ciphertext");
        let mut damaged = good.clone();
        damaged[middle] ^= 1;
        let two = probe.infer_elements(&[good, &damaged]);
        probe.refused("the second of two is damaged", &two, 422, "malformed_ciphertext");
        probe.finish();
    }
}

#[test]
fn requests_for_another_card_are_told_so() {
    let probe = probe("flooded");
    let card =
        |name: &str| Model::from_card(probe.gateway.get(&format!("/v2/models/{name}/config")).body).unwrap();
    let row = &rows()[0];
    let twin = card("twin").encrypt(row, None).unwrap().element;
    probe.refused("another model's frame", &probe.infer_elements(&[&twin]), 409, "config_mismatch");
    let mixed = probe.infer_elements(&[&probe.element, &twin]);
    probe.refused("another model's frame behind a good one", &mixed, 409, "config_mismatch");
    let smaller = card("other-kind").encrypt(row, None).unwrap().element;
    probe.refused("a smaller frame", &probe.infer_elements(&[&smaller]), 422, "malformed_ciphertext");

    let mut changed = probe.element.clone();
    changed[8..40].fill(7);
    let changed = probe.infer_elements(&[&sealed(changed)]);
    probe.refused("an unknown card's frame", &changed, 409, "config_mismatch");
    for id in ["", "0", &"0".repeat(64), &probe.model.config().to_string().to_uppercase()] {
        let request = probe.infer_form(|form| form["parameters"]["config_id"] = json!(id));
        probe.refused("a wrong config_id", &request, 409, "config_mismatch");
    }
    let request = probe.infer_form(|form| form["parameters"]["config_id"] = json!(7));
    probe.refused("a config_id that is no text", &request, 422, "malformed_request");
    let unstated = probe.infer_form(|form| form["parameters"] = json!({}));
    assert_eq!(probe.gateway.send(&unstated).unwrap().status, 200, "config_id may be left out");
    probe.finish();
}

#[test]
fn wrong_tensors_are_refused() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 19] = [
        ("another input", |form| form["inputs"][0]["name"] = json!("feature"), "wrong_tensor"),
        ("a float tensor", |form| form["inputs"][0]["datatype"] = json!("FP32"), "wrong_tensor"),
        ("shape [0]", |form| form["inputs"][0]["shape"] = json!([0]), "wrong_tensor"),
        ("shape [2]", |form| form["inputs"][0]["shape"] = json!([2]), "wrong_tensor"),
        ("shape [5]", |form| form["inputs"][0]["shape"] = json!([5]), "too_many_vectors"),
        ("shape [1,1]", |form| form["inputs"][0]["shape"] = json!([1, 1]), "wrong_tensor"),
        ("shape []", |form| form["inputs"][0]["shape"] = json!([]), "wrong_tensor"),
        ("a huge shape", |form| form["inputs"][0]["shape"] = json!([u64::MAX]), "too_many_vectors"),
        ("shape [-1]", |form| form["inputs"][0]["shape"] = json!([-1]), "malformed_request"),
        ("no inputs", |form| form["inputs"] = json!([]), "wrong_tensor"),
        ("inputs is no list", |form| form["inputs"] = json!({}), "malformed_request"),
        ("another output", |form| form["outputs"][0]["name"] = json!("label"), "wrong_tensor"),
        (
            "two outputs",
            |form| form["outputs"] = json!([{"name": "scores"}, {"name": "scores"}]),
            "wrong_tensor",
        ),
        ("two inputs", |form| form["inputs"] = json!([form["inputs"][0], form["inputs"][0]]), "wrong_tensor"),
        (
            "binary_data_size one short",
            |form| {
                let size = form["inputs"][0]["parameters"]["binary_data_size"].as_u64().unwrap();
                form["inputs"][0]["parameters"]["binary_data_size"] = json!(size - 1);
            },
            "malformed_request",
        ),
        (
            "a negative binary_data_size",
            |form| form["inputs"][0]["parameters"]["binary_data_size"] = json!(-1),
            "malformed_request",
        ),
        (
            "a huge binary_data_size",
            |form| form["inputs"][0]["parameters"]["binary_data_size"] = json!(u64::MAX),
            "malformed_request",
        ),
        ("no binary_data_size", |form| form["inputs"][0]["parameters"] = json!({}), "malformed_request"),
        ("binary and base64", |form| form["inputs"][0]["data"] = json!(["AA=="]), "malformed_request"),
    ];
    let probe = probe("flooded");
    for (case, change, code) in cases {
        probe.refused(case, &probe.infer_form(change), 422, code);
    }
    let five = probe.infer_elements(&[probe.element.as_slice(); 5]);
    probe.refused("more elements than the largest batch", &five, 422, "too_many_vectors");
    probe.finish();
}

#[test]
fn lengths_that_lie_are_refused() {
    let probe = probe("flooded");
    let good = binary(&[&probe.element]);
    let form = probe.form(1, good.len()).to_string();
    for prefix in [0, 1, probe.element.len() as u32 - 1, probe.element.len() as u32 + 1, u32::MAX] {
        let mut lying = good.clone();
        lying[..4].copy_from_slice(&prefix.to_le_bytes());
        let request = infer(INFER, &form, &lying);
        probe.refused(&format!("the length prefix {prefix}"), &request, 422, "malformed_request");
    }
    for cut in [1, 3, 4, good.len() / 2, good.len()] {
        let request = infer(INFER, &form, &good[..good.len() - cut]);
        probe.refused("a cut tensor", &request, 422, "malformed_request");
    }
    let longer = infer(INFER, &form, &[good.as_slice(), &[0]].concat());
    probe.refused("a longer tensor", &longer, 422, "malformed_request");

    let body = [form.as_bytes(), &good].concat();
    let inside = (form.len() / 2).to_string();
    let beyond = (body.len() + 1).to_string();
    let whole = body.len().to_string();
    let short = (form.len() - 1).to_string();
    let long = (form.len() + 1).to_string();
    for lie in [
        "-1",
        "",
        " ",
        "x",
        "0x10",
        "1e3",
        "0",
        "18446744073709551615",
        "18446744073709551616",
        &inside,
        &beyond,
        &whole,
        &short,
        &long,
    ] {
        let request = request("POST", INFER, &[(HEADER_LENGTH, lie)], &body);
        let case = format!("the header length {lie:?}");
        probe.refused(&case, &request, 422, "malformed_request");
    }
    let request = request("POST", INFER, &[], &body);
    probe.refused("no header length", &request, 422, "malformed_request");
    probe.finish();
}

#[test]
fn bodies_that_are_no_request_are_refused() {
    let probe = probe("flooded");
    let element = STANDARD.encode(&probe.element);
    let with_data = |data: &str| {
        format!(r#"{{"inputs":[{{"name":"features","datatype":"BYTES","shape":[1],"data":{data}}}]}}"#)
    };
    let good = with_data(&format!("[\"{element}\"]"));
    assert_eq!(probe.gateway.send(&request("POST", INFER, &[], good.as_bytes())).unwrap().status, 200);
    let url_safe = element.replace('+', "-").replace('/', "_");
    assert_ne!(url_safe, element);
    for (case, text) in [
        ("empty", String::new()),
        ("a number", "7".into()),
        ("null", "null".into()),
        ("a list", "[]".into()),
        ("an empty object", "{}".into()),
        ("NaN", r#"{"inputs":NaN}"#.into()),
        ("a NaN in a shape", good.replace("[1]", "[NaN]")),
        ("a fraction in a shape", good.replace("[1]", "[1.5]")),
        ("nested lists", "[".repeat(10_000)),
        ("nested lists behind a name", format!("{{\"inputs\":{}", "[".repeat(10_000))),
        ("nested lists as a parameter", format!("{{\"parameters\":{{\"x\":{}", "[".repeat(10_000))),
        ("nested objects", r#"{"inputs":"#.repeat(1_000)),
        ("two objects", good.clone() + &good),
        ("an unended string", good[..good.len() - 5].into()),
        ("a name twice", good.replacen('{', r#"{"inputs":[],"#, 1)),
        ("not UTF-16", "\u{feff}{}".into()),
        ("data of numbers", with_data("[1,2]")),
        ("data that is one text", with_data(&format!("\"{element}\""))),
        ("data that is no base64", with_data("[\"%%%\"]")),
        ("URL-safe base64", with_data(&format!("[\"{url_safe}\"]"))),
        ("a line end in base64", with_data(&format!("[\"{}\\n{}\"]", &element[..76], &element[76..]))),
        ("cut base64", with_data(&format!("[\"{}\"]", &element[..element.len() - 1]))),
        ("an id too long", good.replacen('{', &format!("{{\"id\":\"{}\",", "i".repeat(129)), 1)),
        (
            "a binary size without binary data",
            with_data("[]").replace(r#""data":[]"#, r#""parameters":{"binary_data_size":9}"#),
        ),
        ("no data", good.replace(&format!(r#","data":["{element}"]"#), "")),
    ] {
        probe.refused(case, &request("POST", INFER, &[], text.as_bytes()), 422, "malformed_request");
    }
    let not_utf8 = good.replace("features", "featur\u{1}s").into_bytes();
    let not_utf8: Vec<u8> = not_utf8.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    probe.refused("not UTF-8", &request("POST", INFER, &[], &not_utf8), 422, "malformed_request");
    let json_only = |data: &str| request("POST", INFER, &[], with_data(data).as_bytes());
    probe.refused("no elements", &json_only("[]"), 422, "wrong_tensor");
    let two = json_only(&format!("[\"{element}\",\"{element}\"]"));
    probe.refused("two elements in shape [1]", &two, 422, "wrong_tensor");
    probe.refused("a short element", &json_only("[\"AAAA\"]"), 422, "malformed_ciphertext");

    let padded = format!("{}{}", probe.form(1, 0), " ".repeat(16 << 10));
    let request = infer(INFER, &padded, &binary(&[&probe.element]));
    probe.refused("a JSON part over 16 KiB", &request, 422, "malformed_request");
    probe.finish();
}

#[test]
fn paths_and_methods_that_do_not_exist_are_refused() {
    let probe = probe("flooded");
    for (method, path, status, code) in [
        ("GET", "/", 404, "unknown_route"),
        ("GET", "/v1/models/m", 404, "unknown_route"),
        ("GET", "/v2/", 404, "unknown_route"),
        ("GET", "/metrics", 404, "unknown_route"),
        ("GET", "/v2/models/m/../../../etc/passwd", 404, "unknown_route"),
        ("GET", "/v2/models/m/versions", 404, "unknown_route"),
        ("POST", "/v2/models/m/versions/1/infer/x", 404, "unknown_route"),
        ("POST", "/v2/repository/models/m/reload", 404, "unknown_route"),
        ("PUT", "/v2/repository/models/m/load", 405, "method_not_allowed"),
        ("GET", INFER, 405, "method_not_allowed"),
        ("PUT", INFER, 405, "method_not_allowed"),
        ("POST", "/v2/models/m/config", 405, "method_not_allowed"),
        ("DELETE", "/v2/models/m", 405, "method_not_allowed"),
        ("GET", "/v2/repository/index", 405, "method_not_allowed"),
        ("OPTIONS", "/v2", 405, "method_not_allowed"),
        ("BREW", "/v2", 405, "method_not_allowed"),
        ("GET", "/v2/models/absent", 404, "unknown_model"),
        ("GET", "/v2/models/M", 404, "unknown_model"),
        ("GET", "/v2/models/", 404, "unknown_model"),
        ("GET", "/v2/models/..", 404, "unknown_model"),
        ("GET", "/v2/models/%6d", 404, "unknown_model"),
        ("POST", "/v2/models/absent/infer", 404, "unknown_model"),
        ("GET", "/v2/models/m/versions/2", 404, "unknown_version"),
        ("GET", "/v2/models/m/versions/0/config", 404, "unknown_version"),
        ("GET", "/v2/models/m/versions/-1", 404, "unknown_version"),
        ("GET", "/v2/models/m/versions/one", 404, "unknown_version"),
        ("GET", "/v2/models/m/versions/4294967297", 404, "unknown_version"),
        ("POST", "/v2/models/m/versions/9/infer", 404, "unknown_version"),
    ] {
        probe.refused(&format!("{method} {path}"), &request(method, path, &[], b""), status, code);
    }
    probe.finish();
}
