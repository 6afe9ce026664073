use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command};

fn config(flags: &[&str]) -> Result<Config, Error> {
    let cli = Cli::try_parse_from([&["tiresias-gateway", "serve"], flags].concat()).unwrap();
    match cli.command {
        Command::Serve(args) => Config::from_args(args),
        _ => unreachable!("the test parses `serve`"),
    }
}

#[test]
fn flags_alone_make_a_configuration() {
    let config =
        config(&["--repo", "models", "--listen", "127.0.0.1:0", "--tls-self-signed", "tls"]).unwrap();
    let expected =
        TlsSource::SelfSigned { directory: "tls".into(), client_auth: true, require_hybrid: false };
    assert_eq!(config.tls, expected);
    assert_eq!(config.limits.batch, 256);
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let base = ["--repo", "models", "--listen", "127.0.0.1:0"];
    for flags in [
        &[][..],
        &["--tls-cert", "c"],
        &["--tls-cert", "c", "--tls-key", "k"],
        &["--tls-cert", "c", "--tls-key", "k", "--tls-self-signed", "d"],
        &["--tls-cert", "c", "--tls-key", "k", "--client-ca", "a", "--insecure-no-client-auth"],
        &["--tls-self-signed", "d", "--client-ca", "a"],
        &["--tls-self-signed", "d", "--tls-cert", "c"],
    ] {
        let error = config(&[&base, flags].concat()).unwrap_err();
        assert!(matches!(error, Error::Rule(_)), "{flags:?}");
    }
}

#[test]
fn the_commented_example_is_a_valid_configuration_and_unknown_keys_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.toml");
    let example = include_str!("../../gateway.toml");
    std::fs::write(&path, example).unwrap();
    let config = config(&["--config", path.to_str().unwrap()]).unwrap();
    assert_eq!(config.repo, directory.path().join("models"));

    std::fs::write(&path, format!("colour = 1\n{example}")).unwrap();
    assert!(matches!(File::read(&path), Err(Error::Toml { .. })));
}

/// The configuration in a file with these settings behind the few that must be.
fn from_file(directory: &Path, settings: &str) -> Result<Config, Error> {
    let path = directory.join("gateway.toml");
    let base = "repo = \"models\"\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\n";
    std::fs::write(&path, format!("{base}{settings}")).unwrap();
    config(&["--config", path.to_str().unwrap(), "--tls-cert", "c", "--tls-key", "k", "--client-ca", "a"])
}

fn tenant(name: &str, digit: char, more: &str) -> String {
    let key = digit.to_string().repeat(64);
    format!("[[tenants]]\nname = \"{name}\"\npublic_key_sha256 = \"{key}\"\n{more}\n")
}

#[test]
fn what_a_tenant_does_not_state_is_that_of_everyone() {
    use crate::tenants::{Policy, Rate};
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        "[budget]\nvectors = 100\n[rate]\nvectors_per_minute = 60\n",
        &tenant("a", '0', "operator = true"),
        &tenant("b", '1', "vectors = 7\nburst = 9\nweight = 3"),
        &tenant("b", '2', "vectors = 7\nburst = 9\nweight = 3"),
    ];
    let found = from_file(directory.path(), &settings.concat()).unwrap().tenants;
    let everyone = Policy {
        budget: Some(100),
        rate: Some(Rate { vectors_per_minute: 60, burst: 60 }),
        ..Policy::default()
    };
    let b = Policy {
        budget: Some(7),
        rate: Some(Rate { vectors_per_minute: 60, burst: 9 }),
        weight: 3,
        operator: false,
    };
    let key = |digit: &str| tiresias_keys::Digest::from_hex(&digit.repeat(64)).unwrap();
    let listed = [
        (key("0"), "a".to_owned(), Policy { operator: true, ..everyone }),
        (key("1"), "b".to_owned(), b),
        (key("2"), "b".to_owned(), b),
    ];
    assert_eq!(found, Tenants::new(listed, everyone));
    assert_eq!((found.names(), found.any_budget(), found.all_budgets()), (2, true, true));
}

#[test]
fn budgets_rates_and_tenants_that_cannot_be_are_refused_by_file_and_rule() {
    let directory = tempfile::tempdir().unwrap();
    for (settings, part) in [
        ("[budget]\nvectors = 1000000000001\n".to_owned(), "1000000000000 vectors"),
        ("[rate]\nburst = 1\n".to_owned(), "needs vectors_per_minute"),
        ("[rate]\nvectors_per_minute = 0\n".to_owned(), "1 to 1000000000"),
        ("[rate]\nvectors_per_minute = 1\nburst = 0\n".to_owned(), "1 to 1000000000"),
        (tenant("a", '0', "weight = 0"), "1 to 1000"),
        (tenant("", '0', ""), "1 to 64 bytes"),
        (tenant("a", 'A', ""), "lowercase"),
        (tenant("a", '0', "") + &tenant("b", '0', ""), "stands once"),
        (tenant("a", '0', "") + &tenant("a", '1', "operator = true"), "must be the same"),
    ] {
        let error = from_file(directory.path(), &settings).unwrap_err().to_string();
        assert!(error.contains("gateway.toml: ") && error.contains(part), "{error}");
    }
    let flags = ["--repo", "r", "--listen", "127.0.0.1:0", "--tls-self-signed", "d"];
    let crl = config(&[flags.as_slice(), &["--client-crl", "c"]].concat()).unwrap_err();
    assert!(crl.to_string().contains("client_ca"), "{crl}");
}

#[test]
fn a_budget_needs_a_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.toml");
    for settings in ["[budget]\nvectors = 1\n".to_owned(), tenant("a", '0', "vectors = 1")] {
        std::fs::write(&path, settings).unwrap();
        let flags = ["--repo", "r", "--listen", "127.0.0.1:0", "--tls-self-signed", "d", "--config"];
        let with = |more: &[&str]| config(&[&flags[..], &[path.to_str().unwrap()], more].concat());
        assert!(with(&[]).unwrap_err().to_string().contains("data directory"));
        assert!(with(&["--data", "data"]).is_ok());
    }
}

#[test]
fn reading_again_takes_what_can_change_and_names_what_cannot() {
    let directory = tempfile::tempdir().unwrap();
    let old = from_file(directory.path(), "[limits]\nbatch = 4\nworkers = 2\n").unwrap();
    let changed = "[limits]\nbatch = 5\nworkers = 3\nbody_mib = 64\nqueue = 7\n[budget]\nvectors = 3\n";
    let changed = changed.to_owned() + &tenant("a", '0', "");
    from_file(directory.path(), &changed).unwrap();
    let (new, fixed) = old.reread().unwrap();
    assert_eq!(fixed, ["limits.workers", "limits.body_mib"]);
    assert_eq!((new.limits.batch, new.limits.queue, new.limits.workers), (5, 7, 2));
    assert_eq!(new.limits.body_mib, old.limits.body_mib);
    assert_eq!((new.tenants.names(), new.tenants.any_budget()), (1, true));
    assert!(from_file(directory.path(), "colour = 1\n").is_err());
    assert!(old.reread().is_err());
}
