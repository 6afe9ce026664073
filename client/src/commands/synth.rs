//! `tiresias synth`: patients that are nobody's, like those of a table; how good they are, and how close to real ones.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tiresias_synth::{
    Bounds, Budget, Evaluation, Model, Rows, Seed, Spent, evaluate, fit, fit_private, split,
};
use zeroize::Zeroizing;

use super::command_line;
use crate::{
    Error,
    cli::SynthArgs,
    error::Learning,
    files::{self, Readers},
    labelled::{self, Labelled},
    npy, output,
};

/// What a run has to say.
#[derive(Serialize)]
struct Printed<'a> {
    command: &'a str,
    seed: u64,
    rows: usize,
    features: usize,
    /// Synthetic rows of each class.
    classes: Vec<Class<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy: Option<&'a Spent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<&'a Evaluation>,
    /// What the figures do not show.
    limits: &'a [&'a str],
}

#[derive(Serialize)]
struct Class<'a> {
    name: &'a str,
    rows: usize,
}

/// Runs the command.
pub fn run(args: &SynthArgs) -> Result<(), Error> {
    let out_labels = expect_new_files(args)?;
    let at = |source| Error::from(Learning::Synth { path: args.features.clone(), source });
    let Labelled { values, names, labels, .. } = match (&args.labels, &args.label_column) {
        (Some(labels), _) => Labelled::with_labels(&args.features, labels)?,
        (None, Some(column)) => Labelled::with_column(&args.features, column, None)?,
        (None, None) => return Err(Error::Usage("name labels with --labels or --label-column")),
    };
    let rows = Rows::with_names(values, names.len(), &labels).map_err(at)?;
    let seed = Seed::from(args.seed);
    let (train, test) = match args.skip_evaluation {
        true => (rows, None),
        false => split(&rows, args.test_share, &seed).map(|(train, test)| (train, Some(test))).map_err(at)?,
    };
    let model = model(args, &train)?;
    let synthetic = model.sample(args.rows, &seed).map_err(at)?;
    let evaluation = test.map(|test| evaluate(&train, &test, &synthetic)).transpose().map_err(at)?;

    files::write_whole(&args.out, &features(&args.out, &synthetic, &names)?, Readers::Owner, false)?;
    files::write_whole(&out_labels, &classes(&synthetic)?, Readers::Owner, false)?;
    let limits = limits(model.spent().is_some(), evaluation.is_some());
    if !args.json {
        return print(
            args,
            &out_labels,
            model.spent(),
            evaluation.as_ref().map(|found| (found, &names[..])),
            &limits,
        );
    }
    let counted = synthetic.classes().iter().zip(synthetic.counts());
    output::json(&Printed {
        command: &command_line(),
        seed: args.seed,
        rows: synthetic.len(),
        features: names.len(),
        classes: counted.map(|(name, rows)| Class { name, rows }).collect(),
        privacy: model.spent(),
        evaluation: evaluation.as_ref(),
        limits: &limits,
    })
}

/// Looks at the names of what will be written before anything is computed; returns that of the labels.
fn expect_new_files(args: &SynthArgs) -> Result<PathBuf, Error> {
    let is_npy = args.out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
    if !is_npy && !labelled::is_csv(&args.out) {
        return Err(Error::Usage("--out: a features file ends in .npy or .csv"));
    }
    let out_labels = args.out_labels.clone().unwrap_or_else(|| args.out.with_extension("labels.csv"));
    if out_labels == args.out {
        return Err(Error::Usage("--out-labels: name another file than --out"));
    }
    for path in [&args.out, &out_labels] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::OutputExists { path: path.clone() });
        }
    }
    Ok(out_labels)
}

fn model(args: &SynthArgs, train: &Rows) -> Result<Model, Error> {
    let at = |source| Error::from(Learning::Synth { path: args.features.clone(), source });
    let (Some(epsilon), Some(delta), Some(path)) = (args.epsilon, args.delta, &args.bounds) else {
        return fit(train).map_err(at);
    };
    let budget = Budget::new(epsilon, delta).map_err(at)?;
    let bounds = Bounds::new(labelled::bounds(path)?);
    let bounds = bounds.map_err(|source| Error::from(Learning::Synth { path: path.clone(), source }))?;
    let mut noise = Zeroizing::new([0; 32]);
    getrandom::fill(noise.as_mut_slice()).map_err(tiresias_secret_key::Error::from)?;
    fit_private(train, &bounds, budget, &Seed::from_bytes(*noise)).map_err(|source| match source {
        tiresias_synth::Error::BoundsCount => Error::from(Learning::Synth { path: path.clone(), source }),
        source => at(source),
    })
}

