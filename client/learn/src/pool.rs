//! Whose sums are opened: those of one clinic alone, or those of several that show each other nothing but totals.

use crate::Error;

/// So many integers are asked for at once. A joint sum takes 65,536 places, and up to four for an integer.
pub const PART: usize = 16_384;

/// Sums over the patients of all clinics that learn together.
pub trait Pool {
    /// What can go wrong.
    type Error: From<Error>;

    /// The totals of all clinics for this question. A value of one clinic is at most `bound` in size, or this is an error.
    fn sum(&mut self, question: &str, values: &[i64], bound: u64) -> Result<Vec<i64>, Self::Error>;
}

/// One clinic alone: its sums are the totals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Pool for Alone {
    type Error = Error;

    fn sum(&mut self, _: &str, values: &[i64], bound: u64) -> Result<Vec<i64>, Error> {
        within(values, bound)?;
        Ok(values.to_vec())
    }
}

/// Clinics together, by a function that takes a name for what is asked, the integers of one clinic and their bound, and returns the sums
/// over all clinics: a joint sum.
///
/// It gets whole integers and never digits of them: sums of digits show the carries, which tell more than the total.
#[derive(Debug)]
pub struct Joint<F>(pub F);

impl<E: From<Error>, F: FnMut(&str, &[i64], u64) -> Result<Vec<i64>, E>> Pool for Joint<F> {
    type Error = E;

    fn sum(&mut self, question: &str, values: &[i64], bound: u64) -> Result<Vec<i64>, E> {
        within(values, bound)?;
        let mut totals = Vec::with_capacity(values.len());
        for (part, values) in values.chunks(PART).enumerate() {
            let sums = (self.0)(&format!("{question}, part {}", part + 1), values, bound)?;
            if sums.len() != values.len() {
                return Err(Error::Totals.into());
            }
            totals.extend(sums);
        }
        Ok(totals)
    }
}

fn within(values: &[i64], bound: u64) -> Result<(), Error> {
    match values.iter().all(|value| value.unsigned_abs() <= bound) {
        true => Ok(()),
        false => Err(Error::Overflow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_questions_are_asked_in_parts_and_wide_values_are_refused() {
        let mut asked = Vec::new();
        let mut pool = Joint(|question: &str, values: &[i64], bound| {
            asked.push((question.to_owned(), values.len(), bound));
            Ok::<_, Error>(values.iter().map(|value| 3 * value).collect())
        });
        let values: Vec<i64> = (0..PART as i64 + 2).collect();
        let totals = pool.sum("round 1", &values, 1 << 20).unwrap();
        assert!(totals.iter().enumerate().all(|(at, total)| *total == 3 * at as i64));
        assert_eq!(pool.sum("round 2", &[9], 8).unwrap_err(), Error::Overflow);
        let expected =
            [("round 1, part 1".to_owned(), PART, 1 << 20), ("round 1, part 2".to_owned(), 2, 1 << 20)];
        assert_eq!(asked, expected);
        assert_eq!(Alone.sum("", &[i64::MIN], 8).unwrap_err(), Error::Overflow);
        let mut short = Joint(|_: &str, _: &[i64], _| Ok::<_, Error>(Vec::new()));
        assert_eq!(short.sum("", &[1], 8).unwrap_err(), Error::Totals);
    }
}
