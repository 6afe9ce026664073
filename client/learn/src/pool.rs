//! Whose sums are opened: those of one clinic alone, or those of several that show each other nothing but totals.

use crate::{
    Error,
    fixed::{Limbs, VALUE_BITS},
};

/// Sums over the patients of all clinics that learn together.
pub trait Pool {
    /// What can go wrong.
    type Error: From<Error>;

    /// The totals of all clinics for this question. Each total is below 2^(bits - 1) in size, or this is an error.
    fn sum(&mut self, question: &str, values: &[i128], bits: u32) -> Result<Vec<i128>, Self::Error>;
}

/// One clinic alone: its sums are the totals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Pool for Alone {
    type Error = Error;

    fn sum(&mut self, _: &str, values: &[i128], bits: u32) -> Result<Vec<i128>, Error> {
        within(values, bits)?;
        Ok(values.to_vec())
    }
}

/// Clinics together, by a function that takes the integers of one clinic and returns the sums over all of them: a joint sum.
#[derive(Debug)]
pub struct Joint<F> {
    sum: F,
    clinics: u32,
    /// How wide a sum may be, with its sign.
    sum_bits: u32,
}

impl<F> Joint<F> {
    /// `sum` gets a name for what is asked, and integers of which each sum over `clinics` of them is below 2^(`sum_bits` - 1) in size.
    pub fn new(clinics: u32, sum_bits: u32, sum: F) -> Result<Self, Error> {
        // Refused here, before anything is sent.
        Limbs::new(VALUE_BITS, sum_bits, clinics)?;
        Ok(Self { sum, clinics, sum_bits })
    }
}

impl<E: From<Error>, F: FnMut(&str, &[i64]) -> Result<Vec<i64>, E>> Pool for Joint<F> {
    type Error = E;

    fn sum(&mut self, question: &str, values: &[i128], bits: u32) -> Result<Vec<i128>, E> {
        let limbs = Limbs::new(bits, self.sum_bits, self.clinics)?;
        let totals = (self.sum)(question, &limbs.split(values)?)?;
        let totals = limbs.join(&totals, values.len())?;
        within(&totals, bits)?;
        Ok(totals)
    }
}

fn within(values: &[i128], bits: u32) -> Result<(), Error> {
    let limit = 1i128 << (bits - 1).min(126);
    match values.iter().all(|value| (-limit..limit).contains(value)) {
        true => Ok(()),
        false => Err(Error::Overflow),
    }
}
