//! `tiresias learn`: a linear head of local features, or of those of several clinics, with a model card.

mod card;
mod rounds;
mod table;

use std::path::{Path, PathBuf};

use serde::Serialize;
use tiresias_learn::{
    Alone, Choice, Confusion, Counts, Head, Joint, Metric, Patients, Settings, Trained, Weighing, choose,
    choose::hold_out,
    private::{Plan, train_private},
    scaling::bounds_of,
    train,
    train::Run,
};
use tiresias_synth::{Bounds, Budget, Rows, Seed, Spent, discrete::Noise};
use zeroize::Zeroizing;

use self::rounds::Clinics;
use super::command_line;
use crate::{
    Error,
    cli::LearnArgs,
    error::Learning,
    files::{self, Readers},
    labelled, output,
    privacy_ledger::{Left, PrivacyLedger},
};

/// Rounds where none are asked for: alone, with other clinics, and with privacy.
const ROUNDS: usize = 1000;
const JOINT_ROUNDS: usize = 20;
const PRIVATE_ROUNDS: usize = 12;

/// What came of it.
struct Learned {
    head: Head,
    run: Run,
    /// Patients of each class, where that may be told.
    counts: Option<Counts>,
    /// How many clinics have learned together.
    clinics: Option<usize>,
    /// Cross-validation, without privacy.
    choice: Option<Choice>,
    metrics: Vec<Metric>,
    /// Figures of too few patients.
    left_out: usize,
    spent: Option<Spent>,
    ledger: Option<Left>,
}

impl Learned {
    /// Without figures.
    fn of(trained: Trained) -> Self {
        Self {
            head: trained.head,
            run: trained.run,
            counts: Some(trained.counts),
            clinics: None,
            choice: None,
            metrics: Vec::new(),
            left_out: 0,
            spent: None,
            ledger: None,
        }
    }
}

