use super::*;
use crate::{
    Day, Layout, Record,
    rows::{Attribute, Builder},
};

/// Decisions in which group b of column g is found less often than a, and z is small.
fn rows(days: bool) -> Rows {
    let attributes =
        ["g", "h"].map(|name| Attribute { name: name.into(), bands: None }).into_iter().collect();
    let layout =
        Layout { attributes, scored: vec!["ill".into()], abstain: Some("?".into()), ..Layout::default() };
    let mut builder = Builder::new(layout).unwrap();
    for at in 0..400 {
        let group = ["a", "b"][at % 2];
        let is_ill = at / 2 % 2 == 0;
        let is_missed = group == "b" && at / 4 % 2 == 0;
        let prediction = if at % 50 == 49 {
            "?"
        } else if is_ill && !is_missed {
            "ill"
        } else {
            "well"
        };
        let day = days.then(|| Day::parse(&format!("2026-{:02}-01", at / 100 + 1)).unwrap());
        let record = Record {
            truth: if is_ill { "ill" } else { "well" },
            prediction: Some(prediction),
            scores: &[if is_ill { 0.9 } else { 0.2 } - f64::from(u8::from(group == "b")) * 0.1],
            groups: &[if at < 4 { "z" } else { group }, ["x", "y"][at / 8 % 2]],
            day,
        };
        builder.push(record).unwrap();
    }
    builder.finish().unwrap()
}

fn settings() -> Settings {
    Settings { positive: Some("ill".into()), resamples: 50, ..Settings::default() }
}

fn disparity(comparison: &Comparison, measure: Measure) -> &crate::compare::Disparity {
    comparison.all.disparities.iter().find(|found| found.measure == measure).unwrap()
}

#[test]
fn groups_are_counted_and_small_ones_named() {
    let audit = audit(&rows(false), &settings()).unwrap();
    assert_eq!((audit.rows, audit.undecided, audit.days.clone()), (400, 8, None));
    let view = &audit.views[0];
    let by: Vec<&str> = view.comparisons.iter().map(|comparison| comparison.by.as_str()).collect();
    assert_eq!(by, ["g", "h", "g x h"]);
    let comparison = &view.comparisons[0];
    let groups: Vec<_> = comparison
        .all
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group.rows, group.is_too_small))
        .collect();
    assert_eq!(groups, [("a", 198, false), ("b", 198, false), ("z", 4, true)]);
    assert!(comparison.all.groups[2].rates.is_empty() && comparison.all.groups[2].calibration.is_none());
    assert_eq!(comparison.reference, "a");
    let found = disparity(comparison, Measure::EqualOpportunity);
    assert_eq!((found.least.as_str(), found.most.as_str()), ("b", "a"));
    assert_eq!(found.compared, ["a", "b"]);
    let (low, high) = found.difference_interval.unwrap();
    assert!(low < found.difference && found.difference < high && low > 0.3, "{found:?}");
    let gap = comparison.all.groups[1].gaps.iter().find(|gap| gap.rate == Rate::TruePositiveRate).unwrap();
    assert!((gap.estimate.value + found.difference).abs() < 1e-12);
    assert!(comparison.all.groups[0].gaps.is_empty() && comparison.all.groups[2].gaps.is_empty());
    // All combinations are there, also those that are too small.
    let cells = &view.comparisons[2].all.groups;
    assert_eq!(cells.len(), 6);
    assert_eq!(cells.iter().map(|cell| cell.rows).sum::<u64>(), 400);
    assert_eq!(cells.iter().filter(|cell| cell.is_too_small).count(), 2);
    assert_eq!(cells[5].rows, 0);
    assert!(audit.alarms.is_empty() && audit.intervals > 50);
    assert_eq!(view.has_probabilities, Some(true));
    assert_eq!(comparison.all.groups[0].calibration.as_ref().unwrap().area_under_curve, Some(1.0));
}

#[test]
fn a_proposal_repairs_what_thresholds_can() {
    let audit = audit(&rows(false), &settings()).unwrap();
    let comparison = &audit.views[0].comparisons[0];
    let proposal = comparison.proposal.as_ref().unwrap();
    assert_eq!((proposal.proposed.accuracy, proposal.proposed.equalized_odds_difference), (1.0, 0.0));
    assert!(proposal.now.equalized_odds_difference > 0.4 && proposal.now.accuracy < 0.9);
    assert_eq!(comparison.without_proposal, ["z"]);
}

