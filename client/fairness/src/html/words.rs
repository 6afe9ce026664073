//! What the page says in words.

use crate::Audit;

/// What the summary's figures are.
pub(super) fn what_it_says(audit: &Audit) -> String {
    let drawn = match audit.resamples {
        0 => "No intervals were computed.".to_owned(),
        times => format!("Below each, the middle 95 % of {times} draws of rows with replacement."),
    };
    format!(
        "Difference: the highest rate of any group less the lowest. Ratio: the lowest divided by the highest. {drawn} A difference \
         cannot be below zero, so by chance alone it lies above it: more so the more groups there are and the smaller they are. \
         Groups whose rate is of fewer than {} rows are not compared; they are named below.",
        audit.min_cell
    )
}

pub(super) const NOT_SHOWN: [&str; 8] = [
    "<b>Whether the truth is fair.</b> All rates but the selection rate are measured against the truth that was given. Where that \
     is biased (who was tested, who was coded, who was missed), a model that repeats the bias looks fair here.",
    "<b>Why.</b> A difference says that groups are treated unlike, not that belonging to a group is the cause. Age, severity, scanner or \
     referral may stand behind it. No causal claim is made.",
    "<b>That all is fair at once.</b> Where groups differ in how many have the class, equal selection rates, equal error rates and equal \
     predictive values cannot all hold unless the model is perfect (Kleinberg 2016, Chouldechova 2017). Which of them matters is a \
     decision for people, made before looking.",
    "<b>Small groups.</b> Groups below the minimum are named, not judged. That nothing is said of them is not good news.",
    "<b>Groups that no column has.</b> Who is not recorded, or recorded wrongly, is not seen.",
    "<b>Patients.</b> Rows are taken as independent. Where one patient has several, the intervals are too narrow.",
    "<b>Other places and times.</b> These are the rows of this file.",
    "<b>Harm and benefit.</b> A missed finding and a false alarm count alike in accuracy. For patients they do not.",
];

pub(super) const HOW: [&str; 8] = [
    "Rates have Wilson's score interval. Differences from the reference group have Newcombe's hybrid score interval (method 10). Intervals are \
     95 % and each stands alone.",
    "Demographic parity compares selection rates, equal opportunity true positive rates, predictive parity positive predictive values, \
     equal accuracy accuracies, equalized odds true and false positive rates, whichever is further apart. The statistical parity \
     difference is a group's selection rate less the reference group's, the equal opportunity difference the same of true positive rates.",
    "Intervals of the highest less the lowest rate, and of their ratio, are percentiles of the bootstrap: rows are drawn with replacement, \
     as many as there are, by SplitMix64 from the seed. Draws in which a compared group has no row that a rate is of are left out.",
    "With more than two classes, each is looked at against all others together.",
    "Rows that were left to a human count for the base rate and the rate of decisions left to a human, and for no other rate.",
    "Calibration: bins of equal width, a score on an edge in the bin below. The expected calibration error is the mean distance of a bin's \
     mean score from the share that has the class, weighted by rows; it has no interval and is biased upwards for small groups. The \
     Brier score has a normal interval.",
    "The Gini coefficient is half the mean absolute difference divided by the mean, over all groups. Shannon's diversity is in nats, evenness \
     is Pielou's: divided by the logarithm of the number of groups that have anything.",
    "Proposed thresholds: of all choices of one threshold a group that leave true and false positive rates within the tolerance, the one \
     with the most right decisions. Of groups with many scores, evenly many by rank are looked at.",
];

pub(super) const PROPOSAL: [&str; 3] = [
    "<strong>Proposal, not applied.</strong> Decisions by these thresholds would bring true and false positive rates of groups together. \
     Nothing here changes a decision.",
    "The thresholds were chosen on these very rows, so on new patients they do worse than \"proposed\" says; \"on other rows\" is the honest \
     figure: chosen on one half, measured on the other.",
    "To decide by a group that a patient belongs to can itself be unlawful discrimination, and makes decisions worse for some. It needs a clinical, \
     an ethical and a legal judgement. A better model or better data is often the better answer.",
];
