//! `tiresias learn`: a linear head of local features, with a model card.

mod card;
mod table;

use std::path::{Path, PathBuf};

use serde::Serialize;
use tiresias_learn::{
    Alone, Choice, Counts, Head, Metric, Patients, Settings, Weighing, choose,
    private::{Plan, train_private},
    train,
    train::Run,
};
use tiresias_synth::{Bounds, Budget, Seed, Spent, discrete::Noise};
use zeroize::Zeroizing;

use super::command_line;
use crate::{
    Error,
    cli::{LearnArgs, PrivacyArgs},
    error::Learning,
    files::{self, Readers},
    labelled, output,
    privacy_ledger::{Left, PrivacyLedger},
};

/// Rounds where none are asked for, without and with privacy.
const ROUNDS: (usize, usize) = (100, 12);

/// What came of it.
struct Learned {
    head: Head,
    run: Run,
    /// Patients of each class, where that may be told.
    counts: Option<Counts>,
    /// Cross-validation, without privacy.
    choice: Option<Choice>,
    metrics: Vec<Metric>,
    /// Figures of too few patients.
    left_out: usize,
    spent: Option<Spent>,
    ledger: Option<Left>,
}

/// What a run has to say.
#[derive(Serialize)]
struct Printed<'a> {
    command: &'a str,
    seed: u64,
    features: usize,
    classes: &'a [String],
    #[serde(flatten)]
    run: &'a Run,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_validation: Option<&'a Choice>,
    metrics: &'a [Metric],
    metrics_left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy: Option<&'a Spent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<Left>,
    /// What the figures do not show.
    limits: &'a [String],
}

/// Runs the command.
pub fn run(args: &LearnArgs) -> Result<(), Error> {
    let out_labels = expect_new_files(args)?;
    let patients = table::read(args)?;
    let learned = match args.privacy.epsilon {
        Some(epsilon) => learn_privately(args, &patients, epsilon)?,
        None => learn(args, &patients)?,
    };
    let limits = limits(&learned);
    let card = card::text(args, &patients, &learned, &limits)?;
    let head = learned.head.to_safetensors()?;
    files::write_whole(&args.out, &head, Readers::Owner, false)?;
    let names: String = patients.rows().classes().iter().map(|name| format!("{name}\n")).collect();
    files::write_whole(&out_labels, names.as_bytes(), Readers::Owner, false)?;
    if let Some((path, text)) = args.card.card.as_ref().zip(card) {
        files::write_whole(path, text.as_bytes(), Readers::Owner, false)?;
    }
    if !args.json {
        return print(args, &out_labels, &learned, &limits);
    }
    output::json(&Printed {
        command: &command_line(),
        seed: args.seed,
        features: learned.head.features(),
        classes: patients.rows().classes(),
        run: &learned.run,
        cross_validation: learned.choice.as_ref(),
        metrics: &learned.metrics,
        metrics_left_out: learned.left_out,
        privacy: learned.spent.as_ref(),
        ledger: learned.ledger,
        limits: &limits,
    })
}

/// Looks at the names of what will be written before anything is computed; returns that of the classes' names.
fn expect_new_files(args: &LearnArgs) -> Result<PathBuf, Error> {
    if args.out.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("safetensors")) {
        return Err(Error::Usage("--out: a head's file ends in .safetensors"));
    }
    let out_labels = args.out_labels.clone().unwrap_or_else(|| args.out.with_extension("labels.txt"));
    let paths: Vec<&PathBuf> = [&args.out, &out_labels].into_iter().chain(&args.card.card).collect();
    for (at, path) in paths.iter().enumerate() {
        if paths[..at].contains(path) {
            return Err(Error::Usage("--out, --out-labels and --card: name different files"));
        }
        files::refuse_existing(path)?;
    }
    Ok(out_labels)
}

fn learn(args: &LearnArgs, patients: &Patients) -> Result<Learned, Error> {
    let at = |source| Learning::Patients { path: args.features.clone(), source };
    let weighing = Weighing { balanced: args.balanced, reweighed: args.reweigh };
    let rounds = args.rounds.unwrap_or(ROUNDS.0);
    let mut settings = Settings { weighing, strength: args.strength.unwrap_or(1.0), rounds };
    settings.check(patients).map_err(at)?;
    let choice = choose(patients, weighing, args.strength, args.folds, args.seed).map_err(at)?;
    settings.strength = choice.strength;
    let trained = train(patients, &settings, &mut Alone).map_err(at)?;
    let (metrics, left_out) = choice.confusion.metrics();
    Ok(Learned {
        head: trained.head,
        run: trained.run,
        counts: Some(trained.counts),
        choice: Some(choice),
        metrics,
        left_out,
        spent: None,
        ledger: None,
    })
}

