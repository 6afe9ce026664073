use super::*;

fn shape(features: usize, classes: usize, bits: u32) -> HeadShape {
    HeadShape { features, classes, feature_bits: bits, weight_bits: bits }
}

#[test]
fn the_plans_of_512_by_14_are_the_published_ones() {
    let plan = Plan::new(shape(512, 14, 8), Privacy::Flooded).unwrap();
    assert_eq!((plan.plaintext_bits(), plan.response_bits()), (24, 37));
    assert_eq!(plan.layout(), &Layout { ciphertexts: 2, block: 256, classes_per_group: 7 });
    let widths = Widths { rerandomizer: 4, mask_noise: 10, body_noise: 3, flood: 24 };
    assert_eq!(plan.widths(), Some(&widths));
    assert_eq!(plan.request_shape().encoded_len(), 38_505);
    assert_eq!(plan.response_shape().encoded_len(), 19_115);
    let leak = plan.leak();
    assert_eq!((leak.bits_per_score, leak.vectors_to_determine), (Some(25), Some(513)));
    assert_eq!(leak.vectors_for_any_client, 164);

    let plan = Plan::new(shape(512, 14, 8), Privacy::Statistical).unwrap();
    assert_eq!((plan.parameters().name(), plan.response_bits()), ("N4096_Q100", 38));
    assert_eq!(plan.layout(), &Layout { ciphertexts: 1, block: 512, classes_per_group: 7 });
    let widths = Widths { rerandomizer: 4, mask_noise: 8, body_noise: 3, flood: 74 };
    assert_eq!(plan.widths(), Some(&widths));
    assert_eq!(plan.request_shape().encoded_len(), 102_505);
    let distance = plan.leak().statistical_distance_log2.unwrap();
    assert!((-48.9..-48.8).contains(&distance), "{distance}");
}

#[test]
fn every_plan_in_range_is_exact_and_keeps_its_mask() {
    let mut planned = 0;
    for features in [1, 2, 3, 30, 511, 512, 513, 1024, 2047, 2048, 2049, 2560, 4096, 6000, 16_384] {
        for classes in [1, 2, 14, 100, 4096] {
            for (feature_bits, weight_bits) in [(2, 2), (2, 8), (8, 2), (4, 4), (8, 8)] {
                for privacy in Privacy::ALL {
                    let shape = HeadShape { features, classes, feature_bits, weight_bits };
                    let plan = match Plan::new(shape, privacy) {
                        Ok(plan) => plan,
                        Err(Error::OutOfRange { what: "features times classes", .. }) => continue,
                        Err(Error::DoesNotFit { plaintext_bits: 27.. }) => continue,
                        Err(Error::DoesNotFit { .. })
                            if privacy == Privacy::Statistical && classes == 4096 =>
                        {
                            continue;
                        }
                        Err(error) => panic!("{shape:?} {privacy:?}: {error}"),
                    };
                    planned += 1;
                    let n = plan.parameters().polynomial_size();
                    let layout = plan.layout();
                    let room = 1 << (plan.response_bits() - plan.plaintext_bits() - 1);
                    assert!(plan.switched_noise_bound() <= room, "{shape:?}");
                    assert!(layout.classes_per_group * layout.block <= n);
                    assert!((layout.ciphertexts - 1) * layout.block < features);
                    assert!(layout.ciphertexts * layout.block >= features);
                    assert!(shape.bias_limit() > 0);
                    if let Some(widths) = plan.widths() {
                        assert!(widths.rerandomizer >= 1 && widths.mask_noise >= 7);
                        assert!(plan.response_bits() <= plan.plaintext_bits() + 16);
                        let hints = (plan.plaintext_bits() as usize + 1) * layout.classes_per_group;
                        assert!(hints <= 256 * (widths.rerandomizer as usize + 1));
                    }
                    if privacy == Privacy::Statistical {
                        assert!(plan.leak().statistical_distance_log2.unwrap() <= -40.0);
                    }
                }
            }
        }
    }
    assert!(planned > 900, "{planned} plans");
}