/// What a run has to say.
#[derive(Serialize)]
struct Printed<'a> {
    command: &'a str,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clinics: Option<usize>,
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
pub async fn run(args: &LearnArgs) -> Result<(), Error> {
    let out_labels = expect_new_files(args)?;
    let (patients, names) = table::read(args)?;
    let bounds = args.bounds.as_ref().map(|path| read_bounds(path, patients.rows())).transpose()?;
    let mut clinics = match args.joint.joint() {
        Some(joint) => {
            let about = rounds::settings(args, &patients, &names, bounds.as_ref())?;
            Some(Clinics { session: joint.session().await?, about })
        }
        None => None,
    };
    let learned = match (args.privacy.epsilon, bounds) {
        (Some(epsilon), Some(bounds)) => {
            learn_privately(args, &patients, bounds, epsilon, clinics.as_mut()).await?
        }
        (Some(_), None) => return Err(Error::Usage("--epsilon needs --bounds")),
        (None, bounds) => learn(args, &patients, bounds, clinics.as_mut()).await?,
    };
    let limits = limits(args, &learned);
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
        clinics: learned.clinics,
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

fn read_bounds(path: &Path, rows: &Rows) -> Result<Bounds, Error> {
    let at = |source| Error::from(Learning::Synth { path: path.to_owned(), source });
    let bounds = Bounds::new(labelled::bounds(path)?).map_err(at)?;
    match bounds.as_slice().len() == rows.columns() {
        true => Ok(bounds),
        false => Err(at(tiresias_synth::Error::BoundsCount)),
    }
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

async fn learn(
    args: &LearnArgs,
    patients: &Patients,
    bounds: Option<Bounds>,
    clinics: Option<&mut Clinics>,
) -> Result<Learned, Error> {
    let at = |source| Learning::Patients { path: args.features.clone(), source };
    let weighing = Weighing { balanced: args.balanced, reweighed: args.reweigh };
    let rounds = args.rounds.unwrap_or(if clinics.is_some() { JOINT_ROUNDS } else { ROUNDS });
    let mut settings = Settings { weighing, strength: args.strength.unwrap_or(1.0), rounds };
    settings.check(patients).map_err(at)?;
    let bounds = bounds.map_or_else(|| bounds_of(patients.rows()), Ok).map_err(at)?;
    if let Some(clinics) = clinics {
        return learn_together(args, patients, bounds, settings, clinics).await;
    }
    let choice = match args.skip_evaluation {
        true => None,
        false => Some(choose(patients, weighing, args.strength, args.folds, args.seed).map_err(at)?),
    };
    if let Some(choice) = &choice {
        settings.strength = choice.strength;
    }
    let trained = train(patients, &bounds, &settings, &mut Alone).map_err(at)?;
    let (metrics, left_out) = choice.as_ref().map(|choice| choice.confusion.metrics()).unwrap_or_default();
    Ok(Learned { choice, metrics, left_out, ..Learned::of(trained) })
}

/// The same with other clinics, all of whose patients but a part of each are learned from.
async fn learn_together(
    args: &LearnArgs,
    patients: &Patients,
    bounds: Bounds,
    settings: Settings,
    clinics: &mut Clinics,
) -> Result<Learned, Error> {
    let (patients, folds, seed) = (patients.clone(), args.folds, args.seed);
    let is_measured = !args.skip_evaluation;
    let learning = move |sum| {
        let pool = &mut Joint(sum);
        if !is_measured {
            return Ok((train(&patients, &bounds, &settings, pool)?, None));
        }
        let (learned, left_out) = hold_out(&patients, folds, seed)?;
        let trained = train(&learned, &bounds, &settings, pool)?;
        let mut confusion = Confusion::new(&left_out);
        confusion.add(&trained.head, &left_out);
        Ok((trained, Some(confusion.pooled(pool)?)))
    };
    let (trained, confusion) = clinics.together(learning).await?;
    let (metrics, left_out) = confusion.map(|confusion| confusion.metrics()).unwrap_or_default();
    Ok(Learned { metrics, left_out, clinics: Some(clinics.session.clinics()), ..Learned::of(trained) })
}

/// With noise, which is charged to the ledger first.
async fn learn_privately(
    args: &LearnArgs,
    patients: &Patients,
    bounds: Bounds,
    epsilon: f64,
    clinics: Option<&mut Clinics>,
) -> Result<Learned, Error> {
    let delta = args.privacy.delta.ok_or(Error::Usage("--epsilon needs --delta and --ledger"))?;
    let at = |source| Learning::Patients { path: args.features.clone(), source };
    let rows = patients.rows();
    let budget = Budget::new(epsilon, delta).map_err(|error| at(error.into()))?;
    let rounds = args.rounds.unwrap_or(PRIVATE_ROUNDS);
    let strength = args.strength.unwrap_or(1.0);
    let plan = Plan::new(budget, rows.columns(), rows.classes().len(), rounds, strength).map_err(at)?;
    let left = PrivacyLedger::of(&args.privacy.ledger)?.charge("tiresias learn", plan.spent().rho)?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(tiresias_secret_key::Error::from)?;
    let mut noise = Noise::new(&Seed::from_bytes(*seed));
    let number = clinics.as_ref().map(|clinics| clinics.session.clinics());
    let spent = plan.spent().clone();
    let trained = match clinics {
        None => train_private(rows, &bounds, &plan, &mut noise, &mut Alone).map_err(at)?,
        Some(clinics) => {
            let rows = rows.clone();
            let learning = move |sum| train_private(&rows, &bounds, &plan, &mut noise, &mut Joint(sum));
            clinics.together(learning).await?
        }
    };
    Ok(Learned {
        head: trained.head,
        run: trained.run,
        counts: None,
        clinics: number,
        choice: None,
        metrics: Vec::new(),
        left_out: 0,
        spent: Some(spent),
        ledger: Some(left),
    })
}

/// What is not shown, and what may be told by the head.
fn limits(args: &LearnArgs, learned: &Learned) -> Vec<String> {
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
    if !learned.metrics.is_empty() && learned.clinics.is_some() {
        limits.push(format!(
            "Figures are totals of all clinics, of patients held out from learning: of {} patients one. Other places, scanners and times \
             may do worse, and patients with several rows make them look better.",
            args.folds
        ));
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
        let how = if learned.choice.is_some() { "cross-validated" } else { "held out" };
        let mut table = output::table(&["", "patients", how]);
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
        "learned from {about}{} patients{}, strength {}, {} rounds: {}, classes in {}",
        run.patients,
        learned.clinics.map_or_else(String::new, |clinics| format!(" of {clinics} clinics")),
        run.strength,
        run.rounds,
        args.out.display(),
        out_labels.display()
    ))
}
