//! What this crate reads of others and keeps private, as functions over bytes: for fuzzers, and not part of its interface.

use std::path::Path;

use crate::{budget, device, history::History, log, protocol};

/// A body of inference, for a model that takes four vectors or a cohort.
pub fn infer_body(body: &[u8], header_length: Option<&str>) {
    for output in ["scores", "label"] {
        let Ok(envelope) = protocol::Envelope::open(body, header_length) else { return };
        let _ = envelope.config_id();
        if let Ok(request) = envelope.into_request(4, output == "scores", output) {
            let bytes: usize = request.elements.iter().map(Vec::len).sum();
            assert!(bytes <= body.len(), "elements are parts of the body");
        }
    }
}

/// A response that is to be replayed.
pub fn saved_answer(body: &[u8], json: usize) {
    let _ = protocol::read_answer(body, json);
}

/// The directory of a transparency log, opened as at a start. The leaves that it has.
pub fn log_directory(directory: &Path) -> Option<u64> {
    log::reopen(directory).ok()
}

/// Files of the data directory.
pub fn journals(path: &Path) {
    let _ = budget::check(path);
    let _ = History::read(path);
}

/// What goes over the pipes between a gateway and the worker of a device.
pub fn device_messages(bytes: &[u8]) {
    device::read_messages(bytes);
}
