//! The bytes of a row before it is sealed: a letter, a tag where it is a decision, JSON, and spaces up to the next 1,024 bytes,
//! so that its length tells little.

use std::io::{Cursor, Write as _};

use zeroize::Zeroizing;

use crate::{Answer, Case, Decision, Error, Key};

/// A row of a model with 4,096 classes fits.
pub const MAXIMUM_ROW_BYTES: usize = 512 << 10;
/// What age adds is less.
pub(crate) const MAXIMUM_SEALED_BYTES: usize = MAXIMUM_ROW_BYTES + (4 << 10);
const STEP: usize = 1 << 10;
const CASE: u8 = b'C';
const DECISION: u8 = b'D';
const TAG_BYTES: usize = 32;

/// Where a row stands, for what authenticates it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its number.
    pub row: u64,
    /// The hash of the row before it.
    pub before: [u8; 32],
}

/// What a row says.
#[derive(Debug)]
pub enum Row {
    /// What a model answered.
    Case(Box<Case>),
    /// What a human decided.
    Decision(Decision),
}

/// The bytes of a case.
pub fn of_case(case: &Case) -> Result<Zeroizing<Vec<u8>>, Error> {
    let is_finite = match &case.answer {
        Answer::Scores { scores, margin, .. } => {
            margin.is_finite() && scores.iter().all(|score| score.is_finite())
        }
        _ => true,
    };
    let is_drift_finite =
        case.drift.is_none_or(|drift| drift.distance.is_finite() && drift.limit.is_finite());
    if !is_finite || !is_drift_finite {
        return Err(Error::NotFinite);
    }
    padded(&[CASE], case)
}

/// The bytes of a decision in its place.
pub(crate) fn of_decision(decision: &Decision, key: &Key, place: Place) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = padded(&[&[DECISION], &[0; TAG_BYTES][..]].concat(), decision)?;
    let (head, body) = bytes.split_at_mut(1 + TAG_BYTES);
    head[1..].copy_from_slice(&key.authenticate(&place.before, place.row, body));
    Ok(bytes)
}

/// Reads a row.
pub fn read(bytes: &[u8], key: &Key, place: Place) -> Result<Row, Error> {
    let damaged = |_| Error::Damaged(place.row);
    match bytes.split_first() {
        Some((&CASE, body)) => {
            serde_json::from_slice(body).map(|case| Row::Case(Box::new(case))).map_err(damaged)
        }
        Some((&DECISION, rest)) => {
            let (tag, body) = rest.split_at_checked(TAG_BYTES).ok_or(Error::Damaged(place.row))?;
            if !key.has_authenticated(&place.before, place.row, body, tag) {
                return Err(Error::Forged(place.row));
            }
            serde_json::from_slice(body).map(Row::Decision).map_err(damaged)
        }
        _ => Err(Error::Damaged(place.row)),
    }
}

