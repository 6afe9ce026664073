//! Programmable bootstrapping, in exact integers modulo the prime of the leveled path (Chillotti, Gama, Georgieva,
//! Izabachene: TFHE, J. Cryptology 2020).
//!
//! An LWE ciphertext of dimension N modulo q is switched to dimension n modulo 2^32 (`keyswitch`), its coefficients are
//! rounded to positions on the circle of 2N (`switch`), and a polynomial that holds a table is multiplied by X to the
//! power of minus its phase (`rotate`): coefficient 0 of the result is the table's value there, under the first key again.
//!
//! Modules in reading order: [`PreparedKey`] in `prepared`.

mod prepared;

pub use prepared::PreparedKey;
