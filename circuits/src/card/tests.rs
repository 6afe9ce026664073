use super::*;
use tiresias_keys::bootstrap_parameters::N918_N2048_Q50_G2;

use crate::{
    Features, HeadShape, LinearHead, MlpHead, Privacy, QuantizedHead,
    mlp::{HiddenLayer, MlpOptions, QuantizedMlp},
    plan::{ActivationRange, Decision, LabelPolicy},
    quantize::Granularity,
};

fn card() -> Card {
    let shape = HeadShape { features: 30, classes: 2, feature_bits: 8, weight_bits: 8 };
    let scales = (1..=30).map(|i| 0.1 * f64::from(i)).collect();
    let scale = Scale::PerFeature { scales, offsets: (1..=30).map(f64::from).collect() };
    let plan = Plan::new(shape, Privacy::Flooded).unwrap();
    let quantizer = Quantizer::new(8, 30, scale).unwrap();
    let labels = vec!["benign".into(), "malignant".into()];
    Card::new(parts("wdbc", labels, quantizer, plan)).unwrap()
}

fn parts(name: &str, labels: Vec<String>, quantizer: Quantizer, plan: Plan) -> CardParts {
    CardParts::new(name, 1, labels, quantizer, 0.001_234_5, plan, Seed::from_bytes([7; 32]))
}

#[test]
fn a_card_round_trips_and_its_id_is_the_hash_of_its_bytes() {
    let bytes = card().to_json();
    let (read, id) = Card::from_json(&bytes).unwrap();
    assert_eq!(read, card());
    assert_eq!(id, ConfigId::of_card(&bytes));
    assert_eq!(read.to_json(), bytes);
}

