//! `evaluate`: the clear twin, for the model owner.

use std::io::Write;

use serde_json::{Value, json};
use tiresias_circuits::{
    Card, Drift, Explanation, Features, clear, explain::Explained, label::Label, plan::Decision,
    quantize::QuantizedRow, scores,
};

use super::{Error, read_features};
use crate::{
    cli::EvaluateArgs,
    repository::{Repository, StoredModel},
};

/// Scores features in the clear.
pub fn evaluate(args: &EvaluateArgs, out: &mut impl Write) -> Result<(), Error> {
    let model = Repository::new(&args.model.repo).load(&args.model.name, args.model.version)?;
    let card = &model.card;
    let rows = read_features(&args.features, card.plan().shape().features)?;
    let mut rows_beyond = 0;
    let wider = wider_margins(&model, &rows)?;
    for (index, floats) in rows.iter().enumerate() {
        let QuantizedRow { values: row, clipped } = card.quantizer().quantize(floats)?;
        let beyond = model.head.beyond(&row)?;
        rows_beyond += usize::from(beyond.is_some_and(|neurons| neurons > 0));
        let (mut line, text) = match card.plan().label_policy() {
            Some(policy) => {
                let label = named(card, &clear::decide(policy.decision, &model.head.scores(&row)?));
                (json!({"index": index, "label": label}), format!("{index:>6}  {label}"))
            }
            None => {
                let rows_q = model.head.answer(&row)?;
                let explained = card.explanation().and_then(Explanation::groups);
                let explained = explained.map(|groups| (groups.names(), groups.split(&rows_q)));
                let (scores_q, contributions) = match explained {
                    Some((names, explained)) => {
                        let contributions = contributions(card, names, &explained);
                        (explained.scores_q, Some(contributions))
                    }
                    None => (rows_q, None),
                };
                let reading = scores::read(&scores_q, card.score_scale());
                let label = reading.class.and_then(|class| card.labels().get(class));
                let mut line = json!({
                    "index": index,
                    "label": label,
                    "scores_q": scores_q,
                    "scores": reading.scores,
                    "margin": reading.margin,
                });
                if let Some(contributions) = contributions {
                    line["contributions"] = contributions;
                }
                let label = label.map_or("none", String::as_str);
                (line, format!("{index:>6}  {label:<24} margin {:.4}", reading.margin))
            }
        };
        if let Some(calibration) = card.calibration() {
            let drift = Drift::new(calibration, calibration.distance(floats), clipped, floats.len());
            line["drift"] = json!({
                "outside": drift.outside,
                "distance": drift.distance,
                "limit": drift.limit,
                "far_out": drift.is_far_out(),
            });
        }
        if let Some(neurons) = beyond {
            line["neurons_beyond_range"] = neurons.into();
        }
        if let Some(wider) = &wider {
            line["clear_cut"] = wider.get(index).copied().into();
        }
        match args.model.json {
            true => writeln!(out, "{line}")?,
            false => writeln!(out, "{text}")?,
        }
    }
    if rows_beyond > 0 && !args.model.json {
        writeln!(
            out,
            "note: {rows_beyond} rows have sums beyond the calibrated range: encrypted, their activations would be wrong"
        )?;
    }
    Ok(())
}

/// Whether the margin of each row is among the wider half. Behind hidden layers, an encrypted answer may decide otherwise
/// where a decision is close to a tie: who wants known answers takes these rows. `None` for a head without hidden layers.
fn wider_margins(model: &StoredModel, rows: &Features) -> Result<Option<Vec<bool>>, Error> {
    let plan = model.card.plan();
    if plan.hidden().is_none() {
        return Ok(None);
    }
    let decision = plan.label_policy().map_or(Decision::Argmax, |policy| policy.decision);
    let margin = |floats: &[f64]| {
        let mut scores = model.head.scores(&model.card.quantizer().quantize(floats)?.values)?;
        scores.sort_unstable_by(|one, other| other.cmp(one));
        Ok(match (decision, scores.as_slice()) {
            (Decision::Argmax, [best, next, ..]) => best.abs_diff(*next),
            (_, scores) => scores.iter().map(|score| score.unsigned_abs()).min().unwrap_or_default(),
        })
    };
    let margins = rows.iter().map(margin).collect::<Result<Vec<u64>, Error>>()?;
    let mut sorted = margins.clone();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    Ok(Some(margins.into_iter().map(|margin| margin >= median).collect()))
}

/// What each group contributed to each class's score, in the form in which `tiresias infer` prints it.
fn contributions(card: &Card, names: &[String], explained: &Explained) -> Value {
    let classes = card.labels().iter().zip(&explained.scores_q).zip(&explained.contributions_q);
    let class = |((class, score), values): ((&String, &i64), &Vec<i64>)| {
        let groups = names.iter().zip(values).map(|(group, &value_q)| {
            json!({"group": group, "value": value_q as f64 * card.score_scale(), "value_q": value_q})
        });
        let intercept = (score - values.iter().sum::<i64>()) as f64 * card.score_scale();
        json!({"class": class, "intercept": intercept, "groups": groups.collect::<Vec<_>>()})
    };
    classes.map(class).collect()
}

/// A label in the card's words: a class, or the list of classes whose score is 0 or more.
fn named(card: &Card, label: &Label) -> Value {
    match label {
        Label::Class(class) => class.and_then(|class| card.labels().get(class)).cloned().into(),
        Label::Findings(findings) => {
            let found = card.labels().iter().zip(findings).filter(|(_, finding)| **finding == Some(true));
            found.map(|(label, _)| Value::from(label.as_str())).collect()
        }
    }
}
