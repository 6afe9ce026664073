//! An audit as one page of HTML: no script, nothing from elsewhere, for the screen, the phone and the printer.

mod comparison;
mod plots;
mod words;

use std::fmt::Write as _;

use tiresias_page::text;

use self::words::{HOW, NOT_SHOWN, what_it_says};
use crate::{Audit, audit::View, compare::Disparity};

const STYLE: &str = include_str!("html/fairness.css");

/// Where an audit comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The file.
    pub source: String,
    /// What computes the same page again.
    pub command: String,
    /// When.
    pub computed_at: String,
}

/// The page.
#[must_use]
pub fn html(audit: &Audit, origin: &Origin) -> String {
    let mut page = String::new();
    header(&mut page, audit, origin);
    if !audit.alarms.is_empty() {
        alarms(&mut page, audit);
    }
    for view in &audit.views {
        summary(&mut page, audit, view);
    }
    not_shown(&mut page, audit);
    for view in &audit.views {
        for comparison in &view.comparisons {
            comparison::section(&mut page, audit, view, comparison);
        }
    }
    how(&mut page, audit, origin);
    tiresias_page::page(&format!("Fairness: {}", origin.source), STYLE, &page)
}

fn header(page: &mut String, audit: &Audit, origin: &Origin) {
    let _ = writeln!(
        page,
        "<header>\n<p class=\"kind\">How alike a model treats groups of patients</p>\n<h1>{}</h1>\n<dl>",
        text(&origin.source)
    );
    fact(page, "Decisions", &audit.rows.to_string());
    if audit.undecided > 0 {
        fact(page, "Of these left to a human", &audit.undecided.to_string());
    }
    if let Some((first, last)) = &audit.days {
        fact(page, "From and to", &format!("{first}, {last}"));
    }
    let looked_for = match audit.views.as_slice() {
        [view] => view.positive.clone(),
        _ => "each class in turn, against all others".into(),
    };
    fact(page, "Class that is looked for", &looked_for);
    let by = audit.views.first().map(|view| view.comparisons.iter().map(|comparison| comparison.by.as_str()));
    fact(page, "Groups by", &by.into_iter().flatten().collect::<Vec<_>>().join("; "));
    fact(page, "Computed", &origin.computed_at);
    page.push_str("</dl>\n<div class=\"wide\"><table><caption>Classes</caption><thead><tr><th scope=\"col\">Class</th><th scope=\"col\">True</th><th scope=\"col\">Predicted</th></tr></thead><tbody>\n");
    for class in &audit.classes {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            text(&class.name),
            class.true_rows,
            class.predicted_rows
        );
    }
    page.push_str("</tbody></table></div>\n</header>\n");
}

fn alarms(page: &mut String, audit: &Audit) {
    let Some(rule) = audit.alarm else { return };
    let _ = writeln!(
        page,
        "<section id=\"alarm\" class=\"alarm\">\n<h2>Alarm</h2>\n<p>{}: the difference is above {} here.</p>\n<ul>",
        rule.measure.name(),
        rule.above
    );
    for alarm in &audit.alarms {
        let window = alarm.window.as_deref().unwrap_or("all rows");
        let _ = writeln!(
            page,
            "<li>{} by {}, {}: {:.3}</li>",
            text(&alarm.positive),
            text(&alarm.by),
            text(window),
            alarm.difference
        );
    }
    page.push_str("</ul>\n<p class=\"note\">The more groups and windows are looked at, the more alarms come by chance. Look at the interval and at \
                   the number of rows before you act.</p>\n</section>\n");
}

fn summary(page: &mut String, audit: &Audit, view: &View) {
    let _ = writeln!(
        page,
        "<section class=\"summary\">\n<h2>How far groups are apart: {}</h2>\n<div class=\"wide\"><table class=\"full\"><thead><tr>\
         <th scope=\"col\">By</th><th scope=\"col\">Measure</th><th scope=\"col\">Difference</th><th scope=\"col\">Ratio</th>\
         <th scope=\"col\">Lowest</th><th scope=\"col\">Highest</th></tr></thead><tbody>",
        text(&view.positive)
    );
    for comparison in &view.comparisons {
        if comparison.all.disparities.is_empty() {
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><td class=\"words\" colspan=\"5\">Fewer than two groups have {} rows of what a rate is of: \
                 nothing is compared.</td></tr>",
                text(&comparison.by),
                audit.min_cell
            );
        }
        for disparity in &comparison.all.disparities {
            let is_over = audit
                .alarm
                .is_some_and(|rule| rule.measure == disparity.measure && disparity.difference > rule.above);
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><th scope=\"row\">{}</th><td{}>{}</td><td>{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td></tr>",
                text(&comparison.by),
                disparity.measure.name(),
                if is_over { " class=\"over-limit\"" } else { "" },
                with_interval(Some(disparity.difference), disparity.difference_interval),
                with_interval(disparity.ratio, disparity.ratio_interval),
                text(&disparity.least),
                text(&extreme(disparity))
            );
        }
    }
    page.push_str("</tbody></table></div>\n");
    let _ = writeln!(page, "<p class=\"note\">{}</p>\n</section>", what_it_says(audit));
}

/// The group with the highest rate, and which rate where the measure has several.
fn extreme(disparity: &Disparity) -> String {
    match disparity.measure.rates() {
        [_] => disparity.most.clone(),
        _ => format!("{} ({})", disparity.most, disparity.rate.name().to_lowercase()),
    }
}

/// A figure above its interval.
fn with_interval(value: Option<f64>, interval: Option<(f64, f64)>) -> String {
    let Some(value) = value else { return "-".into() };
    match interval {
        Some((low, high)) => format!("{value:.3}<small>{low:.3} to {high:.3}</small>"),
        None => format!("{value:.3}"),
    }
}

fn not_shown(page: &mut String, audit: &Audit) {
    page.push_str("<section id=\"not-shown\">\n<h2>What this page does not show</h2>\n<ul>\n");
    for point in NOT_SHOWN {
        let _ = writeln!(page, "<li>{point}</li>");
    }
    let _ = writeln!(
        page,
        "<li><b>Many comparisons.</b> This page rests on {} intervals of 95 %. Of so many, about {} miss what they are for by chance alone.</li>",
        audit.intervals,
        audit.intervals.div_ceil(20)
    );
    page.push_str("</ul>\n</section>\n");
}

fn how(page: &mut String, audit: &Audit, origin: &Origin) {
    page.push_str("<section id=\"how\">\n<h2>How it was computed</h2>\n<ul>\n");
    for point in HOW {
        let _ = writeln!(page, "<li>{point}</li>");
    }
    page.push_str("</ul>\n<dl>\n");
    fact(page, "Rows that a group must have", &audit.min_cell.to_string());
    fact(page, "Rows drawn again", &format!("{} times", audit.resamples));
    fact(page, "Seed", &audit.seed.to_string());
    page.push_str("</dl>\n");
    let _ = writeln!(
        page,
        "<p class=\"note\">To compute it again:</p>\n<p><code>{}</code></p>\n</section>",
        text(&origin.command)
    );
}

fn fact(page: &mut String, name: &str, value: &str) {
    let _ = writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", text(name), text(value));
}

#[cfg(test)]
mod tests;