fn features(path: &Path, rows: &Rows, names: &[String]) -> Result<Vec<u8>, Error> {
    if !labelled::is_csv(path) {
        return Ok(npy::bytes(rows.iter(), rows.columns()));
    }
    let lines = rows.iter().map(|row| row.iter().map(f64::to_string).collect());
    csv([names.to_vec()].into_iter().chain(lines))
}

fn classes(rows: &Rows) -> Result<Vec<u8>, Error> {
    let lines = rows.labels().iter().map(|&label| vec![rows.classes()[label].clone()]);
    csv([vec!["label".to_owned()]].into_iter().chain(lines))
}

fn csv(mut lines: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = lines.try_for_each(|line| writer.write_record(line));
    written.map_err(|error| Error::Output(error.into()))?;
    writer.into_inner().map_err(|error| Error::Output(error.into_error()))
}

/// What the figures do not show.
fn limits(is_private: bool, is_evaluated: bool) -> Vec<&'static str> {
    let mut limits = vec![match is_private {
        true => {
            "private: epsilon and delta hold for the rows written, for one row more or less among those fitted, and add up with \
             those of every other run on the same patients"
        }
        false => {
            "not private: without --epsilon rows can reveal real patients, also where no distance is small: treat them as real \
             patients' data"
        }
    }];
    if is_evaluated {
        limits.push(
            "these figures are computed on real rows without noise, and no epsilon covers them: keep them where the rows are",
        );
        limits.push(
            "they are of one split and one classifier (logistic regression): other splits, tasks and models may do worse, and \
             what is rare among patients may be missing",
        );
    }
    limits
}

fn print(
    args: &SynthArgs,
    out_labels: &Path,
    spent: Option<&Spent>,
    evaluation: Option<(&Evaluation, &[String])>,
    limits: &[&str],
) -> Result<(), Error> {
    if let Some((found, names)) = evaluation {
        print_figures(found, names)?;
    }
    if let Some(spent) = spent {
        output::line(&format!(
            "privacy: epsilon {:.4}, delta {:e} ({:.6} zCDP), {}",
            spent.epsilon, spent.delta, spent.rho, spent.neighbours
        ))?;
        for question in &spent.questions {
            let (what, rho, variance) = (question.what, question.rho, question.variance);
            output::line(&format!("  {what}: {rho:.6} zCDP, noise of variance {variance}"))?;
        }
        output::line(&format!("  taken as public: {}", spent.public.join(", ")))?;
    }
    for limit in limits {
        output::line(limit)?;
    }
    let (out, labels) = (args.out.display(), out_labels.display());
    output::line(&format!("{} patients, seed {}: {out}, their classes in {labels}", args.rows, args.seed))
}

fn print_figures(found: &Evaluation, names: &[String]) -> Result<(), Error> {
    let mut table = output::table(&["", "real", "synthetic"]);
    let number = |value: f64| format!("{value:.4}");
    let name = |feature: usize| names.get(feature - 1).map_or("", String::as_str);
    let (real, synthetic) = (&found.train_on_real, &found.train_on_synthetic);
    let (usual, made) = (&found.distances.held_out, &found.distances.synthetic);
    let (distances, shape) = (&found.distances, &found.shape);
    let none = || "-".to_owned();
    let mut add = |what: &str, real: String, synthetic: String| {
        table.add_row([what.to_owned(), real, synthetic]);
    };
    add("accuracy on held-out rows, trained on", number(real.accuracy), number(synthetic.accuracy));
    add("balanced accuracy", number(real.balanced_accuracy), number(synthetic.balanced_accuracy));
    add("nearest fitted row: least (real: held-out rows)", number(usual.least), number(made.least));
    for (what, real, synthetic) in [
        ("  5 %", usual.p05, made.p05),
        ("  median", usual.median, made.median),
        ("  95 %", usual.p95, made.p95),
    ] {
        add(what, number(real), number(synthetic));
    }
    add(
        "copies of a fitted row",
        distances.held_out_copies.to_string(),
        distances.synthetic_copies.to_string(),
    );
    add("closer than 5 % of held-out rows", "about 0.05".to_owned(), number(distances.share_closer));
    add("Kolmogorov-Smirnov distance: mean", none(), number(shape.mean));
    add(&format!("  largest ({})", name(shape.largest_feature)), none(), number(shape.largest));
    if let Some((first, second)) = shape.largest_correlation_features {
        let what = format!("correlation off by at most ({}, {})", name(first), name(second));
        add(&what, none(), number(shape.largest_correlation_difference));
    }
    output::line(&table.to_string())?;
    if !(real.is_converged && synthetic.is_converged) {
        output::line("a classifier stopped before its end: accuracies are approximate")?;
    }
    output::line(&format!(
        "{} real rows fitted, {} held out; distances in standard deviations of the fitted rows",
        found.train_rows, found.test_rows
    ))
}
