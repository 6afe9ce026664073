//! The sections of one comparison: rates, differences, calibration, representation, time, proposal.

use std::fmt::Write as _;

use tiresias_page::text;

use super::{
    plots::{self, Moment},
    with_interval,
    words::PROPOSAL,
};
use crate::{
    Audit, Measure,
    audit::{Comparison, Group, View},
    compare::GAPS,
    counts::Rate,
    diversity::Diversity,
    interval::Estimate,
    proposal::Proposal,
};

const HEAD: &str = "<thead><tr><th scope=\"col\">Group</th>";

/// Rates that are drawn.
const DRAWN: [Rate; 6] = [
    Rate::BaseRate,
    Rate::SelectionRate,
    Rate::TruePositiveRate,
    Rate::FalsePositiveRate,
    Rate::PositivePredictiveValue,
    Rate::Accuracy,
];

pub(super) fn section(page: &mut String, audit: &Audit, view: &View, comparison: &Comparison) {
    let _ = writeln!(
        page,
        "<section class=\"comparison\">\n<h2>{} by {}</h2>",
        text(&view.positive),
        text(&comparison.by)
    );
    let judged: Vec<&Group> = comparison.all.groups.iter().filter(|group| !group.is_too_small).collect();
    if !judged.is_empty() {
        rates(page, &judged);
        gaps(page, comparison, &judged);
    }
    too_small(page, audit, comparison);
    calibration(page, view, &judged);
    representation(page, comparison);
    if !comparison.windows.is_empty() {
        over_time(page, audit, comparison);
    }
    if let Some(proposal) = &comparison.proposal {
        proposed(page, proposal, &comparison.without_proposal);
    }
    page.push_str("</section>\n");
}

