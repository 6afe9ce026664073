//! Whether a run's canaries and combinations were answered as they must be.

use super::{CanaryFile, Mix, Role, combination::intercepts, expected::rows_q};
use crate::{Model, finding::Finding};

/// What a run's own vectors say of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Canaries that were answered.
    pub canaries: usize,
    /// Places of those that were answered wrongly.
    pub wrong: Vec<usize>,
    /// Combinations of which all three vectors were answered.
    pub combinations: Vec<Combined>,
    /// Which of them do not hold.
    pub failed: Vec<usize>,
}

/// An answered combination.
#[derive(Clone, PartialEq, Eq)]
pub struct Combined {
    /// Places of x, c and x + c.
    pub places: [usize; 3],
    /// The answer to a vector of zeros that they imply.
    pub intercepts_q: Vec<i64>,
}

impl std::fmt::Debug for Combined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Combined").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Verdict {
    /// Whether any answer was wrong.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        !self.wrong.is_empty() || !self.failed.is_empty()
    }

    /// What two combinations or more agree on, where nothing is wrong.
    #[must_use]
    pub fn agreed(&self) -> Option<&[i64]> {
        let agreed = self.combinations.first().filter(|_| self.combinations.len() > 1 && !self.is_alarm());
        agreed.map(|combined| combined.intercepts_q.as_slice())
    }
}

/// Judges the findings of a run's vectors, in the order of the mix, as far as they were answered.
#[must_use]
pub fn judge(file: &CanaryFile, mix: &Mix<'_>, model: &Model, findings: &[&Finding]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut parts = vec![[None; 3]; mix.combined().len()];
    for (at, (role, finding)) in mix.roles().zip(findings).enumerate() {
        let with_x = mix.combined().iter().zip(&mut parts).filter(|(x, _)| **x == role);
        with_x.for_each(|(_, parts)| parts[0] = Some(at));
        match role {
            Role::Patient(_) => {}
            Role::Canary(number) => {
                verdict.canaries += 1;
                let is_right = |expected: &super::Expected| expected.agrees(finding, model);
                if !file.canaries().get(number).is_some_and(|canary| is_right(&canary.expected)) {
                    verdict.wrong.push(at);
                }
            }
            Role::Mask(number) => parts[number][1] = Some(at),
            Role::Sum(number) => parts[number][2] = Some(at),
        }
    }
    for parts in parts {
        let [Some(x), Some(c), Some(sum)] = parts else { continue };
        let rows =
            [x, c, sum].map(|at| findings.get(at).and_then(|finding| rows_q(finding)).unwrap_or_default());
        let intercepts_q = intercepts(&rows[0], &rows[1], &rows[2]);
        verdict.combinations.push(Combined { places: [x, c, sum], intercepts_q });
    }
    let rows_per_class = model.card().plan().rows_per_class();
    let agreed = file.intercepts_q().map(<[i64]>::to_vec).or_else(|| majority(&verdict.combinations));
    let holds = |combined: &Combined| {
        // The contributions of groups have no bias.
        let mut groups = combined.intercepts_q.iter().enumerate().filter(|(at, _)| at % rows_per_class != 0);
        Some(&combined.intercepts_q) == agreed.as_ref() && groups.all(|(_, intercept)| *intercept == 0)
    };
    let failed = verdict.combinations.iter().enumerate().filter(|(_, combined)| !holds(combined));
    verdict.failed = failed.map(|(number, _)| number).collect();
    verdict
}

/// What more than half of the combinations say.
fn majority(combinations: &[Combined]) -> Option<Vec<i64>> {
    let count =
        |one: &Combined| combinations.iter().filter(|other| other.intercepts_q == one.intercepts_q).count();
    let found = combinations.iter().find(|combined| 2 * count(combined) > combinations.len());
    found.map(|combined| combined.intercepts_q.clone())
}

#[cfg(test)]
mod tests;
