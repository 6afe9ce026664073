//! What was found, as TID 1500 has it: a measurement group (TID 1501) that refers to the image, and comments beside it.

use tiresias_scan::Study;

use super::content::{Code, Item, dcm};
use crate::{Outcome, Report};

const CONTAINS: &str = "CONTAINS";

/// The two containers.
pub(super) fn containers(report: &Report, study: &Study) -> [Item; 2] {
    let group = group(report, study).under(CONTAINS);
    let measurements = Item::container(&dcm("126010", "Imaging Measurements"), None, vec![group]);
    let evaluations = Code::new("C0034375", "UMLS", "Qualitative Evaluations");
    let evaluations = Item::container(&evaluations, None, comments(report));
    [measurements.under(CONTAINS), evaluations.under(CONTAINS)]
}

fn group(report: &Report, study: &Study) -> Item {
    let model = &report.model;
    let tracking = dcm("112040", "Tracking Unique Identifier");
    let mut items = vec![
        Item::text(&dcm("112039", "Tracking Identifier"), &format!("Computed finding of {}", model.name))
            .under("HAS OBS CONTEXT"),
        Item::uid(&tracking, &report.id.part("finding").uid()).under("HAS OBS CONTEXT"),
    ];
    items.extend(finding(report).map(|item| item.under(CONTAINS)));
    items.extend(algorithm(report));
    items.extend(scores(report).into_iter().map(|item| item.under(CONTAINS)));
    items.extend(findings(report).into_iter().map(|item| item.under(CONTAINS)));
    let source = dcm("121112", "Source of Measurement");
    items.push(Item::image(&source, study, report.frame).under(CONTAINS));
    Item::container(&dcm("125007", "Measurement Group"), Some("1501"), items)
}

/// The finding where there is one alone.
fn finding(report: &Report) -> Option<Item> {
    let name = dcm("121071", "Finding");
    let label = match &report.outcome {
        Outcome::Findings(_) => return None,
        _ if report.is_withheld() => undetermined(),
        Outcome::Class(label) => Code::label(label.as_deref()?),
        Outcome::Scores { label: Some(label), .. } => Code::label(label),
        // A score that does not reach its class.
        Outcome::Scores { label: None, scores, .. } => {
            let (class, _) = scores.first()?;
            return Some(Item::code(&Code::label(class), &absent()));
        }
    };
    Some(Item::code(&name, &label))
}

/// Findings side by side: CID 240.
fn findings(report: &Report) -> Vec<Item> {
    let Outcome::Findings(findings) = &report.outcome else { return Vec::new() };
    let value = |found: Option<bool>| match found {
        _ if report.is_withheld() => undetermined(),
        None => undetermined(),
        Some(true) => Code::new("52101004", "SCT", "Present"),
        Some(false) => absent(),
    };
    findings.iter().map(|(class, found)| Item::code(&Code::label(class), &value(*found))).collect()
}

/// Scores, of a result alone.
fn scores(report: &Report) -> Vec<Item> {
    match &report.outcome {
        Outcome::Scores { scores, .. } if !report.is_withheld() => {
            let finite = scores.iter().filter(|(_, score)| score.is_finite());
            finite.map(|(class, score)| Item::number(&Code::score(class), *score)).collect()
        }
        _ => Vec::new(),
    }
}

/// TID 4019.
fn algorithm(report: &Report) -> Vec<Item> {
    let model = &report.model;
    let backbone = model.backbone.as_deref().map(|backbone| format!("backbone {backbone}"));
    let parameters = [Some(format!("circuit card {}", model.config_id)), backbone];
    let parameter = |value: String| Item::text(&dcm("111002", "Algorithm Parameters"), &value);
    let items = [
        Item::text(&dcm("111001", "Algorithm Name"), &model.name),
        Item::text(&dcm("111003", "Algorithm Version"), &model.version.to_string()),
    ];
    let items = items.into_iter().chain(parameters.into_iter().flatten().map(parameter));
    items.map(|item| item.under("HAS CONCEPT MOD")).collect()
}

/// In words, the review first.
fn comments(report: &Report) -> Vec<Item> {
    let comment = |text: String| Item::text(&dcm("121106", "Comment"), &text).under(CONTAINS);
    report.notes().into_iter().map(comment).collect()
}

fn absent() -> Code {
    Code::new("272519000", "SCT", "Absent")
}

fn undetermined() -> Code {
    Code::new("373068000", "SCT", "Undetermined")
}
