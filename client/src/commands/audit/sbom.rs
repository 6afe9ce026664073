//! What a gateway's program is built from, by the list that it carries in itself, and what the RustSec database says about that.

use std::{
    fs,
    path::{Path, PathBuf},
};

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::Check;
use crate::{Error, files};

/// How the list begins in the program.
const MARK: &[u8] = b"{\"bomFormat\":\"CycloneDX\"";

/// An advisory is shorter.
const MAXIMUM_ADVISORY_BYTES: u64 = 1 << 20;

/// A crate of the list.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licence: String,
    pub(super) checksum: String,
    /// Whether code of it is in the program; others are used by the build alone.
    pub(super) is_linked: bool,
    pub(super) advisories: Vec<String>,
}

/// Finds the list in a program.
pub(super) fn find(program: &[u8]) -> Option<Value> {
    let mut at = 0;
    while let Some(found) = program.get(at..)?.windows(MARK.len()).position(|window| window == MARK) {
        let start = at + found;
        let mut values = serde_json::Deserializer::from_slice(program.get(start..)?).into_iter::<Value>();
        if let Some(Ok(list)) = values.next() {
            return Some(list);
        }
        at = start + 1;
    }
    None
}

/// The crates of a list.
pub(super) fn components(list: &Value) -> Vec<Component> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let component = |value: &Value| Component {
        name: text(&value["name"]),
        version: text(&value["version"]),
        licence: text(&value["licenses"][0]["expression"]),
        checksum: text(&value["hashes"][0]["content"]),
        is_linked: value["scope"] == "required",
        advisories: Vec::new(),
    };
    list["components"].as_array().into_iter().flatten().map(component).collect()
}

#[derive(Deserialize)]
struct Form {
    advisory: Advisory,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    #[serde(default)]
    withdrawn: Option<toml::Value>,
    #[serde(default)]
    informational: Option<String>,
}

#[derive(Deserialize, Default)]
struct Versions {
    #[serde(default)]
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

/// Looks crates up in a local copy of the RustSec database. What is informational, such as that nobody maintains a crate, is
/// noted beside it; what else concerns one is a finding.
pub(super) fn look_up(check: &mut Check, components: &mut [Component], database: &Path) -> Result<(), Error> {
    let crates = database.join("crates");
    if !crates.is_dir() {
        return Err(Error::Usage(
            "--advisory-db: a copy of the RustSec database, a folder with crates/ in it",
        ));
    }
    let mut read = 0;
    for component in components {
        for path in advisories_of(&crates, &component.name)? {
            let bytes = files::read(&path, MAXIMUM_ADVISORY_BYTES)?;
            let place = path.strip_prefix(database).unwrap_or(&path).display().to_string();
            let Some(form) = parse(&String::from_utf8_lossy(&bytes)) else {
                check.missing = Some(format!("{place}: not in the form of a RustSec advisory"));
                continue;
            };
            read += 1;
            if !form.concerns(&component.version) {
                continue;
            }
            let id = &form.advisory.id;
            match &form.advisory.informational {
                Some(kind) => component.advisories.push(format!("{id} ({kind})")),
                None => {
                    component.advisories.push(id.clone());
                    check.find(format!("{id} concerns {} {}", component.name, component.version), place);
                }
            }
        }
    }
    check.fact("Advisories on crates of these names that were read", read);
    Ok(())
}

fn advisories_of(crates: &Path, name: &str) -> Result<Vec<PathBuf>, Error> {
    // A name from a program is no path.
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let folder = crates.join(name);
    if !is_name || name.is_empty() || !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).map_err(files::at(&folder))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    paths.sort();
    Ok(paths)
}

/// The TOML in front of an advisory's text.
fn parse(text: &str) -> Option<Form> {
    let (_, rest) = text.split_once("```toml")?;
    toml::from_str(rest.split_once("```")?.0).ok()
}

impl Form {
    /// Whether a version is among those that it is about. What cannot be read concerns it: nothing is passed over.
    fn concerns(&self, version: &str) -> bool {
        let Ok(version) = Version::parse(version) else { return true };
        let matches = |requirement: &String| {
            VersionReq::parse(requirement).is_ok_and(|requirement| requirement.matches(&version))
        };
        let is_safe = self.versions.patched.iter().chain(&self.versions.unaffected).any(matches);
        self.advisory.withdrawn.is_none() && !is_safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(advisory: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("crates/leaky")).unwrap();
        fs::write(folder.path().join("crates/leaky/RUSTSEC-2099-0001.md"), advisory).unwrap();
        folder
    }

    fn advisory(more: &str, patched: &str) -> String {
        format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2099-0001\"\npackage = \"leaky\"\ndate = \"2099-01-01\"\n{more}\n[versions]\npatched = [{patched}]\n```\n\n# It leaks\n"
        )
    }

    fn leaky(version: &str) -> Vec<Component> {
        let list =
            format!(r#"{{"components":[{{"name":"leaky","version":"{version}","scope":"required"}}]}}"#);
        components(&serde_json::from_str(&list).unwrap())
    }

    #[test]
    fn an_advisory_on_a_used_version_is_a_finding_and_others_are_not() {
        for (more, patched, version, findings, noted) in [
            ("", "\">= 1.2.0\"", "1.1.9", 1, 1),
            ("", "\">= 1.2.0\"", "1.2.0", 0, 0),
            ("", "", "9.9.9", 1, 1),
            ("withdrawn = \"2099-02-01\"", "", "1.0.0", 0, 0),
            ("informational = \"unmaintained\"", "", "1.0.0", 0, 1),
        ] {
            let (folder, mut components) = (database(&advisory(more, patched)), leaky(version));
            let mut check = Check::new("sbom", "", "", "");
            look_up(&mut check, &mut components, folder.path()).unwrap();
            assert_eq!(
                (check.findings.len(), components[0].advisories.len()),
                (findings, noted),
                "{version}"
            );
        }
        let mut check = Check::new("sbom", "", "", "");
        look_up(&mut check, &mut leaky("1.0.0"), database("no advisory").path()).unwrap();
        assert!(check.missing.unwrap().contains("crates/leaky/RUSTSEC-2099-0001.md"));
        let empty = tempfile::tempdir().unwrap();
        assert!(look_up(&mut Check::new("sbom", "", "", ""), &mut [], empty.path()).is_err());
    }

    #[test]
    fn the_list_is_found_among_other_bytes() {
        let list = r#"{"bomFormat":"CycloneDX","components":[{"name":"a","version":"1.0.0"}]}"#;
        let program = [b"\x7fELF".as_slice(), MARK, b"\0no list", list.as_bytes(), b"\0more"].concat();
        assert_eq!(components(&find(&program).unwrap())[0].name, "a");
        assert_eq!(find(b"\x7fELF"), None);
    }
}