/// In one place in memory, which never grows.
fn padded(head: &[u8], body: &impl serde::Serialize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(vec![b' '; MAXIMUM_ROW_BYTES]);
    let mut cursor = Cursor::new(&mut bytes[..]);
    cursor.write_all(head).map_err(|_| Error::TooLarge)?;
    serde_json::to_writer(&mut cursor, body).map_err(|_| Error::TooLarge)?;
    let length = usize::try_from(cursor.position()).map_err(|_| Error::TooLarge)?;
    bytes.truncate(length.next_multiple_of(STEP));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::{
        Column, Distrust, Drift, Receipt, Verdict, case::tests::case as sample, decision::tests::to,
    };

    const PLACE: Place = Place { row: 3, before: [7; 32] };

    fn answers() -> impl Strategy<Value = Answer> {
        let number = || -1e9f64..1e9;
        prop_oneof![
            (option::of(".{0,8}"), vec(number(), 0..5), number())
                .prop_map(|(label, scores, margin)| Answer::Scores { label, scores, margin }),
            option::of(".{0,8}").prop_map(Answer::Class),
            (vec(".{0,8}", 0..4), vec(".{0,8}", 0..4))
                .prop_map(|(found, open)| Answer::Findings { found, open }),
        ]
    }

    fn cases() -> impl Strategy<Value = Case> {
        let distrust = prop_oneof![Just(Distrust::Canary), Just(Distrust::Receipt)];
        let drift = (any::<u64>(), 0f64..1e6, 0f64..1e6, any::<bool>())
            .prop_map(|(outside, distance, limit, far_out)| Drift { outside, distance, limit, far_out });
        let receipt = (".{0,8}", option::of(".{0,8}"), option::of(any::<u64>()), option::of(".{0,8}"))
            .prop_map(|(verdict, log, index, request)| Receipt { verdict, log, index, request });
        let about = vec((".{0,8}", ".{0,30}").prop_map(|(name, value)| Column { name, value }), 0..5);
        let names = (".{0,40}", option::of(any::<u64>()), ".{0,20}", any::<u32>(), vec(".{0,8}", 0..4));
        (
            any::<u64>(),
            names,
            answers(),
            option::of(distrust),
            option::of(drift),
            any::<u64>(),
            option::of(receipt),
            about,
        )
            .prop_map(|(at, names, answer, distrust, drift, clipped, receipt, about)| {
                let (source, row, model, version, labels) = names;
                let config_id = "cd".repeat(32);
                Case {
                    at,
                    source,
                    row,
                    model,
                    version,
                    config_id,
                    labels,
                    answer,
                    distrust,
                    drift,
                    clipped,
                    receipt,
                    about,
                }
            })
    }

    proptest! {
        #[test]
        fn a_case_comes_back_as_it_was(case in cases()) {
            let key = Key::generate();
            let bytes = of_case(&case).unwrap();
            prop_assert_eq!(bytes.len() % STEP, 0);
            let Row::Case(found) = read(&bytes, &key, PLACE).unwrap() else { panic!("no case") };
            prop_assert!(*found == case);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), letter in prop_oneof![Just(CASE), Just(DECISION)]) {
            let key = Key::generate();
            prop_assert!(read(&bytes, &key, PLACE).is_err());
            prop_assert!(read(&[&[letter], &bytes[..]].concat(), &key, PLACE).is_err());
        }
    }

    #[test]
    fn a_decision_holds_in_its_place_alone() {
        let (key, other) = (Key::generate(), Key::generate());
        for verdict in [Verdict::Accept, to(&["well"])] {
            let decision = Decision::new((2, &sample("ill", 0.5)), verdict, "AB", "seen", 9).unwrap();
            let bytes = of_decision(&decision, &key, PLACE).unwrap();
            let Row::Decision(found) = read(&bytes, &key, PLACE).unwrap() else { panic!("no decision") };
            assert!(found == decision);
            let is_forged = |bytes: &[u8], key: &Key, place: Place| {
                matches!(read(bytes, key, place), Err(Error::Forged(_)))
            };
            assert!(is_forged(&bytes, &other, PLACE));
            assert!(is_forged(&bytes, &key, Place { row: 4, ..PLACE }));
            assert!(is_forged(&bytes, &key, Place { before: [8; 32], ..PLACE }));
            for at in [1, TAG_BYTES, 1 + TAG_BYTES, bytes.len() - 1] {
                let mut changed = bytes.to_vec();
                changed[at] ^= 1;
                assert!(is_forged(&changed, &key, PLACE), "byte {at}");
            }
        }
    }

    #[test]
    fn rows_have_a_largest_size_and_finite_numbers() {
        let mut case = sample("ill", 0.5);
        case.about[0].value = "x".repeat(MAXIMUM_ROW_BYTES);
        assert!(matches!(of_case(&case), Err(Error::TooLarge)));
        assert!(matches!(of_case(&sample("ill", f64::NAN)), Err(Error::NotFinite)));
        let mut case = sample("ill", 0.5);
        case.drift = Some(Drift { outside: 0, distance: f64::INFINITY, limit: 1.0, far_out: true });
        assert!(matches!(of_case(&case), Err(Error::NotFinite)));
    }
}
