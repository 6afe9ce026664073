//! Lists the crates that the gateway is built from, with version, licence and checksum, as a CycloneDX document that the
//! program carries in itself. It is read from what cargo resolves here and from `Cargo.lock`: no network, no clock, no path.
//!
//! Where cargo cannot tell, the list is empty and says so: a build does not fail over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

/// A crate's name and version.
type Id = (String, String);

fn main() {
    let lock = Path::new("../Cargo.lock");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", lock.display());
    let (linked, all) = (tree("normal,no-proc-macro"), tree("normal,build"));
    if linked.is_none() || all.is_none() {
        println!("cargo:warning=cargo tree could not list the crates: the gateway's SBOM is empty");
    }
    let linked: BTreeSet<Id> = linked.unwrap_or_default().into_keys().collect();
    let checksums = fs::read_to_string(lock).map(|text| checksums(&text)).unwrap_or_default();
    let components: Vec<Value> = all
        .unwrap_or_default()
        .iter()
        .filter(|((name, _), _)| name != "tiresias-server")
        .map(|(id, licence)| component(id, licence, checksums.get(id), linked.contains(id)))
        .collect();
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": { "type": "application", "name": "tiresias-gateway", "version": version, "bom-ref": "tiresias-gateway" },
            "properties": [
                { "name": "tiresias:target", "value": env::var("TARGET").unwrap_or_default() },
                { "name": "tiresias:lists", "value": "crates that cargo resolves for the gateway; scope excluded: used by the build alone" },
            ],
        },
        "components": components,
    });
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("sbom.json");
    if let Err(error) = fs::write(&out, document.to_string()) {
        println!("cargo:warning=the gateway's SBOM could not be written: {error}");
    }
}

/// The gateway's crates by these kinds of dependencies, each with its licence.
fn tree(edges: &str) -> Option<BTreeMap<Id, String>> {
    let mut cargo = Command::new(env::var_os("CARGO")?);
    cargo.args(["tree", "--locked", "--offline", "-p", "tiresias-server", "--prefix", "none"]);
    cargo.args(["--format", "{p}|{l}", "-e", edges, "--target", &env::var("TARGET").ok()?]);
    if env::var_os("CARGO_FEATURE_GPU").is_some() {
        cargo.args(["--features", "gpu"]);
    }
    let output = cargo.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let lines = text.lines().filter_map(|line| {
        let (package, licence) = line.split_once('|')?;
        let mut words = package.split(' ');
        let id = (words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned());
        Some((id, licence.trim_end_matches(" (*)").replace('/', " OR ")))
    });
    Some(lines.collect())
}

/// SHA-256 of the packages as the registry has them.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let field = |package: &str, name: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
        line.and_then(|value| value.strip_suffix('"')).map(str::to_owned)
    };
    let package = |text: &str| {
        let id = (field(text, "name")?, field(text, "version")?);
        Some((id, field(text, "checksum")?))
    };
    lock.split("[[package]]").filter_map(package).collect()
}

fn component((name, version): &Id, licence: &str, checksum: Option<&String>, is_linked: bool) -> Value {
    let purl = format!("pkg:cargo/{name}@{version}");
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": if is_linked { "required" } else { "excluded" },
        "purl": purl,
    });
    if !licence.is_empty() {
        component["licenses"] = json!([{ "expression": licence }]);
    }
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}
