//! Medians, spreads and ratios of interleaved rounds.

/// The value below which `share` of the values lie; NaN of none.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// The median.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// How many times as large one series is as another that was measured in the same rounds.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// Ratio of the medians.
    pub medians: f64,
    /// The lower end of the middle 80 % of the ratios of single rounds.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Ratio {
    /// `over` / `under`.
    #[must_use]
    pub fn new(over: &[f64], under: &[f64]) -> Self {
        let rounds: Vec<f64> = over.iter().zip(under).map(|(over, under)| over / under).collect();
        Self {
            medians: median(over) / median(under),
            low: quantile(&rounds, 0.1),
            high: quantile(&rounds, 0.9),
        }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.medians, self.low, self.high)
    }
}
