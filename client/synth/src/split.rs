//! Rows to learn from and rows to test on.
//!
//! A row's part follows from the row alone: SHA-256 of the seed, its class and its values, whose first 8 bytes are held
//! against the share. So equal rows are never on both sides, and one row more or less moves no other.

use sha2::{Digest as _, Sha256};

use crate::{Error, Rows, Seed};

/// Splits off about a share of the rows to test on; returns the others first.
pub fn split(rows: &Rows, test_share: f64, seed: &Seed) -> Result<(Rows, Rows), Error> {
    if !(0.01..=0.9).contains(&test_share) {
        return Err(Error::Share);
    }
    let tested: Vec<bool> = rows
        .iter()
        .zip(rows.labels())
        .map(|(row, &label)| {
            let mut hash =
                Sha256::new().chain_update(b"tiresias/synth-split/v1").chain_update(seed.as_bytes());
            hash.update((rows.classes()[label].len() as u64).to_le_bytes());
            hash.update(&rows.classes()[label]);
            for value in row {
                // One zero.
                hash.update((value + 0.0).to_le_bytes());
            }
            let digest: [u8; 32] = hash.finalize().into();
            let [a, b, c, d, e, f, g, h, ..] = digest;
            (u64::from_le_bytes([a, b, c, d, e, f, g, h]) as f64) < test_share * 2f64.powi(64)
        })
        .collect();
    Ok((rows.filtered(|row| !tested[row])?, rows.filtered(|row| tested[row])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Rows {
        let values = (0..4000).map(|at| f64::from(at % 1000)).collect();
        Rows::new(values, 2, (0..2000).map(|row| row % 2).collect(), vec!["a".into(), "b".into()]).unwrap()
    }

    #[test]
    fn equal_rows_stay_together_and_shares_are_kept() {
        let (train, test) = split(&example(), 0.3, &1.into()).unwrap();
        assert_eq!(train.len() + test.len(), 2000);
        // 500 different rows, each four times.
        assert!((480..720).contains(&test.len()) && test.len() % 4 == 0, "{}", test.len());
        assert!(test.iter().all(|row| train.iter().all(|other| other != row)));
        let (again, _) = split(&example(), 0.3, &1.into()).unwrap();
        let (other, _) = split(&example(), 0.3, &2.into()).unwrap();
        assert!(again == train && other != train);
    }

    #[test]
    fn one_row_less_moves_no_other() {
        let less = example().filtered(|row| row != 77).unwrap();
        let (all, less) = (split(&example(), 0.5, &3.into()).unwrap(), split(&less, 0.5, &3.into()).unwrap());
        assert_eq!(all.0.len() + all.1.len(), less.0.len() + less.1.len() + 1);
        assert!(all.0.len() - less.0.len() + all.1.len() - less.1.len() == 1);
    }

    #[test]
    fn splits_that_are_none_are_refused() {
        for share in [0.0, 1.0, -0.5, f64::NAN] {
            assert_eq!(split(&example(), share, &1.into()).unwrap_err(), Error::Share);
        }
        let tiny = example().filtered(|row| row == 0).unwrap();
        assert_eq!(split(&tiny, 0.5, &1.into()).unwrap_err(), Error::EmptyPart);
    }
}