fn rates(page: &mut String, groups: &[&Group]) {
    page.push_str("<h3>Rates</h3>\n<div class=\"plots\">\n");
    for rate in DRAWN {
        let found = |group: &&Group| {
            let found = group.rate(rate);
            (found.and_then(|found| found.estimate), found.is_some_and(|found| found.is_compared))
        };
        let dots: Vec<_> = groups
            .iter()
            .map(|group| {
                let (estimate, is_compared) = found(group);
                (group.name.as_str(), estimate, is_compared)
            })
            .collect();
        plots::rates(page, rate.name(), &dots);
    }
    let _ =
        write!(page, "</div>\n<div class=\"wide\"><table class=\"full\">{HEAD}<th scope=\"col\">Rows</th>");
    let all: Vec<Rate> =
        groups.first().map_or_else(Vec::new, |group| group.rates.iter().map(|rate| rate.rate).collect());
    for rate in &all {
        let _ = write!(page, "<th scope=\"col\">{}</th>", rate.name());
    }
    page.push_str("</tr></thead><tbody>\n");
    for group in groups {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th><td>{}</td>", text(&group.name), group.rows);
        for rate in &group.rates {
            let class = if rate.is_compared { "" } else { " class=\"few\"" };
            let _ = write!(page, "<td{class}>{}</td>", estimate(rate.estimate));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n<p class=\"note\">Below each rate, its interval. Hollow dots and slanted figures are of too few rows to be compared.</p>\n");
}

fn estimate(found: Option<Estimate>) -> String {
    with_interval(found.map(|found| found.value), found.map(|found| (found.low, found.high)))
}

fn gaps(page: &mut String, comparison: &Comparison, groups: &[&Group]) {
    if groups.iter().all(|group| group.gaps.is_empty()) {
        return;
    }
    let _ = write!(
        page,
        "<h3>Compared with {}</h3>\n<div class=\"wide\"><table>{HEAD}",
        text(&comparison.reference)
    );
    for rate in GAPS {
        let _ = write!(page, "<th scope=\"col\">{}</th>", rate.name());
    }
    page.push_str("</tr></thead><tbody>\n");
    for group in groups.iter().filter(|group| group.name != comparison.reference) {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", text(&group.name));
        for rate in GAPS {
            let gap = group.gaps.iter().find(|gap| gap.rate == rate);
            let text = gap.map_or_else(
                || "-".into(),
                |gap| {
                    let Estimate { value, low, high } = gap.estimate;
                    format!("{value:+.3}<small>{low:+.3} to {high:+.3}</small>")
                },
            );
            let _ = write!(page, "<td>{text}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n<p class=\"note\">The group's rate less the reference group's. An interval that holds zero leaves open which of the two is higher.</p>\n");
}

fn too_small(page: &mut String, audit: &Audit, comparison: &Comparison) {
    let small: Vec<String> = comparison
        .all
        .groups
        .iter()
        .filter(|group| group.is_too_small)
        .map(|group| format!("{} ({})", text(&group.name), group.rows))
        .collect();
    if !small.is_empty() {
        let _ = writeln!(
            page,
            "<h3>Too small to be judged</h3>\n<p>Fewer than {} rows: {}.</p>\n<p class=\"note\">Numbers this small can point to persons. \
             Think of that before you pass the page on.</p>",
            audit.min_cell,
            small.join("; ")
        );
    }
}

fn calibration(page: &mut String, view: &View, groups: &[&Group]) {
    if view.has_probabilities == Some(false) {
        page.push_str("<h3>Calibration</h3>\n<p>The scores do not all lie between 0 and 1, so they are no probabilities that could be calibrated.</p>\n");
        return;
    }
    let calibrated = || groups.iter().filter_map(|group| Some((group, group.calibration.as_ref()?)));
    if calibrated().next().is_none() {
        return;
    }
    page.push_str("<h3>Calibration</h3>\n<div class=\"small-plots\">\n");
    for (group, calibration) in calibrated() {
        plots::reliability(page, &group.name, calibration);
    }
    let _ = write!(
        page,
        "</div>\n<p class=\"note\">The share that has the class, with its interval, against the mean score of a bin. On the diagonal scores are what \
         they say; below it they promise too much.</p>\n<div class=\"wide\"><table>{HEAD}<th scope=\"col\">Expected calibration error</th>\
         <th scope=\"col\">Brier score</th><th scope=\"col\">Area under the ROC curve</th></tr></thead><tbody>\n"
    );
    for (group, calibration) in calibrated() {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{:.3}</td><td>{}</td><td>{}</td></tr>",
            text(&group.name),
            calibration.expected_calibration_error,
            estimate(calibration.brier_score),
            with_interval(calibration.area_under_curve, None)
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn representation(page: &mut String, comparison: &Comparison) {
    page.push_str("<h3>Who is represented</h3>\n<div class=\"wide\"><table><thead><tr><th scope=\"col\"></th><th scope=\"col\">Gini coefficient</th><th scope=\"col\">Shannon diversity</th><th scope=\"col\">Evenness</th></tr></thead><tbody>\n");
    for (name, found) in
        [("Rows", comparison.representation), ("Decisions for the class", comparison.outcomes)]
    {
        let cell = |value: fn(&Diversity) -> Option<f64>| with_interval(found.as_ref().and_then(value), None);
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            cell(|found| Some(found.gini)),
            cell(|found| Some(found.shannon)),
            cell(|found| found.evenness)
        );
    }
    let _ = writeln!(
        page,
        "<tr><th scope=\"row\">Selection rates</th><td>{}</td><td>-</td><td>-</td></tr>\n</tbody></table></div>\n<p class=\"note\">Gini: 0 where \
         all groups have the same. Evenness: 1 where they do. Whether groups should be equally large is another question: patients are not.</p>",
        with_interval(comparison.selection_rate_gini, None)
    );
}

fn over_time(page: &mut String, audit: &Audit, comparison: &Comparison) {
    page.push_str("<h3>Over time</h3>\n<div class=\"plots\">\n");
    for measure in Measure::ALL {
        let moments: Vec<Moment<'_>> = comparison
            .windows
            .iter()
            .map(|window| {
                let found = window.figures.disparities.iter().find(|found| found.measure == measure);
                (window.window.as_str(), found.map(|found| (found.difference, found.difference_interval)))
            })
            .collect();
        let limit = audit.alarm.filter(|rule| rule.measure == measure).map(|rule| rule.above);
        plots::over_time(page, measure.name(), &moments, limit);
    }
    page.push_str("</div>\n<div class=\"wide\"><table class=\"full\"><thead><tr><th scope=\"col\">Window</th><th scope=\"col\">Rows</th>");
    for measure in Measure::ALL {
        let _ = write!(page, "<th scope=\"col\">{}</th>", measure.name());
    }
    page.push_str("</tr></thead><tbody>\n");
    for window in &comparison.windows {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th><td>{}</td>", text(&window.window), window.rows);
        for measure in Measure::ALL {
            let found = window.figures.disparities.iter().find(|found| found.measure == measure);
            let is_over = audit.alarm.is_some_and(|rule| {
                rule.measure == measure && found.is_some_and(|found| found.difference > rule.above)
            });
            let _ = write!(
                page,
                "<td{}>{}</td>",
                if is_over { " class=\"over-limit\"" } else { "" },
                with_interval(
                    found.map(|found| found.difference),
                    found.and_then(|found| found.difference_interval)
                )
            );
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n<p class=\"note\">Differences in each window; a line where fewer than two groups have enough rows in it.</p>\n");
}

fn proposed(page: &mut String, proposal: &Proposal, left_out: &[String]) {
    page.push_str("<div class=\"proposal\">\n<h3>Thresholds that would equalize odds</h3>\n");
    let _ = writeln!(page, "<p>{}</p>", PROPOSAL[0]);
    let _ = writeln!(
        page,
        "<div class=\"wide\"><table>{HEAD}<th scope=\"col\">Positive from score</th><th scope=\"col\">True positive rate</th><th scope=\"col\">False positive rate</th></tr></thead><tbody>"
    );
    for threshold in &proposal.thresholds {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{:.3}</td><td>{:.3}</td></tr>",
            text(&threshold.group),
            threshold.from.map_or_else(|| "never".into(), |from| format!("{from:.4}")),
            threshold.true_positive_rate,
            threshold.false_positive_rate
        );
    }
    page.push_str("</tbody></table></div>\n<div class=\"wide\"><table><thead><tr><th scope=\"col\">What it costs</th><th scope=\"col\">Accuracy</th><th scope=\"col\">Equalized odds difference</th></tr></thead><tbody>\n");
    for (name, effect) in [
        ("Decisions as they are", Some(proposal.now)),
        ("Proposed", Some(proposal.proposed)),
        ("Proposed, on other rows", proposal.held_out),
    ] {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td></tr>",
            with_interval(effect.map(|effect| effect.accuracy), None),
            with_interval(effect.map(|effect| effect.equalized_odds_difference), None)
        );
    }
    let _ = writeln!(
        page,
        "</tbody></table></div>\n<p class=\"note\">Tolerance {}. {} {}</p>",
        proposal.tolerance, PROPOSAL[1], PROPOSAL[2]
    );
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.iter().map(|name| text(name)).collect();
        let _ = writeln!(
            page,
            "<p class=\"note\">Left out, with too few rows of a kind: {}.</p>",
            names.join("; ")
        );
    }
    page.push_str("</div>\n");
}
