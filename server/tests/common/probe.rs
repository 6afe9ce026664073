//! A gateway, one good request, and the rule for every bad one: it gets its stable code and status, and the gateway
//! still answers the good one on a fresh connection.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Mutex;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tiresias_client::Model;
use tiresias_keys::Digest;

use crate::common::{
    Gateway, Setup,
    http::{Reply, head, request},
    rows,
};

pub(crate) const HEADER_LENGTH: &str = "inference-header-content-length";
pub(crate) const INFER: &str = "/v2/models/m/infer";
/// Frame header and config id, before the client's seed.
pub(crate) const SEED_AT: usize = 40;
/// Frame header, config id and seed, before the packed polynomials.
pub(crate) const BODY_AT: usize = 72;
/// Digest and end mark.
pub(crate) const TRAILER: usize = 33;

pub(crate) struct Probe {
    pub(crate) gateway: Gateway,
    pub(crate) model: Model,
    /// A good element for `model`.
    pub(crate) element: Vec<u8>,
    good: Vec<u8>,
    replies: Mutex<String>,
}

/// The binary part of a body: each element behind its length.
pub(crate) fn binary(elements: &[&[u8]]) -> Vec<u8> {
    let prefixed = |element: &&[u8]| [&(element.len() as u32).to_le_bytes(), *element].concat();
    elements.iter().flat_map(prefixed).collect()
}

/// An element with its trailer made again, as a hostile client would.
pub(crate) fn sealed(mut element: Vec<u8>) -> Vec<u8> {
    let end = element.len() - TRAILER;
    let digest = Digest::of(&element[..end]);
    element[end..end + 32].copy_from_slice(digest.as_bytes());
    element
}

/// A request for inference with this JSON part and this binary part.
pub(crate) fn infer(path: &str, json: &str, binary: &[u8]) -> Vec<u8> {
    let length = json.len().to_string();
    request("POST", path, &[(HEADER_LENGTH, &length)], &[json.as_bytes(), binary].concat())
}

impl Probe {
    pub(crate) fn start(setup: Setup) -> Self {
        let gateway = setup.start();
        let model = Model::from_card(gateway.get("/v2/models/m/config").body).unwrap();
        let element = model.encrypt(&rows()[0], None).unwrap().element;
        let mut probe = Self { gateway, model, element, good: Vec::new(), replies: Mutex::default() };
        probe.good = probe.infer_elements(&[&probe.element]);
        probe.alive("the start");
        probe
    }

    /// As many elements as asked for that the gateway takes for good, each with a seed of its own.
    pub(crate) fn elements(&self, count: usize) -> Vec<Vec<u8>> {
        let element = |number: usize| {
            let mut element = self.element.clone();
            element[SEED_AT..SEED_AT + 8].copy_from_slice(&number.to_le_bytes());
            sealed(element)
        };
        (0..count).map(element).collect()
    }

    /// A good request of so many elements.
    pub(crate) fn infer_many(&self, count: usize) -> Vec<u8> {
        let elements = self.elements(count);
        self.infer_elements(&elements.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// The JSON part of a good request whose binary part has `elements` elements and `size` bytes.
    pub(crate) fn form(&self, elements: usize, size: usize) -> Value {
        json!({
            "parameters": {"config_id": self.model.config().to_string()},
            "inputs": [{
                "name": "features",
                "datatype": "BYTES",
                "shape": [elements],
                "parameters": {"binary_data_size": size},
            }],
            "outputs": [{"name": "scores", "parameters": {"binary_data": true}}],
        })
    }

    /// A request that is right in everything but perhaps its elements.
    pub(crate) fn infer_elements(&self, elements: &[&[u8]]) -> Vec<u8> {
        let binary = binary(elements);
        infer(INFER, &self.form(elements.len(), binary.len()).to_string(), &binary)
    }

    /// The good request, which leaves the connection open.
    pub(crate) fn kept_alive(&self) -> Vec<u8> {
        let binary = binary(&[&self.element]);
        let form = self.form(1, binary.len()).to_string();
        let (length, header_length) = ((form.len() + binary.len()).to_string(), form.len().to_string());
        let headers = [("host", "localhost"), ("content-length", &*length), (HEADER_LENGTH, &*header_length)];
        [head("POST", INFER, &headers).as_slice(), form.as_bytes(), &binary].concat()
    }

    /// A request with the good element and a changed JSON part.
    pub(crate) fn infer_form(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let binary = binary(&[&self.element]);
        let mut form = self.form(1, binary.len());
        change(&mut form);
        infer(INFER, &form.to_string(), &binary)
    }

    /// The good request is answered on a fresh connection.
    pub(crate) fn alive(&self, case: &str) {
        let reply = self.gateway.send(&self.good).unwrap();
        assert_eq!(reply.status, 200, "the good request after {case}");
    }

    /// A bad request gets this status and code, in the documented form, and the gateway goes on.
    pub(crate) fn refused(&self, case: &str, request: &[u8], status: u16, code: &str) -> Value {
        let reply = self.gateway.send(request).unwrap_or_else(|error| unreachable!("{case}: {error}"));
        let error = self.is_refusal(case, &reply, status, code);
        self.alive(case);
        error
    }

    /// Checks the form of a refusal.
    pub(crate) fn is_refusal(&self, case: &str, reply: &Reply, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status, status, "{case}: {text}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{case}");
        let error = reply.json();
        assert_eq!(error["code"], code, "{case}: {text}");
        let mut fields = vec!["action", "code", "error", "retryable"];
        if code == "config_mismatch" {
            fields.insert(2, "config_id");
            fields.sort_unstable();
            assert_eq!(error["config_id"], self.model.config().to_string(), "{case}");
        }
        let mut found: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, fields, "{case}");
        let retryable = matches!(code, "queue_full" | "body_timeout" | "rate_limited");
        assert_eq!(error["retryable"], retryable, "{case}");
        let allow = reply.header("allow").map(|method| ["GET", "POST"].contains(&method));
        assert_eq!(allow, (status == 405).then_some(true), "{case}: the method that a route takes");
        let retry_after = reply.header("retry-after");
        assert_eq!(retry_after, (code == "queue_full").then_some("1"), "{case}");
        self.replies.lock().unwrap().push_str(&text);
        error
    }

    /// Stops the gateway; nothing in it panicked, and neither its log nor a refusal quotes a request.
    pub(crate) fn finish(mut self) {
        self.gateway.terminate();
        self.gateway.wait_for_log("shutting down");
        assert!(self.gateway.wait().success());
        let log = self.gateway.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains("ERROR"), "nothing was the gateway's own fault: {log}");
        let said = std::mem::take(&mut *self.replies.lock().unwrap()) + &log;
        let near_the_end = self.element.len() - TRAILER - 24;
        for at in [8, 40, BODY_AT, BODY_AT + 1, BODY_AT + 2, 1000, 1001, 1002, near_the_end] {
            let bytes = &self.element[at..at + 9];
            // The config id begins at 8 and is public, but the log has no use for it.
            if at > 8 {
                assert!(!said.contains(&hex::encode(bytes)) && !said.contains(&STANDARD.encode(bytes)));
            }
            assert!(!log.contains(&hex::encode(bytes)) && !log.contains(&STANDARD.encode(bytes)));
        }
    }
}