#[test]
fn a_card_cannot_downgrade() {
    let text = String::from_utf8(card().to_json()).unwrap();
    for (from, to, what) in [
        ("\"t\": 20", "\"t\": 19", "t"),
        ("\"r\": 33", "\"r\": 34", "r"),
        ("\"classes_per_group\": 2", "\"classes_per_group\": 1", "layout"),
        ("\"groups\": 1", "\"groups\": 2", "layout"),
        ("\"ciphertexts\": 1", "\"ciphertexts\": 2", "layout"),
        ("\"features_per_ciphertext\": 30", "\"features_per_ciphertext\": 15", "layout"),
        ("\"privacy\": \"flooded\"", "\"privacy\": \"statistical\"", "parameter set"),
        ("\"log2_p_fail\": null", "\"log2_p_fail\": -40.0", "failure probability"),
        ("\"leak_bits_per_score\": 21", "\"leak_bits_per_score\": 2", "leak per score"),
        ("\"vectors_to_determine\": 31", "\"vectors_to_determine\": 310", "number of determining vectors"),
        ("\"privacy\": \"flooded\"", "\"privacy\": \"open-weights\"", "r"),
    ] {
        assert!(text.contains(from), "the test's own text: {from}");
        let error = Card::from_json(text.replace(from, to).as_bytes()).unwrap_err();
        assert!(matches!(error, Error::CardMismatch(found) if found == what), "{to}: {error}");
    }
    for (from, to) in [
        ("N2048_Q50", "N4096_Q100"),
        ("N2048_Q50", "N2048_Q54"),
        ("N2048_Q50", "INSECURE_N256"),
        ("tiresias-card/v2", "tiresias-card/v1"),
        ("\"scores\"", "\"label\""),
        ("\"features\": 30", "\"features\": 31"),
        ("\"features\": 30", "\"features\": 99999999"),
        ("\"version\": 1", "\"version\": 0"),
        ("\"wdbc\"", "\"../wdbc\""),
        ("\"benign\"", "\"malignant\""),
        ("\"policy\"", "\"extra\": 1, \"policy\""),
    ] {
        assert!(text.contains(from), "the test's own text: {from}");
        assert!(Card::from_json(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
    assert!(Card::from_json(b"").is_err());
    assert!(Card::from_json(&vec![b' '; MAXIMUM_CARD_BYTES + 1]).is_err());
}

/// A card of a label that is planned for real parameters.
fn label_card() -> Card {
    let shape = HeadShape { features: 30, classes: 3, feature_bits: 8, weight_bits: 8 };
    let weight = (0..90).map(|i| (i * 37 % 255 - 127) as i8).collect();
    let head = QuantizedHead::new(shape, weight, vec![5, -7, 0]).unwrap();
    let policy = LabelPolicy::for_head(&head, Decision::Argmax, &N918_N2048_Q50_G2, Some(2)).unwrap();
    let quantizer = Quantizer::new(8, 30, Scale::PerTensor(0.5)).unwrap();
    let labels = vec!["a".into(), "b".into(), "c".into()];
    let plan = Plan::label(shape, policy).unwrap();
    Card::new(parts("triage", labels, quantizer, plan)).unwrap()
}

#[test]
fn a_card_of_a_label_round_trips_and_cannot_be_weakened() {
    let bytes = label_card().to_json();
    let (read, _) = Card::from_json(&bytes).unwrap();
    assert_eq!((read.to_json(), read), (bytes.clone(), label_card()));
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [
        ("\"policy\": \"label\"", "\"policy\": \"scores\""),
        ("\"decision\": \"argmax\"", "\"decision\": \"thresholds\""),
        ("\"decision\": \"argmax\"", "\"decision\": \"best\""),
        ("\"stages\": 2", "\"stages\": 3"),
        ("\"stages\": 2", "\"stages\": 200"),
        ("N918_N2048_Q50_G2", "N918_N2048_Q50_L2_G2"),
        ("N918_N2048_Q50_G2", "INSECURE_N64_N256_Q50"),
        ("\"privacy\": \"flooded\"", "\"privacy\": \"open-weights\""),
        ("\"log2_p_fail\": -1", "\"log2_p_fail\": -2"),
        ("\"evaluation_key_bytes\": 4", "\"evaluation_key_bytes\": 5"),
        ("\"answer_bits\": 2", "\"answer_bits\": 20"),
    ] {
        assert!(text.contains(from), "the test's own text: {from}");
        assert!(Card::from_json(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
}

/// A head of three features, four neurons and two classes.
fn hidden_card(decision: Option<Decision>) -> Card {
    let labels = vec!["a".to_owned(), "b".to_owned()];
    let weight: Vec<f64> = (0..12).map(|i| f64::from(i * 5 % 7) - 3.0).collect();
    let layer = HiddenLayer::new(weight, vec![0.5; 4], vec![1.0; 4], vec![0.0; 4]).unwrap();
    let output: Vec<f64> = (0..8).map(|i| f64::from(i * 3 % 5) - 2.0).collect();
    let head =
        MlpHead::new(vec![layer], LinearHead::new(output, vec![0.0, 0.1], labels.clone()).unwrap()).unwrap();
    let rows = Features::new((0..30).map(|i| f64::from(i * 11 % 17) - 8.0).collect(), 3).unwrap();
    let quantizer = Quantizer::calibrate(&rows, 8, Granularity::PerFeature).unwrap();
    let options = MlpOptions {
        weight_bits: 8,
        inner_weight_bits: None,
        activation_bits: 4,
        bootstrap: &N918_N2048_Q50_G2,
        range: ActivationRange::Calibrated,
        decision,
        stages: None,
    };
    let quantized = QuantizedMlp::quantize(&head, &quantizer, &rows, &options).unwrap();
    let plan = quantized.plan().unwrap();
    let score_scale = quantized.score_scale;
    Card::new(CardParts { score_scale, ..parts("mlp", labels, quantizer, plan) }).unwrap()
}

#[test]
fn cards_of_hidden_layers_round_trip_and_cannot_downgrade() {
    for decision in [None, Some(Decision::Argmax)] {
        let card = hidden_card(decision);
        let text = String::from_utf8(card.to_json()).unwrap();
        let (read, _) = Card::from_json(text.as_bytes()).unwrap();
        assert_eq!(read, card);
        let score_bits = format!("\"score_bits\": {}", card.plan().hidden().unwrap().score_bits);
        for (from, to) in [
            ("\"activation_bits\": 4", "\"activation_bits\": 9"),
            ("\"activation_bits\": 4", "\"activation_bits\": 0"),
            (score_bits.as_str(), "\"score_bits\": 63"),
            (score_bits.as_str(), "\"score_bits\": 0"),
            ("\"score_norm\": ", "\"score_norm\": 1000000000000"),
            ("\"score_norm\": ", "\"score_norm\": 0.0"),
            ("\"neurons\": [\n      4\n    ]", "\"neurons\": [18446744073709551615]"),
            ("\"neurons\": [\n      4\n    ]", "\"neurons\": [0]"),
            ("\"neurons\": [\n      4\n    ]", "\"neurons\": []"),
            ("\"neurons\": [\n      4\n    ]", "\"neurons\": [4, 4]"),
            ("\"neurons\": [\n      4\n    ]", "\"neurons\": [5]"),
            ("\"range\": \"calibrated\"", "\"range\": \"hoped\""),
            ("\"range\": \"proved\"", "\"range\": \"hoped\""),
            ("N918_N2048_Q50_G2", "INSECURE_N64_N256_Q50"),
        ] {
            let changed = text.replacen(from, to, 1);
            if changed != text {
                assert!(Card::from_json(changed.as_bytes()).is_err(), "{to}");
            }
        }
        assert!(text.contains("\"neurons\": [\n      4\n    ]") && text.contains("\"activation_bits\": 4"));
    }
}

fn explained_card(explanation: Explanation) -> Card {
    let shape = HeadShape { features: 30, classes: 2, feature_bits: 8, weight_bits: 8 };
    let plan = match explanation.groups() {
        Some(groups) => Plan::explained(shape, groups.grouping(), Privacy::Flooded).unwrap(),
        None => Plan::new(shape, Privacy::Flooded).unwrap(),
    };
    let quantizer = Quantizer::new(8, 30, Scale::PerTensor(0.5)).unwrap();
    let rows = Features::new((0..300).map(|i| f64::from(i * 11 % 17)).collect(), 30).unwrap();
    Card::new(CardParts {
        explanation: Some(explanation),
        calibration: Calibration::of(&rows),
        backbone: Some(Digest::of(b"backbone")),
        about: Some("For training alone.\nNot for children.".into()),
        ..parts("explained", vec!["a".into(), "b".into()], quantizer, plan)
    })
    .unwrap()
}

fn thirds() -> Explanation {
    let names = vec!["size".into(), "shape".into(), "texture".into()];
    Explanation::Groups(Groups::new(names, (0..30).map(|i| i % 3).collect()).unwrap())
}

#[test]
fn explanations_calibration_backbone_and_text_round_trip_and_are_checked() {
    let map = Explanation::Map(crate::explain::MapShape::new(7, 7).unwrap());
    for card in [explained_card(thirds()), explained_card(map)] {
        let (read, _) = Card::from_json(&card.to_json()).unwrap();
        assert_eq!(read, card);
    }
    let text = String::from_utf8(explained_card(thirds()).to_json()).unwrap();
    for (from, to) in [
        ("\"vectors_to_determine\": 10", "\"vectors_to_determine\": 31"),
        ("\"size\",", ""),
        ("\"names\"", "\"named\""),
        ("\"groups\": {", "\"group\": {"),
        ("\"distance_limit\": ", "\"distance_limit\": 1000"),
        ("\"rows\": 10", "\"rows\": 1"),
        ("For training", "For\\u0007training"),
        ("\"policy\": \"scores\"", "\"policy\": \"label\""),
    ] {
        assert!(text.contains(from), "the test's own text: {from}");
        assert!(Card::from_json(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn a_card_explains_as_its_plan_says() {
    let good = explained_card(thirds()).parts;
    let plan = Plan::new(*card().plan().shape(), Privacy::Flooded).unwrap();
    assert!(Card::new(CardParts { explanation: None, ..good.clone() }).is_err());
    assert!(Card::new(CardParts { plan, ..good.clone() }).is_err());
    let shorter = Features::new(vec![0.5; 290], 29).unwrap();
    assert!(Card::new(CardParts { calibration: Calibration::of(&shorter), ..good.clone() }).is_err());
    let long = Some("x".repeat(MAXIMUM_ABOUT_BYTES + 1));
    assert!(Card::new(CardParts { about: long, ..good }).is_err());
}

#[test]
fn cohorts_are_stated_and_what_follows_is_checked() {
    let without = card();
    assert_eq!(without.cohort(), None);
    assert!(!String::from_utf8(without.to_json()).unwrap().contains("cohort"));
    let with = Card::new(CardParts { cohort: true, ..without.parts.clone() }).unwrap();
    let bytes = with.to_json();
    let (read, _) = Card::from_json(&bytes).unwrap();
    assert_eq!(read, with);
    assert_eq!(read.cohort(), Some(&CohortPlan::new(with.plan()).unwrap()));
    let text = String::from_utf8(bytes).unwrap();
    let plan = with.cohort().unwrap();
    for (from, to) in [
        ("\"N2048_C52\"".to_owned(), "\"N2048_Q50\"".to_owned()),
        (
            format!("\"r\": {},\n    \"patients", plan.response_bits()),
            "\"r\": 30,\n    \"patients".to_owned(),
        ),
        ("\"patients_per_block\": 2048".to_owned(), "\"patients_per_block\": 4096".to_owned()),
        (
            format!("\"vectors_for_any_client\": {}\n  }}", plan.leak().vectors_for_any_client),
            "\"vectors_for_any_client\": 9999\n  }".to_owned(),
        ),
    ] {
        assert!(text.contains(&from), "the test's own text: {from}");
        let error = Card::from_json(text.replacen(&from, &to, 1).as_bytes()).unwrap_err();
        assert!(matches!(error, Error::CardMismatch("cohort")), "{to}: {error}");
    }
    let statistical = Plan::new(*without.plan().shape(), Privacy::Statistical).unwrap();
    let parts = CardParts { cohort: true, plan: statistical, ..without.parts.clone() };
    assert!(Card::new(parts).is_err());
}
