//! What the gateway reads: bodies, its configuration, the files that it left.

use clap::Parser as _;
use tiresias_server::{
    Config,
    cli::{Cli, Command},
    fuzzed,
};

use crate::{choice, scratch};

/// The length of the JSON part in two bytes, and a body.
pub(crate) fn infer_body(data: &[u8]) {
    let Some((length, body)) = data.split_first_chunk::<2>() else { return };
    let length = u16::from_le_bytes(*length);
    fuzzed::infer_body(body, None);
    fuzzed::infer_body(body, Some(&length.to_string()));
    fuzzed::saved_answer(body, usize::from(length));
    if let Ok(text) = std::str::from_utf8(body.get(..24).unwrap_or(body)) {
        fuzzed::infer_body(body, Some(text));
    }
}

pub(crate) fn configuration(data: &[u8]) {
    let path = scratch::file("gateway.toml", data);
    let flags = ["tiresias-gateway".as_ref(), "serve".as_ref(), "--config".as_ref(), path.as_os_str()];
    let Ok(Cli { command: Command::Serve(args) }) = Cli::try_parse_from(flags) else { return };
    if let Ok(config) = Config::from_args(args) {
        let (_, fixed) = config.reread().expect("what was read can be read again");
        assert!(fixed.is_empty(), "nothing has changed");
    }
}

/// One file of a log's directory, which the first byte names, among those of an empty log.
pub(crate) fn log_directory(data: &[u8]) {
    let (choice, input) = choice(data);
    let directory = scratch::directory("log");
    if fuzzed::log_directory(&directory) != Some(0) {
        return;
    }
    const FILES: [&str; 5] =
        ["journal", "public/checkpoint", "newest", "keys", "public/tile/entries/000.p/1"];
    scratch::write(&directory.join(FILES[usize::from(choice) % FILES.len()]), input);
    let first = fuzzed::log_directory(&directory);
    // What a start accepted, the next one accepts too.
    assert!(first.is_none() || fuzzed::log_directory(&directory) == first, "a log that opens stays open");
}

pub(crate) fn data_directory(data: &[u8]) {
    fuzzed::journals(&scratch::file("journal.jsonl", data));
}

pub(crate) fn device_messages(data: &[u8]) {
    fuzzed::device_messages(data);
}
