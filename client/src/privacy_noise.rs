//! Noise of this clinic's numbers in a joint sum: all that its patients need, whoever else takes part and pools what they have.
//!
//! The discrete Gaussian where there is a delta, with the variance that its zero-concentrated cost asks for; else the discrete Laplace
//! distribution, which is epsilon-differentially private and costs epsilon²/2 (Bun and Steinke 2016, proposition 1.4). Both are drawn
//! exactly, from the operating system's entropy.

use tiresias_synth::{
    Budget, Seed,
    discrete::{MAXIMUM_VARIANCE, Noise},
};
use zeroize::Zeroizing;

use crate::{Error, cli::NoiseArgs, error::Learning, privacy_ledger::PrivacyLedger};

/// Parts of one that an epsilon is counted in for Laplace noise, rounded down.
const PARTS: f64 = 1000.0;

/// How noise is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mechanism {
    Gaussian {
        variance: u64,
        rho: f64,
    },
    /// With the scale above / below.
    Laplace {
        above: u32,
        below: u32,
        rho: f64,
    },
}

/// A mechanism whose cost stands in the ledger.
#[derive(Debug)]
pub(crate) struct Charged(Mechanism);

impl Mechanism {
    /// What is asked for, if noise is.
    pub(crate) fn of(args: &NoiseArgs) -> Result<Option<Self>, Error> {
        let (Some(epsilon), Some(sensitivity)) = (args.epsilon, args.sensitivity) else {
            return Ok(None);
        };
        // The range of epsilons, with a delta of any size in its own range where there is none.
        let budget = Budget::new(epsilon, args.delta.unwrap_or(1e-9));
        let budget =
            budget.map_err(|source| Error::from(Learning::Round(tiresias_learn::Error::from(source))))?;
        if args.delta.is_none() {
            let (above, below) = (sensitivity.saturating_mul(PARTS as u32), (epsilon * PARTS) as u32);
            let epsilon = f64::from(below) / PARTS;
            return Ok(Some(Self::Laplace { above, below, rho: epsilon * epsilon / 2.0 }));
        }
        let square = f64::from(sensitivity) * f64::from(sensitivity);
        let variance = (square / (2.0 * budget.rho())).ceil().max(1.0);
        if variance > MAXIMUM_VARIANCE as f64 {
            return Err(Error::Usage("--epsilon is too small for so large a --sensitivity"));
        }
        Ok(Some(Self::Gaussian { variance: variance as u64, rho: square / (2.0 * variance) }))
    }

    /// Charges the ledger.
    pub(crate) fn charge(self, args: &NoiseArgs, label: &str) -> Result<Charged, Error> {
        let (Self::Gaussian { rho, .. } | Self::Laplace { rho, .. }) = self;
        PrivacyLedger::of(&args.ledger)?.charge(&format!("tiresias joint sum: {label}"), rho)?;
        Ok(Charged(self))
    }
}

impl Charged {
    /// Adds noise. What it moves out of the bound is moved back, which tells nothing more.
    pub(crate) fn add(self, values: &[i64], bound: u64) -> Result<Vec<i64>, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(tiresias_secret_key::Error::from)?;
        let mut noise = Noise::new(&Seed::from_bytes(*seed));
        let bound = i64::try_from(bound).unwrap_or(i64::MAX);
        let noisy = values.iter().map(|value| {
            let drawn = match self.0 {
                Mechanism::Gaussian { variance, .. } => noise.gaussian(variance),
                Mechanism::Laplace { above, below, .. } => noise.laplace(above, below),
            };
            value.saturating_add(drawn).clamp(-bound, bound)
        });
        Ok(noisy.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::LedgerArgs;

    fn args(epsilon: f64, delta: Option<f64>, sensitivity: u32) -> NoiseArgs {
        NoiseArgs {
            epsilon: Some(epsilon),
            delta,
            sensitivity: Some(sensitivity),
            ledger: LedgerArgs::default(),
        }
    }

    #[test]
    fn mechanisms_written_out() {
        let laplace = Mechanism::of(&args(0.5, None, 3)).unwrap().unwrap();
        assert_eq!(laplace, Mechanism::Laplace { above: 3000, below: 500, rho: 0.125 });
        // rho is 0.0208199 for epsilon 1 and delta 1e-5: 9 / (2 rho) is 216.1.
        let gaussian = Mechanism::of(&args(1.0, Some(1e-5), 3)).unwrap().unwrap();
        assert_eq!(gaussian, Mechanism::Gaussian { variance: 217, rho: 9.0 / 434.0 });
        assert!(
            Mechanism::of(&args(0.001, None, 3)).is_err() && Mechanism::of(&args(1.0, Some(0.5), 3)).is_err()
        );
        assert!(Mechanism::of(&args(0.01, Some(1e-9), 1000)).is_ok());
        assert!(Mechanism::of(&args(0.01, Some(1e-9), 1_000_000)).is_err());
        assert!(Mechanism::of(&NoiseArgs { epsilon: None, ..args(1.0, None, 1) }).unwrap().is_none());
        assert!(laplace.charge(&args(0.5, None, 3), "a test").is_err());
    }

    #[test]
    fn noise_is_as_wide_as_it_should_be_and_stays_within_the_bound() {
        for (mechanism, variance) in [
            (Mechanism::Gaussian { variance: 217, rho: 0.0 }, 217.0),
            // Of the discrete Laplace distribution: 1 / (cosh(1 / scale) - 1).
            (Mechanism::Laplace { above: 3000, below: 500, rho: 0.0 }, 1.0 / ((1.0f64 / 6.0).cosh() - 1.0)),
        ] {
            let noisy = Charged(mechanism).add(&[7; 20_000], 1 << 40).unwrap();
            let square = noisy.iter().map(|value| (value - 7).pow(2) as f64).sum::<f64>() / 20_000.0;
            // The kurtosis is at most 6: eight standard errors, for these draws are different each time.
            assert!(
                (square / variance - 1.0).abs() < 8.0 * (5.0f64 / 20_000.0).sqrt(),
                "{square} for {variance}"
            );
            let near = Charged(mechanism).add(&[7; 1000], 8).unwrap();
            assert!(near.iter().all(|value| value.abs() <= 8));
        }
    }
}
