//! Adding up what the digits of scalars name.

use super::{
    digits::Split,
    point::{Jacobian, compress},
    table::{BLOCK_BITS, BLOCKS, GENERATOR, Table},
};
use crate::curve::Compressed;

const OFFSETS: usize = BLOCK_BITS as usize;
const TERMS: usize = 2;
/// At one offset each half of each scalar has at most one digit a block; position 128 is offset 0 once more.
const STEPS_MAX: usize = TERMS * 2 * (BLOCKS + 1);

/// Computes `s G + c P` and `s H + c I`, compressed, infinity as the chain encodes it.
pub(in crate::ring) fn equations(s: &Split, c: &Split, key: &Table, hash: &Table, image: &Table) -> [Compressed; 2] {
    compress([sum([(&GENERATOR, s), (key, c)]), sum([(hash, s), (image, c)])])
}

/// Adds up the multiples of the tables' points by the scalars.
pub(super) fn sum(terms: [(&Table, &Split); TERMS]) -> Jacobian {
    let schedule = Schedule::of(&terms);
    let mut sum = Jacobian::INFINITY;
    for offset in (0..OFFSETS).rev() {
        sum = sum.double();
        for step in schedule.at(offset) {
            let table = terms[usize::from(step.term)].0;
            sum = sum.add(table.entry(usize::from(step.index), step.endomorphism, step.negative));
        }
    }
    sum
}

/// The additions of a sum by the offset in a block at which they happen.
struct Schedule {
    counts: [usize; OFFSETS],
    steps: [[Step; STEPS_MAX]; OFFSETS],
}

/// Adds one entry of one term's table.
#[derive(Clone, Copy, Default)]
struct Step {
    index: u16,
    term: u8,
    endomorphism: bool,
    negative: bool,
}

impl Schedule {
    fn of(terms: &[(&Table, &Split); TERMS]) -> Self {
        let mut schedule = Self { counts: [0; OFFSETS], steps: [[Step::default(); STEPS_MAX]; OFFSETS] };
        for (term, (table, split)) in (0..).zip(terms) {
            for (half, endomorphism) in split.halves.iter().zip([false, true]) {
                half.digits(table.width, |position, digit| {
                    let index = u16::try_from(table.index(position, digit)).expect("tables have fewer entries");
                    schedule.push(position, Step { index, term, endomorphism, negative: digit < 0 });
                });
            }
        }
        schedule
    }

    #[inline]
    fn push(&mut self, position: u32, step: Step) {
        let offset = (position % BLOCK_BITS) as usize;
        let count = &mut self.counts[offset];
        self.steps[offset][*count] = step;
        *count += 1;
    }

    #[inline]
    fn at(&self, offset: usize) -> &[Step] {
        &self.steps[offset][..self.counts[offset]]
    }
}
