//! The search for the layout with the fewest bytes, and the noise bounds that each candidate must meet.

use tiresias_keys::{
    Parameters,
    parameters::{N2048_Q50, N4096_Q100},
};

use super::{HeadShape, HiddenLayers, Layout, Plan, Policy, Privacy, Widths};

/// The most coordinates of u that the returned coefficients of one group may give away. What is left of the
/// response mask is then a Ring-LWE sample in dimension N - 256, estimated in SECURITY.md.
const HINTED_COORDINATES: usize = 256;

/// The most ciphertexts of one request.
const MAXIMUM_CIPHERTEXTS: usize = 64;

/// The largest statistical distance of a `statistical` score vector is 2^-40.
const STATISTICAL_BITS: u32 = 40;

/// The plan of the fewest bytes, request and response together, under the first parameter set that fits; of equals
/// the one with the fewest ciphertexts. `None` where nothing fits.
pub(super) fn best(shape: HeadShape, privacy: Privacy) -> Option<Plan> {
    let sets: &[&'static Parameters] = match privacy {
        Privacy::Flooded => &[&N2048_Q50],
        Privacy::Statistical => &[&N4096_Q100],
        Privacy::OpenWeights => &[&N2048_Q50, &N4096_Q100],
    };
    sets.iter().find_map(|set| best_under(set, shape, privacy))
}

fn best_under(parameters: &'static Parameters, shape: HeadShape, privacy: Privacy) -> Option<Plan> {
    let mut best: Option<(usize, Plan)> = None;
    let fewest = shape.features.div_ceil(parameters.polynomial_size());
    for ciphertexts in fewest..=MAXIMUM_CIPHERTEXTS {
        let Some(plan) = candidate(parameters, shape, privacy, ciphertexts) else { continue };
        let request = plan.request_shape().encoded_len();
        if best.as_ref().is_some_and(|(bytes, _)| request >= *bytes) {
            break; // requests only grow from here
        }
        let bytes = request + plan.response_shape().encoded_len();
        if best.as_ref().is_none_or(|(fewest, _)| bytes < *fewest) {
            best = Some((bytes, plan));
        }
    }
    best.map(|(_, plan)| plan)
}

/// The plan with this many ciphertexts: the largest flood that fits, at the smallest r at which it fits.
pub(super) fn candidate(
    parameters: &'static Parameters,
    shape: HeadShape,
    privacy: Privacy,
    ciphertexts: usize,
) -> Option<Plan> {
    let (n, t) = (parameters.polynomial_size(), shape.plaintext_bits());
    let block = shape.features.div_ceil(ciphertexts);
    if (ciphertexts - 1) * block >= shape.features {
        return None; // the last ciphertext would be empty
    }
    let base = if privacy.protects_weights() { Some(base_widths(parameters, privacy, t)?) } else { None };
    let Some(base) = base else {
        return with_blocks(parameters, shape, privacy, (ciphertexts, block), n / block, None);
    };
    // A coefficient tells t + 1 bits beside the largest flood, and more where other noise leaves less room for it.
    let mut blocks = (n / block).min(hint_cap(&base, t + 1));
    loop {
        let plan = with_blocks(parameters, shape, privacy, (ciphertexts, block), blocks, Some(base))?;
        let told = plan.widths.map_or(t + 1, |widths| told_bits(parameters, &widths));
        let cap = hint_cap(&base, told);
        if plan.layout.classes_per_group <= cap {
            return (privacy != Privacy::Statistical || is_statistical(&plan)).then_some(plan);
        }
        blocks = cap;
    }
}

/// The plan with at most so many classes a group.
fn with_blocks(
    parameters: &'static Parameters,
    shape: HeadShape,
    privacy: Privacy,
    (ciphertexts, block): (usize, usize),
    blocks: usize,
    base: Option<Widths>,
) -> Option<Plan> {
    let t = shape.plaintext_bits();
    // As few groups as the blocks allow, then as few blocks as these groups need: same bytes, less noise.
    let groups = shape.classes.div_ceil(blocks.max(1));
    let layout = Layout { ciphertexts, block, classes_per_group: shape.classes.div_ceil(groups) };
    if blocks == 0 {
        return None;
    }

    let leveled = leveled_noise(parameters, &shape, &layout);
    let fits = |widths: Option<Widths>| {
        let bound =
            leveled + widths.map_or(0, |widths| added_noise(parameters, &widths) + (1 << widths.flood));
        let response_bits = (t + 1..=t + 16).find(|&r| is_exact(parameters, t, r, bound))?;
        Some(Plan {
            shape,
            policy: Policy::Scores,
            hidden: None,
            grouping: None,
            privacy,
            parameters,
            layout,
            response_bits,
            widths,
            noise_bound: bound,
        })
    };
    let Some(base) = base else { return fits(None) };
    let floods = (parameters.noise_bits()..parameters.modulus_bits() - t).rev();
    floods.map(|flood| Widths { flood, ..base }).find_map(|widths| fits(Some(widths)))
}

/// What a bootstrapped circuit returns.
pub(super) struct Answer {
    pub(super) parameters: &'static Parameters,
    /// Bits t of a returned coefficient.
    pub(super) bits: u32,
    /// The noise of what is returned.
    pub(super) results: u128,
}

/// Widths, r and the bound of all noise.
pub(super) struct Fitted {
    widths: Widths,
    response_bits: u32,
    noise_bound: u128,
}

