//! How features of one class hang together: correlations of their normal scores, shrunk.
//!
//! The normal score of a value is the normal quantile at its rank over n + 1, ties at their mean rank. The correlation matrix R
//! of scores is drawn towards the identity, (1 - w) R + w I, with the weight w that Schäfer and Strimmer (2005) estimate in
//! the manner of Ledoit and Wolf: the summed variances of the entries over their summed squares. At least
//! [`LEAST_WEIGHT`], which makes the matrix positive definite whatever the number of rows.

use crate::{linear::Lower, normal};

/// The weight of the identity, at least.
pub(crate) const LEAST_WEIGHT: f64 = 1e-4;

/// Rows whose products are summed at once, so that they stay in a cache.
const BLOCK: usize = 256;

/// Ranks of values from 1, ties at their mean.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let before = order.partition_point(|&at| values[at] < values[tied[0]]);
        let mean = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        for &at in tied {
            ranks[at] = mean;
        }
    }
    ranks
}

/// Normal scores with mean 0 and mean square 1; zeros where all values are the same.
pub(crate) fn scores(values: &[f64]) -> Vec<f64> {
    let beyond = values.len() as f64 + 1.0;
    standardized(ranks(values).into_iter().map(|rank| normal::quantile(rank / beyond)).collect())
}

/// The same numbers with mean 0 and mean square 1; zeros where all are the same.
pub(crate) fn standardized(mut values: Vec<f64>) -> Vec<f64> {
    let (mean, deviation) = moments(&values);
    for value in &mut values {
        *value = if deviation > 0.0 { (*value - mean) / deviation } else { 0.0 };
    }
    values
}

/// Mean and standard deviation (over n) of numbers; the deviation is exactly 0 where all are the same.
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    if values.iter().all(|&value| value == values[0]) {
        return (values[0], 0.0);
    }
    // Scaled, so that large numbers do not overflow.
    let scale = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let mean = values.iter().map(|value| value / scale).sum::<f64>() / n;
    let square = values.iter().map(|value| (value / scale - mean).powi(2)).sum::<f64>() / n;
    (mean * scale, square.sqrt() * scale)
}

/// Correlations of standardized columns, and what their variances sum to over all pairs.
pub(crate) fn correlations(columns: &[Vec<f64>]) -> (Lower, f64) {
    let rows = columns.first().map_or(0, Vec::len);
    let size = columns.len();
    let mut sums = vec![[0.0; 2]; size * (size + 1) / 2];
    for start in (0..rows).step_by(BLOCK) {
        let end = rows.min(start + BLOCK);
        let mut sums = sums.iter_mut();
        for row in 0..size {
            for (column, sum) in (0..=row).zip(&mut sums) {
                let [products, squares] = products(&columns[row][start..end], &columns[column][start..end]);
                sum[0] += products;
                sum[1] += squares;
            }
        }
    }
    let n = rows as f64;
    let entry = |row: usize, column: usize| match row == column {
        true => 1.0,
        false => (sums[row * (row + 1) / 2 + column][0] / n).clamp(-1.0, 1.0),
    };
    let matrix = Lower::from_fn(size, entry);
    let mut variances = 0.0;
    for row in 1..size {
        for [products, squares] in &sums[row * (row + 1) / 2..][..row] {
            variances += n / (n - 1.0).powi(3) * (squares - products * products / n).max(0.0);
        }
    }
    (matrix, variances)
}

/// The weight of the identity for a correlation matrix whose entries beside the diagonal have variances with this sum.
pub(crate) fn weight(matrix: &Lower, variances: f64) -> f64 {
    let squares: f64 = matrix.beside().map(|entry| entry * entry).sum();
    let weight = if squares > 0.0 { variances / squares } else { 1.0 };
    weight.clamp(LEAST_WEIGHT, 1.0)
}

/// Sums of products and of squared products, in eight lanes.
fn products(a: &[f64], b: &[f64]) -> [f64; 2] {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let (mut sums, mut squares) = ([0.0; 8], [0.0; 8]);
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            let product = a[lane] * b[lane];
            sums[lane] += product;
            squares[lane] += product * product;
        }
    }
    let mut total = [sums.iter().sum(), squares.iter().sum()];
    for (a, b) in a_rest.iter().zip(b_rest) {
        total[0] += a * b;
        total[1] += (a * b).powi(2);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Stream};

    #[test]
    fn ties_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
        assert_eq!(scores(&[5.0; 4]), [0.0; 4]);
        let scores = scores(&[2.0, 9.0, 4.0]);
        assert_eq!((scores[0], scores[2]), (-scores[1], 0.0));
    }

    #[test]
    fn moments_do_not_overflow() {
        let (mean, deviation) = moments(&[1e300, -1e300, 1e300, -1e300]);
        assert_eq!((mean, deviation), (0.0, 1e300));
        assert_eq!(moments(&[0.1; 7]), (0.1, 0.0));
    }

    #[test]
    fn correlations_of_a_known_gaussian_come_back() {
        // Correlations 0.8, 0.3, 0 through monotone functions, which change no rank.
        let mut stream = Stream::new(&4.into(), Purpose::Sample, 0);
        let mut columns = vec![Vec::new(); 3];
        for _ in 0..20_000 {
            let [a, b, c] = [(); 3].map(|()| normal::quantile(stream.uniform()));
            let second = 0.8 * a + 0.6 * b;
            let third = 0.3 * a - 0.4 * b + 0.75f64.sqrt() * c;
            columns[0].push(a.exp());
            columns[1].push(second.powi(3));
            columns[2].push(1e6 * third);
        }
        let columns: Vec<_> = columns.iter().map(|column| scores(column)).collect();
        let (matrix, variances) = correlations(&columns);
        for ((row, column), expected) in [((1, 0), 0.8), ((2, 0), 0.3), ((2, 1), 0.0)] {
            // Three standard errors are 0.021.
            assert!((matrix.at(row, column) - expected).abs() < 0.021, "{}", matrix.at(row, column));
        }
        assert!(weight(&matrix, variances) < 0.001);
        let noise: Vec<Vec<f64>> =
            (0..30).map(|_| scores(&(0..20).map(|_| stream.uniform()).collect::<Vec<_>>())).collect();
        let (matrix, variances) = correlations(&noise);
        let weight = weight(&matrix, variances);
        assert!(weight > 0.6, "{weight}");
        matrix.shrunk(weight).cholesky().unwrap();
        // Fewer rows than features, and the least weight.
        matrix.shrunk(LEAST_WEIGHT).cholesky().unwrap();
    }
}
