//! Eigenvalues and eigenvectors of a symmetric matrix, and the nearest one that has no negative eigenvalue.
//!
//! Householder's reduction to a tridiagonal matrix and the QL algorithm with implicit shifts (Bowdler, Martin, Reinsch and
//! Wilkinson 1968, as in EISPACK's tred2 and tql2): about 5 n³ operations.

use crate::{
    Error,
    linear::{Lower, add, dot},
};

/// Steps for one eigenvalue; a few are usual.
const STEPS: usize = 100;

/// A correlation matrix without negative eigenvalues: those are set to 0 and the diagonal scaled back to 1.
pub(crate) fn without_negative(matrix: &Lower) -> Result<Lower, Error> {
    let size = matrix.size();
    let (values, vectors) = eigen(matrix)?;
    // Rows of V sqrt(D): the products of two are entries.
    let mut rows = vec![vec![0.0; size]; size];
    for (at, (value, vector)) in values.iter().zip(&vectors).enumerate() {
        let root = value.max(0.0).sqrt();
        for (row, entry) in rows.iter_mut().zip(vector) {
            row[at] = root * entry;
        }
    }
    for row in &mut rows {
        let norm = dot(row, row).sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|entry| *entry /= norm);
        }
    }
    Ok(Lower::from_fn(size, |row, column| match row == column {
        true => 1.0,
        false => dot(&rows[row], &rows[column]).clamp(-1.0, 1.0),
    }))
}

/// Eigenvalues, and for each its vector of length 1.
pub(crate) fn eigen(matrix: &Lower) -> Result<(Vec<f64>, Vec<Vec<f64>>), Error> {
    let size = matrix.size();
    let mut columns: Vec<Vec<f64>> =
        (0..size).map(|column| (0..size).map(|row| matrix.at(row, column)).collect()).collect();
    if size == 0 {
        return Ok((Vec::new(), columns));
    }
    let (mut diagonal, mut beside) = (vec![0.0; size], vec![0.0; size]);
    reduce(&mut columns, &mut diagonal, &mut beside);
    diagonalize(&mut columns, &mut diagonal, &mut beside)?;
    Ok((diagonal, columns))
}

/// To tridiagonal form: `columns` becomes the transformation.
fn reduce(v: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64]) {
    let n = d.len();
    for (entry, column) in d.iter_mut().zip(v.iter()) {
        *entry = column[n - 1];
    }
    for i in (1..n).rev() {
        let scale: f64 = d[..i].iter().map(|entry| entry.abs()).sum();
        let mut h = 0.0;
        if scale == 0.0 {
            e[i] = d[i - 1];
            for j in 0..i {
                d[j] = v[j][i - 1];
                (v[j][i], v[i][j]) = (0.0, 0.0);
            }
        } else {
            d[..i].iter_mut().for_each(|entry| *entry /= scale);
            h = dot(&d[..i], &d[..i]);
            let f = d[i - 1];
            let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
            e[i] = scale * g;
            h -= f * g;
            d[i - 1] = f - g;
            e[..i].fill(0.0);
            for j in 0..i {
                let f = d[j];
                v[i][j] = f;
                let column = &v[j][j..i];
                e[j] += column[0] * f + dot(&column[1..], &d[j + 1..i]);
                add(&mut e[j + 1..i], f, &column[1..]);
            }
            e[..i].iter_mut().for_each(|entry| *entry /= h);
            let half = dot(&e[..i], &d[..i]) / (h + h);
            add(&mut e[..i], -half, &d[..i]);
            for j in 0..i {
                let (f, g) = (d[j], e[j]);
                add(&mut v[j][j..i], -f, &e[j..i]);
                add(&mut v[j][j..i], -g, &d[j..i]);
                d[j] = v[j][i - 1];
                v[j][i] = 0.0;
            }
        }
        d[i] = h;
    }
    for i in 0..n - 1 {
        v[i][n - 1] = v[i][i];
        v[i][i] = 1.0;
        let h = d[i + 1];
        let (before, after) = v.split_at_mut(i + 1);
        let next = &mut after[0];
        if h != 0.0 {
            for k in 0..=i {
                d[k] = next[k] / h;
            }
            for column in before {
                let g = dot(&next[..=i], &column[..=i]);
                add(&mut column[..=i], -g, &d[..=i]);
            }
        }
        next[..=i].fill(0.0);
    }
    for (entry, column) in d.iter_mut().zip(v.iter_mut()) {
        *entry = column[n - 1];
        column[n - 1] = 0.0;
    }
    v[n - 1][n - 1] = 1.0;
    e[0] = 0.0;
}

