//! Programmable bootstrapping, in exact integers modulo the prime of the leveled path (Chillotti, Gama, Georgieva,
//! Izabachene: TFHE, J. Cryptology 2020; groups of two key bits after Joye and Paillier, CSCML 2022).
//!
//! [`PreparedKey::bootstrap`] takes an LWE ciphertext under the N coefficients of the GLWE key, of some phase in Z_q, and
//! gives one of the value that a table holds for this phase:
//!
//! ```text
//! LWE(phase), dimension N, modulo q
//!   keyswitch  -> dimension n, modulo 2^32
//!   switch     -> a position on the circle of 2N, with an error of a few places
//!   rotate     -> the table, a polynomial, turned by that position: GLWE(X^-position * table)
//!   extract    -> its constant coefficient: LWE(table[position]), dimension N, modulo q
//! ```
//!
//! Everything is exact integer arithmetic: the same inputs give the same bytes on every processor, and the error of a
//! position and the noise of a result have closed forms. No floating point takes part.
//!
//! Modules in reading order: [`LweCiphertext`] in `lwe`, [`Table`] in `table`, [`PreparedKey`] in `prepared`, `keyswitch`,
//! `switch`, `rotate`, `monomial`, [`noise`], [`Kernel`] in `kernel`, the arithmetic that is chosen for the processor, and
//! [`Backend`], what a circuit asks for bootstraps: this processor, or a device.

mod backend;
mod kernel;
mod keyswitch;
mod lwe;
mod monomial;
pub mod noise;
mod prepared;
mod rotate;
mod switch;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use backend::{Backend, Cpu};
pub use kernel::Kernel;
pub use lwe::LweCiphertext;
pub use monomial::twiddles;
pub use prepared::PreparedKey;
pub use table::Table;

/// Ciphertexts that one core takes through the key together: enough to read each part of the key from cache, and few
/// enough to stay there themselves.
const BATCH: usize = 8;

impl PreparedKey {
    /// Bootstraps each input with its table, on up to `threads` threads. Results are in the order of the inputs, and
    /// the same for any number of threads.
    #[must_use]
    pub fn bootstrap(&self, inputs: &[(&LweCiphertext, &Table)], threads: usize) -> Vec<LweCiphertext> {
        let share = inputs.len().div_ceil(threads.max(1)).max(1);
        let work = |part: &[(&LweCiphertext, &Table)]| -> Vec<LweCiphertext> {
            part.chunks(BATCH).flat_map(|batch| self.bootstrap_batch(batch)).collect()
        };
        if share >= inputs.len() {
            return work(inputs);
        }
        std::thread::scope(|scope| {
            let running: Vec<_> = inputs.chunks(share).map(|part| scope.spawn(move || work(part))).collect();
            running
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn bootstrap_batch(&self, batch: &[(&LweCiphertext, &Table)]) -> Vec<LweCiphertext> {
        let inputs: Vec<&LweCiphertext> = batch.iter().map(|(input, _)| *input).collect();
        let switched = self.keyswitch(&inputs);
        let positions: Vec<_> = switched.iter().map(|lwe| self.switch(lwe)).collect();
        let tables: Vec<&Table> = batch.iter().map(|(_, table)| *table).collect();
        self.rotate(&positions, &tables)
    }
}
