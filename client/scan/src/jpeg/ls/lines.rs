//! Lines: runs where all around is flat, and samples one by one (T.87, A.7 and B).

use super::{
    bits::Bits,
    model::{Around, Model, Place},
};

/// Bits of a run's length, by how well runs went before.
const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The line of a component and the one above it, each with a sample more on both sides.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    current: Vec<i32>,
    above: Vec<i32>,
    run_index: usize,
}

impl Plane {
    pub(super) fn new(columns: usize) -> Self {
        Self { current: vec![0; columns + 2], above: vec![0; columns + 2], run_index: 0 }
    }

    /// The samples of the line.
    pub(super) fn line(&self) -> &[i32] {
        &self.current[1..self.current.len() - 1]
    }

    /// Makes the line the one above the next.
    fn turn(&mut self) {
        std::mem::swap(&mut self.current, &mut self.above);
        let end = self.above.len() - 1;
        self.above[end] = self.above[end - 1];
        self.current[0] = self.above[1];
    }

    fn around(&self, at: usize) -> Around {
        let [a, b, c, d] = [self.current[at - 1], self.above[at], self.above[at - 1], self.above[at + 1]];
        Around { a, b, c, d }
    }
}

/// Decodes the next line of components whose samples alternate, or of one.
pub(super) fn decode(planes: &mut [Plane], model: &mut Model, bits: &mut Bits<'_>) -> Option<()> {
    planes.iter_mut().for_each(Plane::turn);
    let is_alone = planes.len() == 1;
    let end = planes.first()?.current.len() - 1;
    let mut at = 1;
    while at < end {
        if planes.iter().all(|plane| model.place(plane.around(at)).is_flat()) {
            // Components whose samples alternate run together.
            let index = &mut planes.first_mut()?.run_index;
            let length = run(end - at, index, bits)?;
            let run_bits = RUN_BITS[*index];
            for plane in &mut *planes {
                let left = plane.current[at - 1];
                plane.current[at..at + length].fill(left);
            }
            at += length;
            if at == end {
                break;
            }
            for plane in &mut *planes {
                let beside = (plane.current[at - 1], plane.above[at]);
                plane.current[at] = model.after_run(beside, is_alone, run_bits, bits)?;
            }
            let index = &mut planes.first_mut()?.run_index;
            *index = index.saturating_sub(1);
        } else {
            for plane in &mut *planes {
                let around = plane.around(at);
                let place: Place = model.place(around);
                plane.current[at] = model.regular(place, around, bits)?;
            }
        }
        at += 1;
    }
    Some(())
}

/// The length of a run, up to the samples that are left in the line.
fn run(left: usize, index: &mut usize, bits: &mut Bits<'_>) -> Option<usize> {
    let mut length = 0;
    while bits.read(1)? == 1 {
        let whole = 1 << RUN_BITS[*index];
        if length + whole > left {
            return Some(left);
        }
        length += whole;
        *index = (*index + 1).min(31);
        if length == left {
            return Some(left);
        }
    }
    length += bits.read(RUN_BITS[*index])? as usize;
    Some(length).filter(|length| *length <= left)
}
