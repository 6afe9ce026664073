//! Plots as inline SVG. Colours are the style's; each plot's figures stand in a table too.

use std::fmt::Write as _;

use tiresias_page::text;

use crate::{calibration::Calibration, interval::Estimate};

/// Where the axis of rates begins, and how long it is.
const LEFT: f64 = 128.0;
const LENGTH: f64 = 256.0;
const LINE: usize = 20;

/// A name that fits beside an axis.
pub(super) fn short(name: &str, letters: usize) -> String {
    if name.chars().count() <= letters {
        return name.to_owned();
    }
    let kept: String = name.chars().take(letters - 1).collect();
    format!("{kept}…")
}

/// A rate of each group: a dot in its interval.
pub(super) fn rates(page: &mut String, title: &str, groups: &[(&str, Option<Estimate>, bool)]) {
    let height = LINE * groups.len() + 22;
    let at = |value: f64| LEFT + LENGTH * value.clamp(0.0, 1.0);
    let _ = writeln!(
        page,
        "<figure class=\"plot\"><figcaption>{}</figcaption><svg viewBox=\"0 0 400 {height}\" role=\"img\" aria-label=\"{}, also in the table below\">",
        text(title),
        text(title)
    );
    for (value, label) in [(0.0, "0"), (0.25, ".25"), (0.5, ".5"), (0.75, ".75"), (1.0, "1")] {
        let x = at(value);
        let _ = write!(
            page,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            height - 18,
            height - 4
        );
    }
    for (line, (name, estimate, is_compared)) in groups.iter().enumerate() {
        let y = LINE * line + 10;
        let _ = write!(
            page,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4,
            text(&short(name, 19))
        );
        match estimate {
            Some(Estimate { value, low, high }) => {
                let class = if *is_compared { "dot" } else { "dot few" };
                let _ = write!(
                    page,
                    "<line class=\"span\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\"/><circle class=\"{class}\" cx=\"{:.1}\" cy=\"{y}\" r=\"4\"/>",
                    at(*low),
                    at(*high),
                    at(*value)
                );
            }
            None => {
                let _ = write!(page, "<text class=\"tick\" x=\"{LEFT}\" y=\"{}\"> of no rows</text>", y + 4);
            }
        }
    }
    page.push_str("</svg></figure>\n");
}

/// Observed against expected, bin by bin.
pub(super) fn reliability(page: &mut String, name: &str, calibration: &Calibration) {
    const SIDE: f64 = 150.0;
    let (x, y) = (|share: f64| 30.0 + SIDE * share, |share: f64| 10.0 + SIDE * (1.0 - share));
    let _ = writeln!(
        page,
        "<figure class=\"plot\"><figcaption>{0}</figcaption><svg viewBox=\"0 0 190 190\" role=\"img\" aria-label=\"calibration of {0}\">\
         <rect class=\"frame\" x=\"30\" y=\"10\" width=\"{SIDE}\" height=\"{SIDE}\"/><line class=\"grid\" x1=\"30\" y1=\"160\" x2=\"180\" y2=\"10\"/>",
        text(name)
    );
    for (share, label) in [(0.0, "0"), (0.5, ".5"), (1.0, "1")] {
        let _ = write!(
            page,
            "<text class=\"tick\" x=\"{:.1}\" y=\"175\" text-anchor=\"middle\">{label}</text><text class=\"tick\" x=\"26\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            x(share),
            y(share) + 4.0
        );
    }
    page.push_str("<text class=\"tick\" x=\"105\" y=\"187\" text-anchor=\"middle\">score</text>");
    for bin in &calibration.bins {
        let at = x(bin.mean_score);
        let _ = write!(
            page,
            "<line class=\"span\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/><circle class=\"dot\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"3\"/>",
            y(bin.observed.low),
            y(bin.observed.high),
            y(bin.observed.value)
        );
    }
    page.push_str("</svg></figure>\n");
}

/// A window: its name, and where there is one its value and interval.
pub(super) type Moment<'a> = (&'a str, Option<(f64, Option<(f64, f64)>)>);

/// A difference over time, and the line that it should stay below.
pub(super) fn over_time(page: &mut String, title: &str, moments: &[Moment<'_>], limit: Option<f64>) {
    const HEIGHT: f64 = 120.0;
    let highs =
        moments.iter().filter_map(|(_, found)| found.map(|(value, span)| span.map_or(value, |span| span.1)));
    let top = highs.chain(limit).fold(0.1, f64::max).min(1.0);
    let step = 350.0 / moments.len().max(1) as f64;
    let x = |at: usize| 40.0 + step * (at as f64 + 0.5);
    let y = |value: f64| 8.0 + HEIGHT * (1.0 - value / top).clamp(0.0, 1.0);
    let _ = writeln!(
        page,
        "<figure class=\"plot\"><figcaption>{0}: difference</figcaption><svg viewBox=\"0 0 400 150\" role=\"img\" aria-label=\"{0} over time, also in the table below\">",
        text(title)
    );
    for share in [0.0, 0.5, 1.0] {
        let at = y(share * top);
        let _ = write!(
            page,
            "<line class=\"grid\" x1=\"40\" x2=\"390\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"tick\" x=\"36\" y=\"{:.1}\" text-anchor=\"end\">{:.2}</text>",
            at + 4.0,
            share * top
        );
    }
    if let Some(limit) = limit {
        let at = y(limit);
        let _ = write!(page, "<line class=\"limit\" x1=\"40\" x2=\"390\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
    }
    let mut before = None;
    for (at, (name, found)) in moments.iter().enumerate() {
        // As many names as there is room for.
        if at % moments.len().div_ceil(6).max(1) == 0 {
            let _ = write!(
                page,
                "<text class=\"tick\" x=\"{:.1}\" y=\"145\" text-anchor=\"middle\">{}</text>",
                x(at),
                text(name)
            );
        }
        let Some((value, span)) = found else {
            before = None;
            continue;
        };
        if let Some((low, high)) = span {
            let _ = write!(
                page,
                "<line class=\"span\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/>",
                x(at),
                y(*low),
                y(*high)
            );
        }
        if let Some((from, value_before)) = before {
            let _ = write!(
                page,
                "<line class=\"path\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
                x(from),
                y(value_before),
                x(at),
                y(*value)
            );
        }
        let class = if limit.is_some_and(|limit| *value > limit) { "dot over" } else { "dot" };
        let _ =
            write!(page, "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>", x(at), y(*value));
        before = Some((at, *value));
    }
    page.push_str("</svg></figure>\n");
}
