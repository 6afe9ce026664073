//! A report as one page of HTML: no script, nothing from elsewhere, for the screen, the phone and the printer.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tiresias_page::text;

use crate::{
    Bars, Drift, Evidence, HeatMap, Outcome, Report, Verdict, heat,
    report::{CAUTION, NONE},
};

const STYLE: &str = include_str!("report.css");

/// The page.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    let title = format!("Report: {}", report.source);
    header(&mut page, report);
    result(&mut page, report);
    scan(&mut page, report);
    for bars in &report.bars {
        contributions(&mut page, bars);
    }
    if let Some(drift) = &report.drift {
        range(&mut page, drift);
    }
    model(&mut page, report);
    if let Some(found) = &report.evidence {
        evidence(&mut page, found);
    }
    page.push_str(WHO_SAW_WHAT);
    decision(&mut page);
    tiresias_page::page(&title, STYLE, &page)
}

fn header(page: &mut String, report: &Report) {
    page.push_str(
        "<header id=\"examination\">\n<p class=\"kind\">Computed finding, for review by a clinician</p>\n",
    );
    let _ = writeln!(page, "<h1>{}</h1>\n<dl>", text(&report.source));
    if let Some(study) = &report.study {
        for (name, value) in [
            ("Patient", &name(&study.patient_name)),
            ("Patient ID", &study.patient_id),
            ("Born", &day(&study.patient_birth_date)),
            ("Sex", &study.patient_sex),
            ("Accession", &study.accession_number),
            ("Examination", &study.study_description),
            ("Date", &day(&study.study_date)),
            ("Modality", &study.modality),
            ("Referred by", &name(&study.referring_physician)),
        ] {
            if !value.is_empty() {
                fact(page, name, value);
            }
        }
    }
    fact(page, "Computed", &report.computed_at.words());
    page.push_str("</dl>\n</header>\n");
}

fn result(page: &mut String, report: &Report) {
    let is_review = report.review.is_some() || report.is_withheld();
    let class = if is_review { " class=\"review\"" } else { "" };
    let _ = writeln!(page, "<section id=\"result\"{class}>\n<h2>Result</h2>");
    if is_review {
        let reason =
            report.review.as_ref().map_or_else(String::new, |review| format!(": {}", review.reason()));
        let _ = writeln!(page, "<p class=\"label\">Review</p>\n<p>A human decides{}</p>", text(&reason));
    }
    let computed =
        if is_review { "<p class=\"computed\">The computation said: " } else { "<p class=\"label\">" };
    match &report.outcome {
        Outcome::Scores { label, margin, scores } => {
            let label = label.as_deref().unwrap_or(NONE);
            let _ = writeln!(page, "{computed}{}</p>\n<p>Margin {margin:.3}</p>", text(label));
            page.push_str(
                "<table><caption>Scores</caption><thead><tr><th scope=\"col\">Class</th>\
                           <th scope=\"col\">Score</th></tr></thead><tbody>\n",
            );
            for (class, score) in scores {
                let _ = writeln!(page, "<tr><th scope=\"row\">{}</th><td>{score:.3}</td></tr>", text(class));
            }
            page.push_str("</tbody></table>\n");
        }
        Outcome::Class(Some(label)) => {
            let _ = writeln!(page, "{computed}{}</p>", text(label));
        }
        Outcome::Class(None) => {}
        Outcome::Findings(findings) => {
            let caption = if report.is_withheld() {
                "What the computation said, which is no result"
            } else {
                "Findings"
            };
            let _ = writeln!(
                page,
                "<table><caption>{caption}</caption><thead><tr><th scope=\"col\">Finding</th>\
                 <th scope=\"col\">Present</th></tr></thead><tbody>"
            );
            for (class, found) in findings {
                let (mark, word) = match found {
                    Some(true) => (" class=\"found\"", "yes"),
                    Some(false) => ("", "no"),
                    None => (" class=\"open\"", "review"),
                };
                let _ =
                    writeln!(page, "<tr><th scope=\"row\">{}</th><td{mark}>{word}</td></tr>", text(class));
            }
            page.push_str("</tbody></table>\n");
        }
    }
    page.push_str("</section>\n");
}

fn scan(page: &mut String, report: &Report) {
    let Some(picture) = &report.picture else { return };
    page.push_str("<section id=\"scan\">\n<h2>Scan</h2>\n<div class=\"pictures\">\n");
    figure(page, &heat::picture_png(picture), "The scan", "As the model saw it, before resizing");
    if let Some(map) = &report.heat_map {
        let caption = format!("Where the score for {} comes from", map.class);
        figure(page, &heat::overlay_png(picture, map), "The scan with its class-activation map", &caption);
    }
    page.push_str("</div>\n");
    if let Some(map) = &report.heat_map {
        legend(page, map);
    }
    page.push_str("</section>\n");
}

fn figure(page: &mut String, png: &[u8], alt: &str, caption: &str) {
    let _ = writeln!(
        page,
        "<figure><img alt=\"{}\" src=\"data:image/png;base64,{}\"><figcaption>{}</figcaption></figure>",
        text(alt),
        STANDARD.encode(png),
        text(caption)
    );
}

