//! `check-config`: everything that `serve` would read, read once, without a lock, a port or a write.

use std::io::{self, Write};

use serde_json::{Value, json};
use tiresias_circuits::{Plan, Privacy};

use crate::{
    budget,
    cli::CheckArgs,
    config::{Config, TlsConfig, TlsSource},
    data,
    history::{self, History},
    log,
    registry::{self, Snapshot},
    repository::{self, Repository},
    tls,
};

/// Why the check failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gateway would not start.
    #[error("the gateway would not start: {0} found")]
    Found(String),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Found(_) => "check_failed",
            Self::Output(_) => "output",
        }
    }
}

/// What was found.
#[derive(Default)]
struct Report {
    errors: Vec<(&'static str, String)>,
    warnings: Vec<String>,
    summary: serde_json::Map<String, Value>,
}

/// Reads everything and prints a summary. An error where the gateway would not start.
pub fn check(args: CheckArgs, out: &mut impl Write) -> Result<(), Error> {
    let json = args.json;
    let mut report = Report::default();
    match Config::from_args(args.serve) {
        Ok(config) => report.read(&config),
        Err(error) => report.error(error.code(), &error),
    }
    report.print(json, out)?;
    match report.errors.len() {
        0 => Ok(()),
        1 => Err(Error::Found("1 error was".to_owned())),
        several => Err(Error::Found(format!("{several} errors were"))),
    }
}

/// What an operator should know of a configuration that works.
pub(crate) fn warnings(config: &Config, models: &Snapshot) -> Vec<String> {
    let mut warnings = Vec::new();
    for model in models.newest() {
        let plan = model.card.plan();
        if plan.privacy() == Privacy::Flooded && !config.tenants.all_budgets() {
            warnings.push(no_budget(&model.name, plan));
        }
    }
    warnings.extend(budget_by_key(config));
    warnings
}

fn no_budget(model: &str, plan: &Plan) -> String {
    let why = match plan.leak().vectors_to_determine {
        Some(vectors) => format!("{vectors} honest score vectors determine the head"),
        None => "labels of chosen inputs teach about the head too".to_owned(),
    };
    format!("model {model}: protected, but served without a budget: {why} (set [budget] vectors)")
}

fn budget_by_key(config: &Config) -> Option<String> {
    let by_key = config.tenants.any_budget() && config.tenants.names() == 0 && config.client_auth();
    by_key.then(|| {
        "budgets without a list of tenants are counted by client key: a clinic with a new key starts anew \
         (list them in [[tenants]])"
            .to_owned()
    })
}

impl Report {
    fn error(&mut self, code: &'static str, error: &impl ToString) {
        self.errors.push((code, error.to_string()));
    }

    fn read(&mut self, config: &Config) {
        let tenants = &config.tenants;
        self.note("listen", config.listen.to_string());
        self.note("metrics", config.metrics.map(|address| address.to_string()));
        self.note("tenants", tenants.names());
        self.note("client_auth", config.client_auth());
        self.read_tls(config);
        self.read_models(config);
        self.read_data(config);
        self.warnings.extend(budget_by_key(config));
    }

    fn note(&mut self, key: &str, value: impl Into<Value>) {
        self.summary.insert(key.to_owned(), value.into());
    }

    fn read_tls(&mut self, config: &Config) {
        let files = match &config.tls {
            TlsSource::Files(files) => files.clone(),
            TlsSource::SelfSigned { directory, client_auth, require_hybrid } => {
                if !tls::is_complete(directory) {
                    self.note("certificates", "made at the first start");
                    return;
                }
                let path = |name: &str| directory.join(name);
                TlsConfig {
                    cert: path("server.pem"),
                    key: path("server-key.pem"),
                    client_ca: client_auth.then(|| path("ca.pem")),
                    client_crls: Vec::new(),
                    require_hybrid: *require_hybrid,
                }
            }
        };
        self.note("certificates", files.cert.display().to_string());
        self.note("revocation_lists", files.client_crls.len());
        if let Err(error) = tls::load(&files) {
            self.error("tls", &error);
        }
    }

