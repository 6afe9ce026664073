//! Where canaries are looked for: the gateway's processes, what it writes, and the wire.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{check::Check, relay::Conversation};
use crate::audit::{Found, Search, memory, processes};

/// A place that was searched.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Place {
    pub(super) place: String,
    pub(super) bytes: u64,
    pub(super) hits: usize,
}

/// Notes what was found in a place.
pub(super) fn note(check: &mut Check, places: &mut Vec<Place>, place: &str, found: &Found<'_>) {
    for (what, form) in found.hits() {
        check.find(format!("{what} as {form}"), place);
    }
    places.push(Place { place: place.to_owned(), bytes: found.bytes(), hits: found.hits().count() });
}

/// Looks through the memory of a process and of all below it.
pub(super) fn memory_of(
    check: &mut Check,
    places: &mut Vec<Place>,
    process: u32,
    when: &str,
    search: &Search,
) {
    let family = processes::family(process).unwrap_or_else(|_| vec![process]);
    for process in family {
        let place = format!("the memory of process {process}, {when}");
        match memory::search(process, search) {
            Ok(found) if found.bytes() > 0 => note(check, places, &place, &found),
            Ok(_) => check.missing = Some(format!("{place}: the kernel showed nothing of it")),
            Err(error) => {
                check.missing = Some(format!(
                    "{place}: {error}; run the audit as the administrator, or as an ancestor of the gateway"
                ));
            }
        }
    }
}

/// What the memory of a process and of those below it shows.
pub(super) fn found_in_memory<'a>(process: u32, search: &'a Search) -> Found<'a> {
    let family = processes::family(process).unwrap_or_else(|_| vec![process]);
    let mut all = Found::default();
    for found in family.into_iter().filter_map(|process| memory::search(process, search).ok()) {
        all.merge(found);
    }
    all
}

/// All regular files at or below these paths, each once, with those that could not be looked at.
pub(super) fn files_below(roots: &[PathBuf]) -> (BTreeSet<PathBuf>, Vec<String>) {
    let (mut files, mut unread) = (BTreeSet::new(), Vec::new());
    let mut open: Vec<PathBuf> = roots.to_vec();
    while let Some(path) = open.pop() {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => match fs::read_dir(&path) {
                Ok(entries) => open.extend(entries.filter_map(Result::ok).map(|entry| entry.path())),
                Err(error) => unread.push(format!("{}: {error}", path.display())),
            },
            Ok(found) if found.is_file() => {
                files.insert(path);
            }
            // Links lead to what is searched itself, or is not the gateway's.
            Ok(_) => {}
            Err(error) => unread.push(format!("{}: {error}", path.display())),
        }
    }
    (files, unread)
}

/// Looks through files, and through their names.
pub(super) fn files(check: &mut Check, places: &mut Vec<Place>, files: &BTreeSet<PathBuf>, search: &Search) {
    for path in files {
        let place = path.display().to_string();
        match in_file(path, search) {
            Ok(found) => note(check, places, &place, &found),
            Err(error) => check.missing = Some(format!("{place}: {error}")),
        }
    }
}

/// What a file and its name show.
pub(super) fn in_file<'a>(path: &Path, search: &'a Search) -> std::io::Result<Found<'a>> {
    let mut found = search.read(File::open(path)?)?;
    found.merge(search.bytes(path.as_os_str().as_encoded_bytes()));
    Ok(found)
}

/// Looks through what passed the relay.
pub(super) fn wire(
    check: &mut Check,
    places: &mut Vec<Place>,
    conversations: &[Conversation],
    search: &Search,
) {
    for (number, conversation) in conversations.iter().enumerate() {
        for (what, _, kept) in conversation.streams() {
            let place = format!("connection {}: {what}", number + 1);
            note(check, places, &place, &search.bytes(&kept.bytes()));
        }
    }
}

/// Writes every form of every canary to a file that goes again, and says which the search does not find there.
pub(super) fn not_found_in_a_file(search: &Search, folder: &Path) -> std::io::Result<(usize, Vec<String>)> {
    let planted = tempfile::NamedTempFile::new_in(folder)?;
    let samples = search.samples();
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.2).copied().collect();
    fs::write(planted.path(), bytes)?;
    let found = in_file(planted.path(), search)?;
    let missed = samples.iter().filter(|(what, form, _)| !found.has(what, form));
    Ok((samples.len(), missed.map(|(what, form, _)| format!("{what} as {form}")).collect()))
}