#[test]
fn more_ciphertexts_are_taken_only_where_they_save_bytes() {
    for privacy in Privacy::ALL {
        let plan = Plan::new(shape(30, 2, 8), privacy).unwrap();
        assert_eq!(plan.layout().ciphertexts, 1, "one group cannot be saved");
    }
    let plan = Plan::new(shape(2048, 14, 8), Privacy::Flooded).unwrap();
    let bytes = plan.request_shape().encoded_len() + plan.response_shape().encoded_len();
    let one = search::candidate(plan.parameters(), *plan.shape(), plan.privacy(), 1).unwrap();
    assert_eq!(one.layout().ciphertexts, 1);
    assert!(bytes < one.request_shape().encoded_len() + one.response_shape().encoded_len());
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    for (bad, name) in [
        (shape(0, 2, 8), "features"),
        (shape(16_385, 2, 8), "features"),
        (shape(30, 0, 8), "classes"),
        (shape(30, 4097, 8), "classes"),
        (shape(2049, 4096, 8), "features times classes"),
        (shape(usize::MAX, usize::MAX, 8), "features"),
        (shape(30, 2, 1), "feature bits"),
        (shape(30, 2, 9), "feature bits"),
        (HeadShape { weight_bits: 9, ..shape(30, 2, 8) }, "weight bits"),
    ] {
        let error = Plan::new(bad, Privacy::Flooded).unwrap_err();
        assert!(matches!(error, Error::OutOfRange { what, .. } if what == name), "{error}");
    }
}

#[test]
fn heads_too_wide_for_an_exact_answer_are_refused_with_their_bits() {
    let error = Plan::new(shape(4096, 14, 8), Privacy::Flooded).unwrap_err();
    assert!(matches!(error, Error::DoesNotFit { plaintext_bits: 27 }), "{error}");
    for fits in [Privacy::Statistical, Privacy::OpenWeights] {
        assert_eq!(Plan::new(shape(4096, 14, 8), fits).unwrap().parameters().name(), "N4096_Q100");
    }
    let narrower = HeadShape { weight_bits: 7, ..shape(4096, 14, 8) };
    assert!(Plan::new(narrower, Privacy::Flooded).is_ok());
}

/// A body tells log2 q less the flood's bits, whatever other noise there is: a malformed request need not have any.
#[test]
fn stated_bits_are_all_that_the_flood_leaves() {
    use tiresias_keys::BootstrapParameters;
    let mut wider = 0;
    for features in [1, 30, 512, 1000, 1280, 6000] {
        for classes in [1, 2, 14, 100, 1000, 4096] {
            for bits in [4, 6, 8] {
                let shape = HeadShape { features, classes, feature_bits: bits, weight_bits: bits };
                for privacy in [Privacy::Flooded, Privacy::Statistical] {
                    let Ok(plan) = Plan::new(shape, privacy) else { continue };
                    let flood = plan.widths().unwrap().flood;
                    let told = plan.leak().bits_per_score.unwrap();
                    assert_eq!(told, plan.parameters().modulus_bits() - flood - 1);
                    assert!(told > plan.plaintext_bits());
                    wider += usize::from(told > plan.plaintext_bits() + 1);
                    // Coordinates of u that a group's coefficients are charged as.
                    let charged = plan.classes_per_group() * told as usize;
                    assert!(charged <= 256 * (plan.widths().unwrap().rerandomizer as usize + 1));
                }
            }
        }
    }
    assert!(wider > 0, "some heads leave less room for a flood");
    for set in BootstrapParameters::ALL {
        for decision in [Decision::Argmax, Decision::Thresholds] {
            for classes in [2, 14, 31, 63] {
                let shape = HeadShape { features: 512, classes, feature_bits: 8, weight_bits: 8 };
                let policy = LabelPolicy { decision, stages: 3, zone: 0, bootstrap: set };
                let plan = Plan::label(shape, policy).unwrap();
                let told = plan.leak().bits_per_score.unwrap();
                assert_eq!(told, 50 - plan.widths().unwrap().flood - 1);
                let is_widest = decision == Decision::Thresholds || classes <= 31;
                assert!(
                    told == plan.answer_bits() + 1 || !is_widest,
                    "{} {decision:?} {classes}",
                    set.name()
                );
            }
        }
    }
}
