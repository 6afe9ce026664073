#![expect(clippy::indexing_slicing, reason = "the tests cut and change bytes at places they know")]

use base64::Engine as _;
use proptest::prelude::*;

use super::*;

fn json(shape: &str, tensor: &str) -> String {
    format!(r#"{{"id":"7","inputs":[{{"name":"features","datatype":"BYTES","shape":{shape},{tensor}}}]}}"#)
}

fn binary_request(elements: &[&[u8]]) -> (Vec<u8>, String) {
    let size: usize = elements.iter().map(|element| 4 + element.len()).sum();
    let header =
        json(&format!("[{}]", elements.len()), &format!(r#""parameters":{{"binary_data_size":{size}}}"#));
    let mut body = header.clone().into_bytes();
    for element in elements {
        body.extend_from_slice(&(element.len() as u32).to_le_bytes());
        body.extend_from_slice(element);
    }
    (body, header.len().to_string())
}

fn parse(body: &[u8], header_length: Option<&str>) -> Result<InferRequest, ApiError> {
    Envelope::open(body, header_length)?.into_request(2, false, "scores")
}

#[test]
fn binary_and_base64_requests_are_the_same_request() {
    let (body, length) = binary_request(&[b"abcde", b"fghij"]);
    let binary = parse(&body, Some(&length)).unwrap();
    assert_eq!(binary.elements, [b"abcde", b"fghij"]);
    assert_eq!(binary.id.as_deref(), Some("7"));
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let data = format!(r#""data":["{}","{}"]"#, encode(b"abcde"), encode(b"fghij"));
    assert_eq!(parse(json("[2]", &data).as_bytes(), None).unwrap(), binary);
}

#[test]
fn every_broken_rule_has_its_error() {
    let malformed = |body: &[u8], length: Option<&str>| {
        assert!(matches!(parse(body, length), Err(ApiError::MalformedRequest(_))));
    };
    let wrong_tensor = |text: String| {
        assert!(matches!(parse(text.as_bytes(), None), Err(ApiError::WrongTensor(_))), "{text}");
    };
    let (body, length) = binary_request(&[b"abcde"]);
    for lie in ["", "-1", "x", "99999", "18446744073709551616", "10"] {
        malformed(&body, Some(lie));
    }
    malformed(&body[..body.len() - 1], Some(&length));
    malformed(&[body.as_slice(), b"x"].concat(), Some(&length));
    malformed(b"", None);
    malformed(b"[]", None);
    malformed(json("[1]", r#""data":["%%%"]"#).as_bytes(), None);
    malformed(json("[1]", r#""parameters":{"binary_data_size":9}"#).as_bytes(), None);
    malformed(&[b' '; JSON_ALLOWANCE + 1], Some(&(JSON_ALLOWANCE + 1).to_string()));

    let good = json("[1]", r#""data":["YWJjZGU="]"#);
    assert!(parse(good.as_bytes(), None).is_ok());
    wrong_tensor(good.replace("features", "feature"));
    wrong_tensor(good.replace("BYTES", "FP32"));
    for shape in ["[0]", "[2]", "[1,1]", "[]"] {
        wrong_tensor(good.replace("[1]", shape));
    }
    let too_many = parse(good.replace("[1]", "[3]").as_bytes(), None);
    assert_eq!(too_many, Err(ApiError::TooManyVectors { limit: 2 }));
    malformed(json("[1]", &format!("\"data\":[{}\"\"]", "\"\",".repeat(LARGEST_BATCH))).as_bytes(), None);
    wrong_tensor(good.replace(r#"{"id""#, r#"{"outputs":[{"name":"label"}],"id""#));
    wrong_tensor(r#"{"inputs":[]}"#.into());

    let (mut body, length) = binary_request(&[b"abcde"]);
    let prefix = body.len() - 9;
    body[prefix] = 200;
    malformed(&body, Some(&length));
}

#[test]
fn responses_carry_their_elements_either_way() {
    let (body, length) = binary_request(&[b"abcde"]);
    let mut request = parse(&body, Some(&length)).unwrap();
    let facts = ResponseFacts {
        receipt: None,
        model: "m",
        version: 3,
        output: "scores",
        config_id: "c".into(),
        device: "cpu",
        evaluate_us: 5,
        budget_left: Some(9),
    };
    let elements = [b"scores\x01".to_vec()];
    let text = InferResponse::new(&request, &facts, &elements).unwrap();
    assert_eq!(text.header_length, None);
    let text = String::from_utf8(text.body).unwrap();
    assert!(text.contains(r#""data":["c2NvcmVzAQ=="]"#) && text.contains(r#""budget_left":9"#));
    request.binary_output = true;
    let binary = InferResponse::new(&request, &facts, &elements).unwrap();
    let (json, tensor) = binary.body.split_at(binary.header_length.unwrap());
    assert!(std::str::from_utf8(json).unwrap().contains(r#""binary_data_size":11"#));
    assert_eq!(tensor, [&[7, 0, 0, 0], elements[0].as_slice()].concat());
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(body in prop::collection::vec(any::<u8>(), 0..200), length in 0_usize..220) {
        let _ = parse(&body, Some(&length.to_string()));
        let _ = parse(&body, None);
    }

    #[test]
    fn no_flip_or_cut_makes_the_parser_panic(at in 0_usize..150, flip in 0_u8..=255, cut in 0_usize..150) {
        let (mut body, length) = binary_request(&[b"abcde", b"fghij"]);
        let last = body.len() - 1;
        body[at.min(last)] ^= flip;
        let _ = parse(&body, Some(&length));
        let _ = parse(&body[..cut.min(body.len())], Some(&length));
    }
}