    fn read_models(&mut self, config: &Config) {
        let repository = Repository::new(&config.repo);
        let names = repository.names().unwrap_or_else(|error| {
            self.error(error.code(), &error);
            Vec::new()
        });
        let mut models = Vec::new();
        for name in &names {
            if let Err(error) = self.read_model(&repository, name, config, &mut models) {
                self.error(error.code(), &error);
            }
        }
        if models.is_empty() && self.errors.is_empty() {
            let rule = "holds no model that would be served";
            self.error(registry::Error::NoModels.code(), &format!("{}: {rule}", config.repo.display()));
        }
        self.note("models", models);
    }

    fn read_model(
        &mut self,
        repository: &Repository,
        name: &str,
        config: &Config,
        models: &mut Vec<Value>,
    ) -> Result<(), repository::Error> {
        let mut newest = None;
        for version in repository.versions(name)? {
            match repository.load(name, Some(version)) {
                Err(error) => self.error(error.code(), &error),
                Ok(model) => {
                    let directory = repository.directory(name, version);
                    if let Err(error) = config.governance.check(&model, &directory) {
                        self.warnings.push(format!("[{}] {error}", error.code()));
                        continue;
                    }
                    let plan = model.card.plan();
                    models.push(json!({
                        "name": name,
                        "version": version,
                        "config_id": model.config.to_string(),
                        "privacy": plan.privacy().name(),
                        "vectors_to_determine": plan.leak().vectors_to_determine,
                    }));
                    newest = Some(*plan);
                }
            }
        }
        let protected = newest.filter(|plan| plan.privacy() == Privacy::Flooded);
        if let Some(plan) = protected.filter(|_| !config.tenants.all_budgets()) {
            self.warnings.push(no_budget(name, &plan));
        }
        Ok(())
    }

    fn read_data(&mut self, config: &Config) {
        let Some(directory) = &config.data else { return };
        self.note("data", directory.display().to_string());
        match std::fs::metadata(directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => self.error("io", &format!("{}: not a directory", directory.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.error("io", &format!("{}: {error}", directory.display())),
        }
        let budgets = budget::check(&directory.join(budget::FILE)).map(drop);
        let history = History::read(&directory.join(history::FILE)).map(drop);
        self.read_witnesses(config);
        for error in [budgets, history].into_iter().filter_map(Result::err) {
            let error: data::Error = error;
            self.error(error.code(), &error);
        }
    }

    fn read_witnesses(&mut self, config: &Config) {
        let Some(witnesses) = &config.log.witnesses else { return };
        let names: Vec<&str> = witnesses.witnesses.iter().map(|witness| witness.key.name()).collect();
        self.note("witnesses", names.join(", "));
        self.note("witness_quorum", witnesses.quorum);
        if let Err(error) = log::witness_tls(witnesses) {
            self.error("tls", &error);
        }
    }

    fn print(&self, json: bool, out: &mut impl Write) -> io::Result<()> {
        if json {
            let errors: Vec<Value> =
                self.errors.iter().map(|(code, error)| json!({"code": code, "error": error})).collect();
            let mut object = serde_json::Map::new();
            object.insert("ok".to_owned(), errors.is_empty().into());
            object.extend(self.summary.clone());
            object.insert("warnings".to_owned(), self.warnings.clone().into());
            object.insert("errors".to_owned(), errors.into());
            return writeln!(out, "{}", Value::Object(object));
        }
        for (key, value) in self.summary.iter().filter(|(key, value)| *key != "models" && !value.is_null()) {
            writeln!(out, "{key:>16}  {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))?;
        }
        for model in self.summary.get("models").and_then(Value::as_array).into_iter().flatten() {
            let word = |key: &str| model[key].as_str().unwrap_or_default();
            let (name, version) = (word("name"), &model["version"]);
            writeln!(out, "{:>16}  {name} version {version}, {}", "model", word("privacy"))?;
        }
        for warning in &self.warnings {
            writeln!(out, "{:>16}  {warning}", "warning")?;
        }
        for (code, error) in &self.errors {
            writeln!(out, "{:>16}  [{code}] {error}", "error")?;
        }
        Ok(())
    }
}