/// The largest flood that fits beside the noise of results, at the smallest r.
pub(super) fn bootstrapped(answer: &Answer) -> Option<Fitted> {
    let (parameters, t) = (answer.parameters, answer.bits);
    let base = base_widths(parameters, Privacy::Flooded, t)?;
    let floods = (parameters.noise_bits()..parameters.modulus_bits() - t).rev();
    floods.map(|flood| Widths { flood, ..base }).find_map(|widths| {
        let noise_bound = answer.results + added_noise(parameters, &widths) + (1 << widths.flood);
        let response_bits = (t + 1..=t + 16).find(|&r| is_exact(parameters, t, r, noise_bound))?;
        Some(Fitted { widths, response_bits, noise_bound })
    })
}

impl Fitted {
    pub(super) fn into_plan(
        self,
        shape: HeadShape,
        policy: Policy,
        hidden: Option<HiddenLayers>,
        parameters: &'static Parameters,
    ) -> Plan {
        let ciphertexts = shape.features.div_ceil(parameters.polynomial_size());
        // Each sum goes into a bootstrap of its own.
        let layout =
            Layout { ciphertexts, block: shape.features.div_ceil(ciphertexts), classes_per_group: 1 };
        Plan {
            shape,
            policy,
            hidden,
            grouping: None,
            privacy: Privacy::Flooded,
            parameters,
            layout,
            response_bits: self.response_bits,
            widths: Some(self.widths),
            noise_bound: self.noise_bound,
        }
    }
}

/// The widths that do not depend on the layout; the flood is filled in by the search. `None` where t leaves u less
/// than TUniform(1), under which the mask has no 128 bits.
///
/// `Flooded`: as wide as the bound allows, because a malformed request is told t + 1 bits of u in each coefficient.
/// At t = 24: u TUniform(4), e1 TUniform(10); their shares of the half step q/2^(t+1) are 1/128 and 1/16.
/// `Statistical`: fixed and narrow, so that the flood drowns u*e' and e1*s too; the mask then needs no argument about
/// hints, and is still wider than the encryption's own noise.
pub(super) fn base_widths(parameters: &Parameters, privacy: Privacy, t: u32) -> Option<Widths> {
    let b = parameters.noise_bits();
    if privacy == Privacy::Statistical {
        return Some(Widths { rerandomizer: 4, mask_noise: 8, body_noise: b, flood: 0 });
    }
    let half_step = parameters.modulus_bits() - t - 1;
    let n = parameters.polynomial_size().trailing_zeros();
    let rerandomizer = half_step.checked_sub(7 + n + b).filter(|width| *width >= 1)?;
    Some(Widths { rerandomizer, mask_noise: half_step - 4 - n, body_noise: b, flood: 0 })
}

/// The bits that a returned coefficient tells at most, whatever the request and the evaluation key: log2 q less those of
/// the flood. t + 1 where the flood is as wide as the plaintext leaves room for.
pub(super) fn told_bits(parameters: &Parameters, widths: &Widths) -> u32 {
    parameters.modulus_bits() - widths.flood - 1
}

/// A client that sends a malformed b' reads at most `told` bits from a returned coefficient, charged as told/(b_u+1)
/// coordinates of u given outright.
pub(super) fn hint_cap(widths: &Widths, told: u32) -> usize {
    HINTED_COORDINATES * (widths.rerandomizer as usize + 1) / told as usize
}

/// Noise of the product and of encoding: |e*w_g| <= 2^b * c*d*2^(b_w-1), half a unit for each encoded feature
/// times its weight, and half a unit for the bias.
pub(super) fn leveled_noise(parameters: &Parameters, shape: &HeadShape, layout: &Layout) -> u128 {
    let weights = (shape.features as u128) << (shape.weight_bits - 1);
    ((weights * layout.classes_per_group as u128) << parameters.noise_bits()) + weights / 2 + 1
}

/// Noise that re-randomization adds: |u*e'| <= N*2^b_u*2^b, |e1*s| <= N*2^b_e1, |e2|.
pub(super) fn added_noise(parameters: &Parameters, widths: &Widths) -> u128 {
    let n = parameters.polynomial_size() as u128;
    (n << (widths.rerandomizer + parameters.noise_bits()))
        + (n << widths.mask_noise)
        + (1 << widths.body_noise)
}

/// The noise that the flood hides up to the stated distance: what depends on weights, and for `Statistical` all of it.
pub(super) fn hidden_noise(
    parameters: &Parameters,
    shape: &HeadShape,
    privacy: Privacy,
    layout: &Layout,
    widths: &Widths,
) -> u128 {
    let added = if privacy == Privacy::Statistical { added_noise(parameters, widths) } else { 0 };
    leveled_noise(parameters, shape, layout) + added
}

/// K * shift / 2^(b_f+1) <= 2^-40: TUniform(b_f) and the same shifted by s differ by at most |s|/2^(b_f+1).
fn is_statistical(plan: &Plan) -> bool {
    let shape = &plan.shape;
    plan.widths.is_some_and(|widths| {
        let shift = hidden_noise(plan.parameters, shape, plan.privacy, &plan.layout, &widths);
        (shift * shape.classes as u128) << STATISTICAL_BITS <= 1 << (widths.flood + 1)
    })
}

/// (N+1)/2 + 2^r * bound/q < 2^(r-t-1), times 2q.
pub(super) fn is_exact(parameters: &Parameters, t: u32, r: u32, bound: u128) -> bool {
    let (n, q) = (parameters.polynomial_size() as u128, parameters.modulus());
    (n + 1) * q + (bound << (r + 1)) < q << (r - t)
}
