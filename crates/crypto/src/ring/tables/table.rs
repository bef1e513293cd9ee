//! Multiples of a point, kept for the next time it is multiplied.
//!
//! A half of a scalar has digits at the positions 0 to 128. The positions are cut into eight blocks of 16; for
//! block `j` the table of P holds the odd multiples of `2^(16 j) P` that a digit can ask for, so that digits
//! of all blocks at one offset are added between the same two doublings. One entry more is `2^128 P`: the
//! carry out of the last block is never more than one.
//!
//! Sizes were chosen by measuring a ring of two (shorter is better, but caches are shared):
//!
//! ```text
//! 4 blocks, width 8    16 KiB a point    67 µs
//! 8 blocks, width 7    16 KiB a point    64 µs
//! 8 blocks, width 8    32 KiB a point    60 µs
//! ```

use std::sync::LazyLock;

use k256::AffinePoint;

use super::{
    digits::BETA,
    field::invert_all,
    point::{Affine, Jacobian, to_affine},
};

/// Positions of a block, and so the doublings of a sum. All tables of a sum must agree.
pub(super) const BLOCK_BITS: u32 = 16;
pub(super) const BLOCKS: usize = 128 / BLOCK_BITS as usize;

/// Width of digits: the wider, the fewer additions and the bigger the table.
const WIDTH: u32 = 7;
/// The generator's table is there once, so it can be bigger; this one still leaves room in a core's L2 cache.
const GENERATOR_WIDTH: u32 = 9;

/// The generator's table: 64 KiB.
pub(super) static GENERATOR: LazyLock<Table> = LazyLock::new(|| {
    let generator = Affine::from_k256(&AffinePoint::GENERATOR).expect("the generator is not infinity");
    Table::of(generator, GENERATOR_WIDTH)
});

/// The multiples of one point.
pub(in crate::ring) struct Table {
    pub(super) width: u32,
    entries: Box<[Affine]>,
}

impl Table {
    /// Memory of a table of [`Table::new`].
    pub(in crate::ring) const BYTES: usize = size_of::<Self>() + entries(WIDTH) * size_of::<Affine>();

    /// Computes the table of `point`, which takes as long as a few multiplications; `None` for infinity.
    pub(in crate::ring) fn new(point: &AffinePoint) -> Option<Self> {
        Affine::from_k256(point).map(|point| Self::of(point, WIDTH))
    }

    fn of(point: Affine, width: u32) -> Self {
        let powers = powers(point, width);
        let per_block = block_entries(width);
        let mut entries = vec![powers.top; entries(width)];
        for block in 0..BLOCKS {
            entries[block * per_block] = powers.of(block, 0);
        }
        for level in 1..width - 1 {
            let steps: [Affine; BLOCKS] = std::array::from_fn(|block| powers.of(block, level));
            add_steps(&mut entries, per_block, 1 << (level - 1), &steps);
        }
        Self { width, entries: entries.into_boxed_slice() }
    }

    /// The index of the entry that `digit` at `position` asks for, but for the digit's sign.
    #[inline]
    pub(super) fn index(&self, position: u32, digit: i32) -> usize {
        let block = (position / BLOCK_BITS) as usize;
        block * block_entries(self.width) + (digit.unsigned_abs() / 2) as usize
    }

    /// Returns the entry at `index`, times λ if `endomorphism`, negated if `negative`.
    #[inline]
    pub(super) fn entry(&self, index: usize, endomorphism: bool, negative: bool) -> Affine {
        let Affine { x, y } = self.entries[index];
        Affine { x: if endomorphism { x * BETA } else { x }, y: y.negate_if(negative) }
    }
}

/// Odd multiples in a block: 1, 3, … 2^(width-1) - 1.
const fn block_entries(width: u32) -> usize {
    1 << (width - 2)
}

const fn entries(width: u32) -> usize {
    BLOCKS * block_entries(width) + 1
}

/// The multiples of a point by powers of two that building its table starts from.
struct Powers {
    points: Vec<Affine>,
    per_block: usize,
    top: Affine,
}

impl Powers {
    /// Returns `2^(16 block + level) P`.
    fn of(&self, block: usize, level: u32) -> Affine {
        self.points[block * self.per_block + level as usize]
    }
}

/// Doubles `point` 128 times and keeps, of each block, the powers that [`Table::of`] adds.
fn powers(point: Affine, width: u32) -> Powers {
    let per_block = width - 1;
    let mut kept = Vec::with_capacity(BLOCKS * per_block as usize + 1);
    let mut power = Jacobian::from(point);
    for _ in 0..BLOCKS {
        for offset in 0..BLOCK_BITS {
            if offset < per_block {
                kept.push(power);
            }
            power = power.double();
        }
    }
    kept.push(power);

    // A point other than infinity has the prime order n, so no multiple by less than n is infinity.
    let finite = |point: Option<Affine>| point.expect("2^128 and less are no multiples of the group order");
    let mut points: Vec<_> = to_affine(&kept).into_iter().map(finite).collect();
    let top = points.pop().expect("the last power was pushed");
    Powers { points, per_block: per_block as usize, top }
}

/// Given the first `known` odd multiples of each block, 1, 3, … `2 known - 1`, computes as many more by adding
/// the block's step, its power times `2 known`.
///
/// All additions share one inversion. They are additions of different x: multiples `a P` and `b P` share
/// their x only if n divides `a - b` or `a + b`, and here neither is 0 and both are below 2^129.
fn add_steps(entries: &mut [Affine], per_block: usize, known: usize, steps: &[Affine; BLOCKS]) {
    let places = || (0..BLOCKS).flat_map(|block| (0..known).map(move |index| (block, block * per_block + index)));
    let mut inverses: Vec<_> = places().map(|(block, place)| steps[block].x - entries[place].x).collect();
    invert_all(&mut inverses);
    for ((block, place), inverse) in places().zip(inverses) {
        entries[place + known] = entries[place].add_with(steps[block], inverse);
    }
}
