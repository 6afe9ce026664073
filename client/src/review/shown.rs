//! What is seen of a case, in words.

use tiresias_fairness::interval::Estimate;
use tiresias_record::{Answer, Book, Decision, Entry, Verdict, case::REVIEW};

/// What stands beside rates wherever they are shown.
pub(crate) const RATES_CAUTION: &str = "Rates of agreement are no measure of how right a model is: which cases humans decide is no \
                                        random choice, and they saw its answer.";

/// A rate and its interval of 95 %.
pub(crate) fn estimate(estimate: Option<Estimate>) -> [String; 2] {
    match estimate {
        Some(Estimate { value, low, high }) => [format!("{value:.3}"), format!("{low:.3} to {high:.3}")],
        None => ["too few".to_owned(), String::new()],
    }
}

/// Cases that need a human, or all, in their order.
pub(crate) fn cases(book: &Book, low_margin: f64, all: bool) -> impl Iterator<Item = (u64, &Entry)> {
    book.entries().filter(move |(_, entry)| all || !entry.open_reasons(low_margin).is_empty())
}

/// The model's answer in a few words. Of what is withheld there is none before a human has decided.
pub(crate) fn answer(entry: &Entry) -> String {
    let case = entry.case();
    match &case.answer {
        _ if entry.is_hidden() => REVIEW.to_owned(),
        Answer::Scores { margin, .. } => {
            format!("{}, margin {margin:.3}", case.answer.label().unwrap_or_default())
        }
        Answer::Class(label) => label.clone().unwrap_or_else(|| REVIEW.to_owned()),
        Answer::Findings { open, .. } if open.is_empty() => case.answer.label().unwrap_or_default(),
        Answer::Findings { open, .. } => {
            format!("{}; left open: {}", case.answer.label().unwrap_or_default(), open.join(", "))
        }
    }
}

/// Why a human is asked, or was.
pub(crate) fn why(entry: &Entry, low_margin: f64) -> String {
    let reasons: Vec<&str> = entry.case().reasons(low_margin).iter().map(|reason| reason.words()).collect();
    reasons.join(", ")
}

/// A decision in a few words.
pub(crate) fn decision(entry: &Entry, decision: &Decision) -> String {
    let word = match decision.verdict() {
        Verdict::Accept => "accepted",
        Verdict::Override(_) => "overridden",
    };
    format!("{word}: {} ({})", decision.label(entry.case()), decision.by())
}

/// Facts of a case by their names, in reading order.
pub(crate) fn facts(entry: &Entry, low_margin: f64, time: fn(u64) -> String) -> Vec<(String, String)> {
    let case = entry.case();
    let mut facts = vec![
        ("Input".to_owned(), case.input()),
        ("Conclusion".to_owned(), case.conclusion()),
        (
            "Why a human".to_owned(),
            Some(why(entry, low_margin))
                .filter(|why| !why.is_empty())
                .unwrap_or("nothing calls for one".into()),
        ),
        ("Model".to_owned(), format!("{} version {}", case.model, case.version)),
        ("Circuit card".to_owned(), case.config_id.clone()),
        ("Recorded".to_owned(), time(case.at)),
    ];
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    match &case.answer {
        Answer::Scores { scores, .. } if !entry.is_hidden() => {
            let scores = case.labels.iter().zip(scores).map(|(label, score)| format!("{label} {score:.4}"));
            add("Scores", scores.collect::<Vec<_>>().join(", "));
        }
        Answer::Scores { .. } => add("Scores", "not shown before a human has decided".to_owned()),
        _ => {}
    }
    if let Some(drift) = case.drift {
        add(
            "Distance from the calibration",
            format!("{:.2}, far out from {:.2}", drift.distance, drift.limit),
        );
    }
    add("Features outside the calibrated range", case.clipped.to_string());
    if let Some(receipt) = &case.receipt {
        let leaf = receipt.index.map(|index| format!(", leaf {index}")).unwrap_or_default();
        let log = receipt.log.as_ref().map(|log| format!(" of {log}")).unwrap_or_default();
        add("Receipt", format!("{}{leaf}{log}", receipt.verdict));
    }
    for column in &case.about {
        let value = if column.value.is_empty() { "-".to_owned() } else { column.value.clone() };
        add(&column.name, value);
    }
    add("Labels of the model", case.labels.join(", "));
    facts
}

/// Text without controls, and without marks that turn its direction around.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if tiresias_page::is_unseen(c) { ' ' } else { c }).collect()
}