/// The same with noise, which is charged to the ledger first.
fn learn_privately(args: &LearnArgs, patients: &Patients, epsilon: f64) -> Result<Learned, Error> {
    let PrivacyArgs { delta: Some(delta), bounds: Some(bounds_path), ledger: Some(ledger), .. } =
        &args.privacy
    else {
        return Err(Error::Usage("--epsilon needs --delta, --bounds and --ledger"));
    };
    let at = |source| Learning::Patients { path: args.features.clone(), source };
    let at_bounds = |source| Error::from(Learning::Synth { path: bounds_path.clone(), source });
    let bounds = Bounds::new(labelled::bounds(bounds_path)?).map_err(at_bounds)?;
    let rows = patients.rows();
    if bounds.as_slice().len() != rows.columns() {
        return Err(at_bounds(tiresias_synth::Error::BoundsCount));
    }
    let budget = Budget::new(epsilon, *delta).map_err(|error| at(error.into()))?;
    let rounds = args.rounds.unwrap_or(ROUNDS.1);
    let strength = args.strength.unwrap_or(1.0);
    let plan = Plan::new(budget, rows.columns(), rows.classes().len(), rounds, strength).map_err(at)?;
    let in_all = args.privacy.ledger_epsilon.zip(args.privacy.ledger_delta);
    let left = PrivacyLedger::open(ledger, in_all)?.charge("tiresias learn", plan.spent().rho)?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(tiresias_secret_key::Error::from)?;
    let mut noise = Noise::new(&Seed::from_bytes(*seed));
    let trained = train_private(rows, &bounds, &plan, &mut noise, &mut Alone).map_err(at)?;
    Ok(Learned {
        head: trained.head,
        run: trained.run,
        counts: None,
        choice: None,
        metrics: Vec::new(),
        left_out: 0,
        spent: Some(plan.spent().clone()),
        ledger: Some(left),
    })
}

/// What is not shown, and what may be told by the head.
fn limits(learned: &Learned) -> Vec<String> {
    let mut limits = Vec::new();
    match &learned.spent {
        None => limits.push(
            "Learned without differential privacy: weights and figures can tell of the patients, above all where they are few.".to_owned(),
        ),
        Some(spent) => {
            limits.push(format!(
                "Learned with differential privacy: epsilon {:.4}, delta {:e}, for {}.",
                spent.epsilon, spent.delta, spent.neighbours
            ));
            limits.push(
                "No figure says how well it does: measured on the patients it was learned from, one would tell of them. Test it on others."
                    .to_owned(),
            );
        }
    }
    if let Some(choice) = &learned.choice {
        limits.push(format!(
            "Figures are of {}-fold cross-validation on the patients of one place, each by heads that have not seen that row: other places, \
             scanners and times may do worse, and patients with several rows make them look better.",
            choice.folds
        ));
    }
    if learned.left_out > 0 {
        limits.push(format!(
            "{} figures of fewer than {} patients are left out.",
            learned.left_out,
            tiresias_learn::metrics::FEWEST
        ));
    }
    if !learned.run.is_converged && learned.spent.is_none() {
        limits.push("Learning stopped before its end.".to_owned());
    }
    limits
}

fn print(args: &LearnArgs, out_labels: &Path, learned: &Learned, limits: &[String]) -> Result<(), Error> {
    if !learned.metrics.is_empty() {
        let mut table = output::table(&["", "patients", "cross-validated"]);
        for metric in &learned.metrics {
            let name = match &metric.subgroup {
                Some(group) => format!("{}, {group}", metric.name),
                None => metric.name.clone(),
            };
            table.add_row([name, metric.samples.to_string(), format!("{:.4}", metric.value)]);
        }
        output::line(&table.to_string())?;
    }
    if let Some(choice) = learned.choice.as_ref().filter(|choice| !choice.losses.is_empty()) {
        let losses: Vec<String> =
            choice.losses.iter().map(|(strength, loss)| format!("{strength}: {loss:.4}")).collect();
        output::line(&format!("loss by strength: {}", losses.join(", ")))?;
    }
    if let Some(spent) = &learned.spent {
        for question in &spent.questions {
            let (what, rho, variance) = (question.what, question.rho, question.variance);
            output::line(&format!("{what}: {rho:.6} zCDP, noise of variance {variance}"))?;
        }
        output::line(&format!("taken as public: {}", spent.public.join(", ")))?;
    }
    if let Some(left) = &learned.ledger {
        let (entry, epsilon, delta) = (left.entry, left.epsilon, left.delta);
        output::line(&format!("ledger: entry {entry}; epsilon {epsilon:.4} is left at delta {delta:e}"))?;
    }
    for limit in limits {
        output::line(limit)?;
    }
    let (run, about) = (&learned.run, if learned.spent.is_some() { "about " } else { "" });
    output::line(&format!(
        "learned from {about}{} patients, strength {}, {} rounds: {}, classes in {}",
        run.patients,
        run.strength,
        run.rounds,
        args.out.display(),
        out_labels.display()
    ))
}
