use super::*;

fn layout(bands: Option<Vec<f64>>) -> Layout {
    let attributes =
        vec![Attribute { name: "sex".into(), bands: None }, Attribute { name: "age".into(), bands }];
    Layout { attributes, scored: vec!["ill".into()], abstain: Some("review".into()), ..Layout::default() }
}

fn record<'a>(truth: &'a str, prediction: &'a str, groups: &'a [&'a str]) -> Record<'a> {
    Record { truth, prediction: Some(prediction), scores: &[0.5], groups, day: None }
}

fn rows(layout: Layout, records: &[Record<'_>]) -> Result<Rows, Error> {
    let mut builder = Builder::new(layout)?;
    records.iter().try_for_each(|record| builder.push(*record))?;
    builder.finish()
}

#[test]
fn names_become_numbers_in_order() {
    let records = [
        record("well", "ill", &["m", "65"]),
        record("ill", "review", &["f", "39.9"]),
        record("well", "well", &["f", "1e1"]),
    ];
    let rows = rows(layout(Some(vec![40.0, 65.0])), &records).unwrap();
    assert_eq!(rows.classes(), ["ill", "well"]);
    assert_eq!((rows.truths(), rows.predictions()), (&[1, 0, 1][..], &[Some(0), None, Some(1)][..]));
    let [sex, age] = rows.attributes() else { unreachable!() };
    assert_eq!((sex.names(), sex.of_rows()), (&["f".to_owned(), "m".into()][..], &[1, 0, 0][..]));
    // A band without rows is kept: no one in it is worth knowing.
    assert_eq!(age.names(), ["under 40", "40 to under 65", "65 and over"]);
    assert_eq!(age.of_rows(), [2, 0, 0]);
    assert_eq!(rows.scores("ill"), Some(&[0.5, 0.5, 0.5][..]));
    assert_eq!((rows.scores("well"), rows.days()), (None, None));
}

#[test]
fn what_is_wrong_is_named_by_row_and_field() {
    let good = [record("ill", "ill", &["f", "20"]), record("well", "well", &["m", "70"])];
    let bands = || layout(Some(vec![40.0]));
    let with = |layout: Layout, bad: Record<'_>| {
        let mut records = good.to_vec();
        records.push(bad);
        rows(layout, &records).unwrap_err()
    };
    for (bad, field, flaw) in [
        (record("", "ill", &["f", "1"]), Field::Truth, Flaw::Empty),
        (record("review", "ill", &["f", "1"]), Field::Truth, Flaw::AbstainedTruth),
        (record("ill", "", &["f", "1"]), Field::Prediction, Flaw::Empty),
        (record("ill", "Ill", &["f", "1"]), Field::Prediction, Flaw::UnknownClass),
        (record("ill", "ill", &["", "1"]), Field::Group(0), Flaw::EmptyGroup),
        (record("ill", "ill", &["f", "x"]), Field::Group(1), Flaw::NotANumber),
        (record("ill", "ill", &["f", "nan"]), Field::Group(1), Flaw::NotFinite),
        (
            Record { scores: &[f64::NAN], ..record("ill", "ill", &["f", "1"]) },
            Field::Score(0),
            Flaw::NotFinite,
        ),
    ] {
        let place = Place { row: 3, field, column: None };
        assert_eq!(with(bands(), bad), Error::Cell { place, flaw });
    }
    let named = Layout { empty_as: Some("unknown".into()), ..bands() };
    let named = rows(named, &[good[0], good[1], record("ill", "ill", &["", ""])]).unwrap();
    assert_eq!(named.attributes()[0].names(), ["f", "m", "unknown"]);
    assert_eq!(named.attributes()[1].names(), ["under 40", "40 and over", "unknown"]);
}

#[test]
fn too_few_and_too_many() {
    assert_eq!(rows(layout(None), &[]).err(), Some(Error::NoRows));
    let one = [record("ill", "ill", &["f", "a"]), record("well", "well", &["f", "b"])];
    assert_eq!(rows(layout(None), &one).err(), Some(Error::SingleGroup(1)));
    let one = [record("ill", "ill", &["f", "a"]), record("well", "well", &["m", "a"])];
    assert_eq!(rows(layout(None), &one).err(), Some(Error::SingleGroup(2)));
    let one = [record("ill", "ill", &["f", "a"]), record("ill", "ill", &["m", "b"])];
    assert_eq!(rows(layout(None), &one).err(), Some(Error::Classes(MAXIMUM_CLASSES)));
    let names: Vec<String> = (0..=MAXIMUM_GROUPS).map(|name| name.to_string()).collect();
    let groups: Vec<[&str; 2]> = names.iter().map(|name| ["f", name.as_str()]).collect();
    let many: Vec<_> = groups.iter().map(|groups| record("ill", "ill", groups)).collect();
    assert_eq!(rows(layout(None), &many).err(), Some(Error::TooManyGroups(2, MAXIMUM_GROUPS)));
    let many: Vec<_> = names.iter().map(|name| record(name, name, &["f", "a"])).collect();
    assert_eq!(rows(layout(None), &many).err(), Some(Error::Classes(MAXIMUM_CLASSES)));
    assert_eq!(rows(Layout::default(), &[]).err(), Some(Error::Attributes(MAXIMUM_ATTRIBUTES)));
    for edges in [vec![], vec![2.0, 1.0], vec![1.0, 1.0], vec![f64::NAN], vec![f64::INFINITY]] {
        assert_eq!(rows(layout(Some(edges)), &[]).err(), Some(Error::Bands));
    }
    let other = Layout { scored: vec!["other".into()], ..layout(None) };
    let two = [record("ill", "ill", &["f", "a"]), record("well", "well", &["m", "b"])];
    assert_eq!(rows(other, &two).err(), Some(Error::NoSuchClass("--score")));
}

#[test]
fn predictions_follow_from_scores() {
    let scored =
        |scores: &'static [f64]| Record { scores, prediction: None, ..record("ill", "", &["f", "a"]) };
    let other = |scores: &'static [f64], truth| Record { truth, groups: &["m", "b"], ..scored(scores) };
    let one = Layout { cut: Some(0.5), abstain: None, ..layout(None) };
    let found = rows(one.clone(), &[scored(&[0.5]), other(&[0.49], "well"), scored(&[0.9])]).unwrap();
    assert_eq!(found.predictions(), [Some(0), Some(1), Some(0)]);
    // A second class's score is needed where there are three.
    let three = [scored(&[0.5]), other(&[0.1], "well"), other(&[0.1], "worse")];
    assert_eq!(rows(one.clone(), &three).err(), Some(Error::SomeScores));
    let all = Layout { scored: vec!["worse".into(), "ill".into(), "well".into()], ..one };
    let three = [scored(&[0.1, 0.2, 0.3]), other(&[0.5, 0.5, 0.4], "well"), other(&[0.0, 0.1, 0.1], "worse")];
    // Of equal scores the first class given counts.
    assert_eq!(rows(all.clone(), &three).unwrap().predictions(), [Some(1), Some(2), Some(0)]);
    let missing = Layout { cut: None, ..all };
    let place = Place { row: 1, field: Field::Prediction, column: None };
    assert_eq!(rows(missing, &three).err(), Some(Error::Cell { place, flaw: Flaw::Empty }));
}
