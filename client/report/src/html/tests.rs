use tiresias_scan::{Picture, Study};

use super::*;
use crate::{Bar, ModelFacts, Moment, Review};

fn full() -> Report {
    let scores = vec![("glioma".into(), 1.25), ("<script>alert(1)</script>".into(), -0.5)];
    Report {
        outcome: Outcome::Scores { label: Some("glioma".into()), margin: 1.75, scores },
        review: None,
        source: "a\"b<c>.dcm".into(),
        picture: Some(Picture::new(2, 2, 1, vec![0.0, 0.25, 0.5, 1.0]).unwrap()),
        heat_map: Some(HeatMap { class: "glioma".into(), height: 1, width: 2, values: vec![0.0, 2.5] }),
        bars: vec![Bars {
            class: "glioma".into(),
            intercept: 0.25,
            bars: vec![
                Bar { name: "size".into(), value: 1.5 },
                Bar { name: "shape & <i>form</i>".into(), value: -0.5 },
            ],
        }],
        drift: Some(Drift { outside: 1, values: 64, distance: 0.9, limit: 1.8, is_far_out: false }),
        study: Some(Study {
            patient_name: "Doe^Jane\u{202e}".into(),
            patient_id: "42".into(),
            patient_birth_date: "19610504".into(),
            study_date: "2026.11.23".into(),
            ..Study::default()
        }),
        model: ModelFacts {
            name: "mri".into(),
            version: 3,
            about: Some("For research.".into()),
            ..ModelFacts::default()
        },
        evidence: Some(Evidence {
            verdict: Verdict::Unwitnessed,
            reason: "no <witness> has signed".into(),
            log: "gateway.example/log".into(),
            leaf_index: Some(41),
            logged_at: Some("2026-11-24 12:30 UTC".into()),
            config_id: "c0ffee".into(),
        }),
        computed_at: Moment::from_unix(1_795_564_799).unwrap(),
        ..Report::default()
    }
}

#[test]
fn every_part_is_there_and_nothing_from_elsewhere() {
    let page = html(&full());
    for part in [
        "id=\"examination\"",
        "id=\"result\"",
        "id=\"scan\"",
        "id=\"legend\"",
        "class=\"contributions\"",
        "id=\"range\"",
        "id=\"model\"",
        "id=\"evidence\"",
        "<strong>UNWITNESSED</strong>: no &lt;witness&gt; has signed",
        "<dt>Place in the log</dt><dd>41</dd>",
        "2026-11-24 23:59 UTC",
        "id=\"privacy\"",
        "id=\"decision\"",
        "Doe Jane",
        "<dd>1961-05-04</dd>",
        "<dd>2026.11.23</dd>",
        "Margin 1.750",
        "For research.",
        "+1.500",
        "-0.500",
        "<td>+1.250</td></tr></tbody>",
        "1 of 64",
        "mri, version 3",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert_eq!(page.matches("data:image/png;base64,").count(), 2);
    for foreign in ["http:", "https:", "<script", "<link", "url(", "@import", "<i>", "\u{202e}"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("a&quot;b&lt;c&gt;.dcm"));
}

#[test]
fn review_is_shown_as_plainly_as_a_result() {
    let review = Report { review: Some(Review::All("the features are far out.".into())), ..full() };
    let page = html(&review);
    assert!(page.contains("<section id=\"result\" class=\"review\">"));
    assert!(page.contains("<p class=\"label\">Review</p>"));
    assert!(page.contains("The computation said: glioma"));
    assert_eq!(page.matches("class=\"label\"").count(), 1, "the computed class is not the headline");
    let undecided = Report { outcome: Outcome::Class(None), ..review.clone() };
    assert!(!html(&undecided).contains("The computation said"));
    let findings = vec![("edema".into(), Some(true)), ("mass".into(), None), ("nodule".into(), Some(false))];
    let of = |review| html(&Report { outcome: Outcome::Findings(findings.clone()), review, ..full() });
    assert!(of(review.review).contains("<caption>What the computation said, which is no result</caption>"));
    let page = of(Some(Review::Open("one is too close.".into())));
    for cell in [
        "<caption>Findings</caption>",
        "<td class=\"found\">yes</td>",
        "<td class=\"open\">review</td>",
        "<td>no</td>",
    ] {
        assert!(page.contains(cell), "{cell}");
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let page = html(&Report { outcome: Outcome::Class(Some("benign".into())), ..Report::default() });
    for part in ["id=\"scan\"", "id=\"range\"", "id=\"evidence\"", "contributions\"", "Patient"] {
        assert!(!page.contains(part), "{part}");
    }
    let undecided = html(&Report::default());
    assert!(
        undecided.contains("<section id=\"result\" class=\"review\">")
            && undecided.contains("A human decides</p>")
    );
    assert!(page.contains("<p class=\"label\">benign</p>"));
    assert!(page.contains("neither its intended use nor its limits"));
}

#[test]
fn a_receipt_that_does_not_hold_is_shown_as_a_warning() {
    let mut report = full();
    assert!(html(&report).contains("<section id=\"evidence\">"));
    report.evidence.as_mut().unwrap().verdict = Verdict::Invalid;
    assert!(html(&report).contains("<section id=\"evidence\" class=\"review\">"));
}