#[test]
fn windows_are_looked_at_and_alarms_raised() {
    let rule = Rule { measure: Measure::EqualOpportunity, above: 0.4 };
    let settings = Settings { alarm: Some(rule), min_cell: 10, ..settings() };
    let audit = audit(&rows(true), &settings).unwrap();
    assert_eq!(audit.days, Some(("2026-01-01".into(), "2026-04-01".into())));
    let comparison = &audit.views[0].comparisons[0];
    let windows: Vec<_> =
        comparison.windows.iter().map(|window| (window.window.as_str(), window.rows)).collect();
    assert_eq!(windows, [("2026-01", 100), ("2026-02", 100), ("2026-03", 100), ("2026-04", 100)]);
    let in_windows: u64 = comparison.windows.iter().map(|window| window.figures.groups[1].rows).sum();
    assert_eq!(in_windows, comparison.all.groups[1].rows);
    let alarms: Vec<_> =
        audit.alarms.iter().filter(|alarm| alarm.by == "g").map(|alarm| alarm.window.as_deref()).collect();
    assert_eq!(alarms, [None, Some("2026-01"), Some("2026-02"), Some("2026-03"), Some("2026-04")]);
    assert!(audit.alarms.iter().all(|alarm| alarm.by != "h"), "{:?}", audit.alarms);
    let high = Settings { alarm: Some(Rule { above: 0.9, ..rule }), ..settings };
    assert_eq!(super::audit(&rows(true), &high).unwrap().alarms, []);
}

#[test]
fn the_seed_fixes_every_figure() {
    let json = |seed| {
        let audit = audit(&rows(true), &Settings { seed, ..settings() }).unwrap();
        serde_json::to_string(&audit).unwrap()
    };
    assert_eq!(json(3), json(3));
    assert_ne!(json(3), json(4));
}

#[test]
fn too_few_rows_leave_nothing_to_compare() {
    let audit = audit(&rows(false), &Settings { min_cell: 500, ..settings() }).unwrap();
    for comparison in &audit.views[0].comparisons {
        assert!(comparison.all.disparities.is_empty() && comparison.proposal.is_none());
        assert!(comparison.all.groups.iter().all(|group| group.is_too_small));
    }
}

#[test]
fn references_are_named_or_the_largest() {
    let named = |pairs: &[(&str, &str)]| {
        let reference = pairs.iter().map(|(column, group)| ((*column).into(), (*group).into())).collect();
        audit(&rows(false), &Settings { reference, ..settings() }).map(|audit| {
            audit.views[0].comparisons.iter().map(|found| found.reference.clone()).collect::<Vec<_>>()
        })
    };
    assert_eq!(named(&[]).unwrap(), ["a", "x", "a, y"]);
    assert_eq!(named(&[("g", "b")]).unwrap(), ["b", "x", "a, y"]);
    assert_eq!(named(&[("g", "b"), ("h", "y")]).unwrap(), ["b", "y", "b, y"]);
    for wrong in [("g", "none"), ("none", "a")] {
        assert_eq!(named(&[wrong]).err(), Some(Error::NoSuchGroup("--reference")));
    }
}

#[test]
fn settings_are_checked() {
    let error = |settings: Settings| audit(&rows(false), &settings).err().map(|error| error.code());
    let rule = |above| Some(Rule { measure: Measure::EqualizedOdds, above });
    for wrong in [
        Settings { min_cell: 0, ..settings() },
        Settings { bins: 0, ..settings() },
        Settings { bins: 101, ..settings() },
        Settings { resamples: 100_001, ..settings() },
        Settings { tolerance: 1.5, ..settings() },
        Settings { tolerance: f64::NAN, ..settings() },
        Settings { alarm: rule(-0.1), ..settings() },
    ] {
        assert_eq!(error(wrong), Some("setting"));
    }
    assert_eq!(error(Settings { positive: None, ..settings() }), Some("no_positive"));
    assert_eq!(error(Settings { positive: Some("other".into()), ..settings() }), Some("unknown_class"));
}
