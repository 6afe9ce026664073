use super::*;
use crate::{Measure, Settings, audit, audit::Rule, table};

const HOSTILE: &str = "<script>alert(1)</script>";

/// Decisions of which one group's are worse, with scores and dates.
fn page(scale: f64) -> String {
    let mut csv = "truth,said,p,sex,site,when\n".to_owned();
    for at in 0..300 {
        let (sex, is_ill) = (["f", HOSTILE][at % 2], at / 2 % 2 == 0);
        let said = is_ill && (sex == "f" || at % 3 > 0);
        let score = scale * (if is_ill { 0.8 } else { 0.1 } + (at % 7) as f64 / 50.0);
        let site = if at < 5 { "\"tiny & \"\"new\"\"\"" } else { "large" };
        let word = |is| if is { "ill" } else { "well" };
        let month = at / 100 + 1;
        let _ = writeln!(csv, "{},{},{score},{sex},{site},2026-{month:02}-01", word(is_ill), word(said));
    }
    let columns = table::Columns {
        truth: "truth".into(),
        prediction: Some("said".into()),
        scores: vec![(None, "p".into())],
        groups: vec!["sex".into(), "site".into()],
        time: Some("when".into()),
        positive: Some("ill".into()),
        ..table::Columns::default()
    };
    let rows = table::read(csv.as_bytes(), &columns).unwrap();
    let alarm = Some(Rule { measure: Measure::EqualizedOdds, above: 0.1 });
    let settings = Settings { positive: Some("ill".into()), alarm, resamples: 20, ..Settings::default() };
    let origin = Origin {
        source: "a<b>.csv".into(),
        command: "tiresias fairness 'a<b>.csv' --seed 1".into(),
        computed_at: "2026-11-27 08:00 UTC".into(),
    };
    html(&audit(&rows, &settings).unwrap(), &origin)
}

#[test]
fn every_part_is_there_and_nothing_from_elsewhere() {
    let page = page(1.0);
    for part in [
        "id=\"alarm\"",
        "class=\"summary\"",
        "id=\"not-shown\"",
        "id=\"how\"",
        "<h2>ill by sex</h2>",
        "<h2>ill by sex x site</h2>",
        "<h3>Rates</h3>",
        "<h3>Compared with &lt;script&gt;",
        "<h3>Calibration</h3>",
        "<h3>Who is represented</h3>",
        "<h3>Over time</h3>",
        "Proposal, not applied.",
        "tiny &amp; &quot;new&quot; (5)",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<code>tiresias fairness &#39;a&lt;b&gt;.csv&#39; --seed 1</code>",
        "2026-01-01, 2026-03-01",
        "No causal claim is made.",
        "cannot all hold",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    for foreign in ["http:", "https:", "<script", "<link", "url(", "@import", "NaN", "inf "] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for tag in ["section", "table", "svg", "div", "figure", "ul", "small", "p", "tr", "td"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn scores_that_are_no_probabilities_are_not_calibrated() {
    let page = page(3.0);
    assert!(page.contains("they are no probabilities") && !page.contains("Brier score</th>"));
    assert!(page.contains("Proposal, not applied."));
}
