//! The model card that goes with a head, as `tiresias-gateway approve` reads it.

use std::fmt::Write as _;

use serde::Serialize;
use tiresias_evidence::ModelCard;
use tiresias_learn::{Metric, Patients, metrics::FEWEST};

use super::Learned;
use crate::{Error, cli::LearnArgs, error::Learning};

#[derive(Serialize)]
struct Card<'a> {
    owner: &'a str,
    intended_use: &'a str,
    limits: Vec<&'a str>,
    data: Data<'a>,
    metrics: &'a [Metric],
}

#[derive(Serialize)]
struct Data<'a> {
    provenance: String,
    licence: &'a str,
}

/// The card, where one is asked for. It is read again as a gateway reads it before anything is written.
pub(super) fn text(
    args: &LearnArgs,
    patients: &Patients,
    learned: &Learned,
    limits: &[String],
) -> Result<Option<String>, Error> {
    if args.card.card.is_none() {
        return Ok(None);
    }
    let stated = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let card = &args.card;
    let (owner, intended_use) = (stated(&card.owner), stated(&card.intended_use));
    let (provenance, licence) = (stated(&card.provenance), stated(&card.licence));
    if provenance.trim().is_empty() {
        return Err(Error::Usage("--provenance: say where the patients' data came from"));
    }
    let card = Card {
        owner: &owner,
        intended_use: &intended_use,
        limits: card.limit.iter().chain(limits).map(String::as_str).collect(),
        data: Data {
            provenance: format!("{provenance}. {}", learning(args, patients, learned)),
            licence: &licence,
        },
        metrics: &learned.metrics,
    };
    let text =
        toml::to_string(&card).map_err(|_| Error::Usage("--card: a text cannot be written as TOML"))?;
    ModelCard::parse(text.as_bytes()).map_err(Learning::Card)?;
    Ok(Some(text))
}

/// How the head was learned, in words.
fn learning(args: &LearnArgs, patients: &Patients, learned: &Learned) -> String {
    let rows = patients.rows();
    let about = if learned.spent.is_some() { "about " } else { "" };
    let mut text = format!(
        "Learned by tiresias {} from {about}{} patients",
        env!("CARGO_PKG_VERSION"),
        learned.run.patients
    );
    if let Some(clinics) = learned.clinics {
        let _ = write!(text, " of {clinics} clinics, of whom only sums over all of them were opened");
    }
    if let Some(counts) = &learned.counts {
        let of = |(class, name): (usize, &String)| match counts.class(class) {
            0..FEWEST => format!("{name}: fewer than {FEWEST}"),
            count => format!("{name}: {count}"),
        };
        let counted: Vec<String> = rows.classes().iter().enumerate().map(of).collect();
        let _ = write!(text, " ({})", counted.join(", "));
    }
    let _ = write!(
        text,
        " with {} features: multinomial logistic regression on {} features, L2 penalty of strength {}",
        rows.columns(),
        if learned.spent.is_some() { "bounded" } else { "standardized" },
        learned.run.strength
    );
    if let Some(choice) = &learned.choice {
        let chosen = if choice.losses.is_empty() { "given" } else { "chosen by cross-validation" };
        let _ = write!(text, " ({chosen}), {} folds, seed {}", choice.folds, args.seed);
    }
    if args.balanced {
        text.push_str("; classes balanced");
    }
    if args.reweigh {
        text.push_str("; patients reweighed so that group and class are independent");
    }
    text.push('.');
    text
}
