//! What the gateway is built from, as its build script found it: a CycloneDX document that the program carries in itself, so
//! that whoever has the program has its list.

/// The document, JSON on one line.
pub static SBOM: &str = include_str!(concat!(env!("OUT_DIR"), "/sbom.json"));

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::SBOM;

    #[test]
    fn crates_have_version_licence_and_checksum() {
        let document: Value = serde_json::from_str(SBOM).unwrap();
        assert_eq!((&document["bomFormat"], &document["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
        let components = document["components"].as_array().unwrap();
        assert!(components.len() > 100, "{}", components.len());
        let named = |name: &str| components.iter().filter(|component| component["name"] == name).count();
        assert_eq!((named("hyper"), named("tiresias-circuits"), named("tiresias-secret-key")), (1, 1, 0));
        for component in components {
            let is_ours = component["name"].as_str().unwrap().starts_with("tiresias-");
            let checksum = component["hashes"][0]["content"].as_str().unwrap_or_default();
            assert_eq!(checksum.len(), if is_ours { 0 } else { 64 }, "{component}");
            assert!(component["licenses"][0]["expression"].as_str().is_some_and(|text| text.len() > 2));
        }
    }

    #[test]
    fn no_path_of_the_machine_is_in_it() {
        assert!(
            !SBOM.contains("/home") && !SBOM.contains("file:") && !SBOM.contains(env!("CARGO_MANIFEST_DIR"))
        );
    }
}
