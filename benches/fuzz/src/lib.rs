//! Everything that reads bytes of strangers, as functions over bytes. A fuzzer (`benches/fuzz/libfuzzer`) calls them with what
//! it makes up, and a test with what stands in `corpus/`.
//!
//! A target may refuse its bytes and may not panic, take memory without bound or break one of the properties that it asserts:
//! what is read is written as it was read, where one thing has one text; what conforms is evaluated and decrypted.
//!
//! Modules in reading order: `frames`, ciphertexts and evaluation keys; `conforming`, what becomes of frames that are right in
//! everything but their content; `models`, cards, heads, features and the repository; `evidence`, receipts, notes, tiles and logs;
//! `gateway`, bodies, settings and the data directory; `clinic`, responses and scans; `scratch`, files for readers of files.
#![forbid(unsafe_code)]

#[cfg(feature = "clinic")]
mod clinic;
mod conforming;
mod evidence;
mod frames;
mod gateway;
mod models;
mod scratch;

/// A function that may do anything with its bytes but panic.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub static TARGETS: &[(&str, Target)] = &[
    ("request_frame", frames::request),
    ("response_frame", frames::response),
    ("cohort_frame", frames::cohort),
    ("evaluation_key", frames::evaluation_key),
    ("conforming_scores", conforming::scores),
    ("conforming_cohort", conforming::cohort),
    ("conforming_label", conforming::label),
    ("card", models::card),
    ("model_repository", models::repository),
    ("onnx", models::onnx),
    ("safetensors", models::safetensors),
    ("model_card", models::model_card),
    ("receipt", evidence::receipt),
    ("note", evidence::note),
    ("tiles", evidence::tiles),
    ("submission", evidence::submission),
    ("infer_body", gateway::infer_body),
    ("configuration", gateway::configuration),
    ("log_directory", gateway::log_directory),
    ("data_directory", gateway::data_directory),
    ("device_messages", gateway::device_messages),
    ("features", models::features),
    #[cfg(feature = "clinic")]
    ("response_body", clinic::response_body),
    #[cfg(feature = "clinic")]
    ("scan", clinic::scan),
];

/// The target of this name.
///
/// # Panics
///
/// Where there is none.
#[must_use]
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| *target).expect("TARGETS has every name that is asked for")
}

/// The first byte chooses, the rest is the input.
fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}