/// From tridiagonal to diagonal form.
fn diagonalize(v: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64]) -> Result<(), Error> {
    let n = d.len();
    e.rotate_left(1);
    e[n - 1] = 0.0;
    let (mut shift, mut size) = (0.0, 0.0f64);
    for l in 0..n {
        size = size.max(d[l].abs() + e[l].abs());
        let is_small = |entry: f64| entry.abs() <= f64::EPSILON * size;
        let m = (l..n).find(|&m| is_small(e[m])).unwrap_or(n - 1);
        let mut steps = 0;
        while m > l && !(steps > 0 && is_small(e[l])) {
            steps += 1;
            if steps > STEPS {
                return Err(Error::NotPositive);
            }
            let g = d[l];
            let p = (d[l + 1] - g) / (2.0 * e[l]);
            let r = libm::hypot(p, 1.0).copysign(p);
            d[l] = e[l] / (p + r);
            d[l + 1] = e[l] * (p + r);
            let next = d[l + 1];
            let h = g - d[l];
            d[l + 2..].iter_mut().for_each(|entry| *entry -= h);
            shift += h;
            let (mut p, mut c, mut c2, mut c3) = (d[m], 1.0, 1.0, 1.0);
            let (beside, mut s, mut s2) = (e[l + 1], 0.0, 0.0);
            for i in (l..m).rev() {
                (c3, c2, s2) = (c2, c, s);
                let (g, h) = (c * e[i], c * p);
                let r = libm::hypot(p, e[i]);
                e[i + 1] = s * r;
                (s, c) = (e[i] / r, p / r);
                p = c * d[i] - s * g;
                d[i + 1] = h + s * (c * g + s * d[i]);
                let (low, high) = v.split_at_mut(i + 1);
                for (a, b) in low[i].iter_mut().zip(&mut high[0]) {
                    (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
                }
            }
            p = -s * s2 * c3 * beside * e[l] / next;
            e[l] = s * p;
            d[l] = c * p;
        }
        d[l] += shift;
        e[l] = 0.0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_eigenvalues() {
        // 2 on the diagonal, -1 beside it: 2 - 2 cos(k pi / (n + 1)).
        let matrix = Lower::from_fn(9, |row, column| [2.0, -1.0].get(row - column).copied().unwrap_or(0.0));
        let mut values = eigen(&matrix).unwrap().0;
        values.sort_unstable_by(f64::total_cmp);
        for (at, value) in values.into_iter().enumerate() {
            let expected = 2.0 - 2.0 * (std::f64::consts::PI * (at + 1) as f64 / 10.0).cos();
            assert!((value - expected).abs() < 1e-13);
        }
        assert_eq!(eigen(&Lower::from_fn(0, |_, _| 0.0)).unwrap().0, [0.0; 0]);
        assert_eq!(eigen(&Lower::from_fn(1, |_, _| 3.0)).unwrap().0, [3.0]);
    }

    #[test]
    fn negative_eigenvalues_go() {
        // Correlations that no three variables have.
        let matrix = Lower::from_fn(3, |row, column| {
            if row == column {
                1.0
            } else if row == 2 && column == 0 {
                -0.9
            } else {
                0.9
            }
        });
        assert!(eigen(&matrix).unwrap().0.iter().any(|&value| value < -0.1));
        let cleaned = without_negative(&matrix).unwrap();
        assert!(eigen(&cleaned).unwrap().0.iter().all(|&value| value > -1e-12));
        cleaned.shrunk(1e-3).cholesky().unwrap();
        // One that has none stays.
        let good = Lower::from_fn(3, |row, column| if row == column { 1.0 } else { 0.4 });
        let same = without_negative(&good).unwrap();
        assert!(same.beside().all(|entry| (entry - 0.4).abs() < 1e-12));
    }

    proptest! {
        #[test]
        fn vectors_and_values_make_the_matrix(size in 1usize..16, entries in prop::collection::vec(-3i32..4, 16 * 17 / 2)) {
            let matrix = Lower::from_fn(size, |row, column| f64::from(entries[row * (row + 1) / 2 + column]));
            let (values, vectors) = eigen(&matrix).unwrap();
            for row in 0..size {
                for column in 0..size {
                    let back: f64 = (0..size).map(|k| values[k] * vectors[k][row] * vectors[k][column]).sum();
                    prop_assert!((back - matrix.at(row, column)).abs() < 1e-10);
                    let product = dot(&vectors[row], &vectors[column]);
                    prop_assert!((product - f64::from(u8::from(row == column))).abs() < 1e-10);
                }
            }
        }
    }
}