fn legend(page: &mut String, map: &HeatMap) {
    let (low, high) = map.range();
    page.push_str("<p id=\"legend\"><span>");
    let _ = write!(
        page,
        "{low:.3}</span><svg viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"scale, from low to high\">"
    );
    for step in 0..50 {
        let [red, green, blue] = heat::colour(f64::from(step) / 49.0).map(|part| (part * 255.0).round());
        let _ = write!(
            page,
            "<rect x=\"{}\" width=\"2.1\" height=\"6\" fill=\"rgb({red},{green},{blue})\"/>",
            2 * step
        );
    }
    let _ = writeln!(
        page,
        "</svg><span>{high:.3}</span></p>\n<p class=\"note\">{} x {} locations, scored one by one under encryption. Their mean \
         is the score. A map shows what the model used, which need not be what the disease shows.</p>",
        map.height, map.width
    );
}

fn contributions(page: &mut String, bars: &Bars) {
    let _ = writeln!(
        page,
        "<section class=\"contributions\">\n<h2>What made the score of {}</h2>",
        text(&bars.class)
    );
    let largest = bars.bars.iter().map(|bar| bar.value.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let height = 22 * bars.bars.len();
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 400 {height}\" role=\"img\" aria-label=\"contributions, also in the table below\">\n\
         <line x1=\"260\" x2=\"260\" y1=\"0\" y2=\"{height}\"/>"
    );
    for (at, bar) in bars.bars.iter().enumerate() {
        let (y, length) = (22 * at, bar.value.abs() / largest * 125.0);
        let (x, class) = if bar.value < 0.0 { (260.0 - length, "against") } else { (260.0, "for") };
        let name: String = bar.name.chars().take(20).collect();
        let _ = writeln!(
            page,
            "<text x=\"128\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{length:.1}\" height=\"14\"/>",
            y + 15,
            text(&name),
            y + 4
        );
    }
    page.push_str("</svg>\n<table><thead><tr><th scope=\"col\">Group</th><th scope=\"col\">Adds</th></tr></thead><tbody>\n");
    for bar in &bars.bars {
        let _ =
            writeln!(page, "<tr><th scope=\"row\">{}</th><td>{:+.3}</td></tr>", text(&bar.name), bar.value);
    }
    let total = bars.intercept + bars.bars.iter().map(|bar| bar.value).sum::<f64>();
    let _ = writeln!(
        page,
        "<tr><th scope=\"row\">All features in the middle of their range</th><td>{:+.3}</td></tr>\
         <tr class=\"sum\"><th scope=\"row\">Score</th><td>{total:+.3}</td></tr></tbody></table>\n</section>",
        bars.intercept
    );
}

fn range(page: &mut String, drift: &Drift) {
    let class = if drift.is_far_out { " class=\"review\"" } else { "" };
    let _ = writeln!(page, "<section id=\"range\"{class}>\n<h2>Is this a usual scan for the model?</h2>");
    let _ = writeln!(page, "<p>{}</p>\n<dl>", drift.verdict());
    fact(page, "Values outside the calibrated range", &format!("{} of {}", drift.outside, drift.values));
    fact(
        page,
        "Distance from the calibration",
        &format!("{:.2} (far out from {:.2})", drift.distance, drift.limit),
    );
    page.push_str("</dl>\n</section>\n");
}

fn model(page: &mut String, report: &Report) {
    let model = &report.model;
    page.push_str("<section id=\"model\">\n<h2>Model</h2>\n");
    if let Some(about) = &model.about {
        for paragraph in about.split("\n\n") {
            let _ = writeln!(page, "<p>{}</p>", text(paragraph));
        }
    } else {
        page.push_str("<p>Its owner states neither its intended use nor its limits.</p>\n");
    }
    page.push_str("<dl>\n");
    fact(page, "Name", &format!("{}, version {}", model.name, model.version));
    fact(page, "Gateway", &model.gateway);
    fact(page, "Circuit card", &model.config_id);
    if let Some(backbone) = &model.backbone {
        fact(page, "Backbone", backbone);
    }
    for (name, value) in &model.facts {
        fact(page, name, value);
    }
    page.push_str("</dl>\n</section>\n");
}

fn evidence(page: &mut String, evidence: &Evidence) {
    let class = if evidence.verdict == Verdict::Invalid { " class=\"review\"" } else { "" };
    let _ = writeln!(page, "<section id=\"evidence\"{class}>\n<h2>Evidence</h2>");
    let (verdict, reason) = (evidence.verdict.name(), text(&evidence.reason));
    let _ = writeln!(page, "<p><strong>{verdict}</strong>: {reason}</p>\n<dl>");
    for (name, value) in evidence.facts() {
        fact(page, name, &value);
    }
    page.push_str("</dl>\n</section>\n");
}

fn decision(page: &mut String) {
    let _ = writeln!(
        page,
        "<section id=\"decision\">\n<h2>Decision by a clinician</h2>\n<p>{CAUTION}</p>\n<div class=\"sign\"><p>I agree \
         &#9744; &nbsp; I disagree &#9744; &nbsp; because</p><p>Name</p><p>Date, signature</p></div>\n</section>"
    );
}

fn fact(page: &mut String, name: &str, value: &str) {
    let _ = writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", text(name), text(value));
}

/// DICOM's names have parts and ways to be written.
fn name(name: &str) -> String {
    name.replace('^', " ").replace('=', " / ")
}

/// DICOM's dates as people read them; anything else as it is.
fn day(date: &str) -> String {
    let is_day = date.len() == 8 && date.bytes().all(|digit| digit.is_ascii_digit());
    if is_day { format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]) } else { date.to_owned() }
}

const WHO_SAW_WHAT: &str = "<section id=\"privacy\">\n<h2>Who saw what</h2>\n<p>The scan, its features and this result were \
    seen on this machine alone. The gateway computed on encrypted numbers and has no key that decrypts them.</p>\n</section>\n";

#[cfg(test)]
mod tests;
